//! Keys and tokens in the wrong hands.

use std::thread;

use anyhow::{Context, ensure};
use horizon_api::{join::JoinString, key::SecretKey, wire::RefusalCode};
use horizon_node::{data_folder::DataFolder, secret_file};
use horizon_tests::{
    folder::PEOPLE,
    joiner,
    namespace::Namespace,
    process::run,
    random::Random,
    scenario::in_world,
    wait::wait_for,
    world::{CONTROLLER, CONTROLLER_PORT, World},
};

/// Asks the resource API with a token; the status and the body.
fn ask(from: &Namespace, token: &str) -> anyhow::Result<(String, String)> {
    let mut command = from.command("curl");
    let url = format!("https://{CONTROLLER}:{CONTROLLER_PORT}/apis/horizon.dev/v1alpha1/users");
    let header = format!("Authorization: Bearer {token}");
    command.args(["-sk", "-w", "\n%{http_code}", "-H", &header, &url]);
    let said = run(command)?.success()?;
    let (body, status) = said.trim_end().rsplit_once('\n').unwrap_or(("", said.trim_end()));
    Ok((status.to_owned(), body.to_owned()))
}

fn kinds_of_events(world: &World) -> anyhow::Result<Vec<String>> {
    Ok(world.controller.view()?.events.into_iter().map(|event| event.kind).collect())
}

#[test]
fn a_stolen_token_is_worth_nothing_from_another_network() {
    in_world(|world| {
        world.controller.start()?;
        let said = world.controller.verb(&["kubeconfig", "--from", "192.0.2.101/32"])?.success()?;
        let word = said.split_whitespace().find(|word| word.starts_with("hza_")).context("no token")?;
        let token = word.trim_matches('"').to_owned();
        let (head, last) = token.split_at(token.len() - 1);
        let typo = format!("{head}{}", if last == "a" { "b" } else { "a" });

        let (at_home, _) = ask(&world.net.cli, &token)?;
        let (elsewhere, told) = ask(&world.net.cli2, &token)?;
        let (mistyped, named) = ask(&world.net.cli, &typo)?;

        ensure!((at_home.as_str(), elsewhere.as_str(), mistyped.as_str()) == ("200", "401", "401"));
        ensure!(!told.contains("192.0.2"), "the thief learns where it may be used: {told}");
        ensure!(named.contains("typing error"), "{named}");
        wait_for(
            "an event tells of it",
            || Ok(kinds_of_events(world)?.contains(&"TokenRefused".to_owned())),
        )?;
        wait_for("the last use is told", || {
            let list = world.controller.verb(&["kubeconfig", "--list"])?.success()?;
            Ok(list.contains("operator") && list.contains("from 192.0.2.101") && !list.contains("hza_"))
        })?;
        let id = token.get(4..14).context("an id")?;
        world.controller.verb(&["kubeconfig", "--end-token", id])?.success()?;
        wait_for("it is over at once", || Ok(ask(&world.net.cli, &token)?.0 == "401"))
    });
}

#[test]
fn of_64_sign_ins_at_once_with_a_one_time_key_one_is_let_in() {
    in_world(|world| {
        let people = PEOPLE.replacen("generate: {}", "generate: {}, maxUses: 1", 1);
        world.manifests.write("people.yaml", &people)?;
        world.start_servers()?;
        let link: JoinString = world.controller.invite("user", "alice")?.parse()?;
        let mut random = Random::start("devices");
        let keys: Vec<SecretKey> = (0..64).map(|_| SecretKey::from_seed(&random.array())).collect();
        let (from, link) = (&world.net.cli, &link);

        let outcomes: Vec<_> = thread::scope(|scope| {
            let sign_in = |(number, key)| {
                scope.spawn(move || joiner::login(from, key, link, &format!("device-{number}")))
            };
            let threads: Vec<_> = keys.iter().enumerate().map(sign_in).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });

        let let_in = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Ok(_)))).count();
        let spent = |code: RefusalCode| matches!(code, RefusalCode::KeyExhausted | RefusalCode::Busy);
        let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()?.as_ref().err());
        for refusal in refused {
            ensure!(spent(refusal.code), "{refusal:?}");
        }
        ensure!(let_in == 1, "{let_in} were let in");
        ensure!(world.controller.devices_of("alice")?.len() == 1);
        Ok(())
    });
}

#[test]
fn a_key_of_another_node_and_a_used_key_of_who_has_expired_let_nobody_in() {
    in_world(|world| {
        let people = PEOPLE.replacen("generate: {}", "generate: {}, maxUses: 1", 1);
        world.manifests.write("people.yaml", &people)?;
        world.start_servers()?;
        let alice: JoinString = world.controller.invite("user", "alice")?.parse()?;
        let bob: JoinString = world.controller.invite("user", "bob")?.parse()?;
        world.gateway.stop()?;
        let data = DataFolder::open(world.gateway.data())?;
        let gateway = secret_file::node_key(&data.file("node.key"))?;
        drop(data);
        let device = SecretKey::from_seed(&Random::start("device").array());
        let from = &world.net.cli;
        let code = |key: &SecretKey, link: &JoinString| -> anyhow::Result<Option<RefusalCode>> {
            Ok(joiner::login(from, key, link, "laptop")?.err().map(|refusal| refusal.code))
        };

        ensure!(code(&gateway, &bob)? == Some(RefusalCode::AlreadyBound), "a gateway's key signs in");
        ensure!(code(&device, &alice)?.is_none(), "the device is not let in");
        ensure!(code(&device, &bob)? == Some(RefusalCode::AlreadyBound), "a device of alice's is bob's");
        let expired = people.replacen(
            "spec: {groups: [staff]}",
            "spec: {groups: [staff], expiresAt: \"2020-01-01T00:00:00Z\"}",
            1,
        );
        world.manifests.write("people.yaml", &expired)?;
        wait_for("alice has expired", || Ok(code(&device, &alice)? == Some(RefusalCode::KeyDisabled)))?;
        let other = SecretKey::from_seed(&Random::start("thief").array());
        ensure!(code(&other, &alice)?.is_some(), "a used key of an expired person lets a thief in");
        world.manifests.write("people.yaml", &people)?;
        wait_for("alice is back", || Ok(code(&device, &alice)?.is_none()))?;
        ensure!(code(&other, &alice)? == Some(RefusalCode::KeyExhausted), "a used key was fresh again");
        Ok(())
    });
}
