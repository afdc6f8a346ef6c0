//! Joining: one key binds one host, whatever happens on the way, and every refusal says why.

use std::thread;

use anyhow::ensure;
use horizon_api::{join::JoinString, token::Token, token::TokenKind};
use horizon_node::{data_folder::DataFolder, secret_file};
use horizon_tests::{
    joiner,
    process::{Outcome, run_within},
    random::Random,
    scenario::in_world,
    stranger::Impostor,
    wait::{PATIENCE, wait_for, wait_until},
    world::World,
};

#[test]
fn a_join_string_joins_a_gateway_once() {
    in_world(|world| {
        world.start_servers()?;

        let server = world.controller.server("gw-1")?;
        assert!(server.enrolled && server.connected && server.ready, "{server:?}");
        let status = world.gateway.status()?;
        assert_eq!(status.revision, Some(server.applied_revision));
        Ok(())
    });
}

#[test]
fn of_64_joins_at_once_with_a_one_time_key_one_is_bound() {
    in_world(|world| {
        world.controller.start()?;
        let join = world.controller.invite("server", "gw-1")?;
        let attempt = |number: usize| joined_elsewhere(world, &join, &format!("joiner-{number}"));

        let outcomes: Vec<Outcome> = thread::scope(|scope| {
            let threads: Vec<_> = (0..64).map(|number| scope.spawn(move || attempt(number))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<anyhow::Result<_>>()
        })?;

        let bound = outcomes.iter().filter(|outcome| outcome.code == 0).count();
        for outcome in outcomes.iter().filter(|outcome| outcome.code != 0) {
            outcome.refused(3, &[])?;
        }
        ensure!(bound == 1, "{bound} were bound");
        wait_for("one server is enrolled", || {
            let servers = world.controller.view()?.servers;
            Ok(servers.iter().filter(|server| server.enrolled).count() == 1)
        })?;
        Ok(())
    });
}

#[test]
fn a_retry_after_a_lost_answer_succeeds_and_a_thief_of_the_string_does_not() {
    in_world(|world| {
        world.controller.start()?;
        let text = world.controller.invite("server", "gw-1")?;
        let join: JoinString = text.parse()?;
        let data = DataFolder::open(world.gateway.data())?;
        let key = secret_file::node_key(&data.file("node.key"))?;
        drop(data);

        joiner::join_and_vanish(&world.net.gw, &key, &join)?;
        wait_for("the server is bound", || Ok(world.controller.server("gw-1")?.enrolled))?;
        world.gateway.join(&text)?.success()?;
        world.gateway.start()?;
        world.wait_ready()?;

        joined_elsewhere(world, &text, "thief")?.refused(3, &["key"])
    });
}

/// Joins with another data folder, and so with another key.
fn joined_elsewhere(world: &World, join: &str, folder: &str) -> anyhow::Result<Outcome> {
    let mut command = world.net.gw.command(horizon_tests::program::path("horizon-gateway")?);
    command.args(["join", join, "--data"]).arg(world.folder.path().join(folder));
    // Each reads its whole program first, and 64 do so at once.
    run_within(command, 3 * PATIENCE)
}

/// A registration key by hash, with what else its spec says; and the token.
fn declared_key(world: &World, spec: &str) -> anyhow::Result<Token> {
    let token = Token::generate(TokenKind::Registration, &Random::start("token").array());
    let server = horizon_tests::folder::SERVER
        .replace("spec: {generate: {}}", &format!("spec: {{hash: \"{}\"{spec}}}", token.digest().to_text()));
    world.manifests.write("server.yaml", &server)?;
    Ok(token)
}

/// Starts the controller on a key that may not be used and checks that it is not, and that everybody learns why.
fn refused_key(world: &mut World, spec: &str, words: &[&str]) -> anyhow::Result<()> {
    let token = declared_key(world, spec)?;
    world.controller.start()?;
    let join = with_token(world, token)?;
    let before = world.controller.view()?.events.first().map_or(0, |event| event.id);

    world.gateway.join(&join)?.refused(3, words)?;

    let event = wait_until("a security event tells of it", PATIENCE, || {
        Ok(world.controller.view()?.events.into_iter().find(|event| event.id > before))
    })?;
    ensure!(!world.controller.server("gw-1")?.enrolled, "the server was bound all the same");
    ensure!(!world.gateway.data().join("enrolment").exists(), "the gateway believes that it is enrolled");
    ensure!(!event.message.is_empty() && !event.message.contains("hzr_"), "{event:?}");
    Ok(())
}

/// Puts another token into a join string of this controller.
fn with_token(world: &World, token: Token) -> anyhow::Result<String> {
    let join: JoinString = world.controller.invite("user", "alice")?.parse()?;
    Ok(JoinString { token, ..join }.reveal())
}

#[test]
fn an_expired_key_is_refused() {
    in_world(|world| refused_key(world, ", expiresAt: \"2020-01-01T00:00:00Z\"", &["expired"]));
}

#[test]
fn a_key_from_outside_its_range_is_refused() {
    in_world(|world| refused_key(world, ", sourceCidrs: [203.0.113.0/24]", &["192.0.2.1"]));
}

#[test]
fn a_disabled_key_is_refused() {
    in_world(|world| refused_key(world, ", disabled: true", &["disabled"]));
}

#[test]
fn an_unknown_key_is_refused() {
    in_world(|world| {
        world.controller.start()?;
        let token = Token::generate(TokenKind::Registration, &Random::start("token").array());
        let join = with_token(world, token)?;

        world.gateway.join(&join)?.refused(3, &["key"])?;

        wait_for("a security event tells of it", || Ok(!world.controller.view()?.events.is_empty()))?;
        ensure!(!world.controller.server("gw-1")?.enrolled, "the server was bound all the same");
        Ok(())
    });
}

#[test]
fn a_used_key_is_refused() {
    in_world(|world| {
        world.controller.start()?;
        let join = world.controller.invite("server", "gw-1")?;
        world.gateway.join(&join)?.success()?;
        let first = world.controller.view()?.events.len();

        joined_elsewhere(world, &join, "elsewhere")?.refused(3, &["key"])?;

        wait_for("a security event tells of it", || Ok(world.controller.view()?.events.len() > first))
    });
}

#[test]
fn a_mistyped_join_string_is_refused_without_asking_anybody() {
    in_world(|world| {
        let token = Token::generate(TokenKind::Registration, &[7; 39]);
        let root = "00".repeat(32);
        let (cut, changed) = (&token.reveal()[..50], token.reveal().replace("hzr_", "hzx_"));
        for key in [cut, &changed] {
            let join = format!("horizon://192.0.2.10:7443?key={key}#{root}");
            world.gateway.join(&join)?.refused(2, &["key in the join string"])?;
        }
        let absent = format!("horizon://192.0.2.10:7443?key={}#{root}", token.reveal());
        world.gateway.join(&absent)?.refused(4, &["192.0.2.10:7443", "does not answer"])
    });
}

#[test]
fn an_impostor_with_another_root_gets_no_token() {
    in_world(|world| {
        world.controller.start()?;
        let join = world.controller.invite("server", "gw-1")?;
        let link = world.controller.invite("user", "alice")?;
        world.controller.stop()?;
        let impostor = Impostor::stand_in(&world.net.ctl, 40)?;

        world.gateway.join(&join)?.refused(3, &["root"])?;
        world.alice.start()?;
        let login = world.alice.verb(&["login", &link])?;

        login.refused(3, &["root"])?;
        let heard = impostor.heard();
        ensure!(heard.len() == 2 && heard.iter().all(|said| said.starts_with("Hello")), "{heard:?}");
        Ok(())
    });
}
