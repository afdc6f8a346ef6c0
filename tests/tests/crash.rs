//! The controller dies at random while it writes: what was acknowledged is there afterwards, and nothing half done.
//!
//! `HORIZON_CRASH_ROUNDS=500` makes it as thorough as a release wants it.

use std::{
    collections::BTreeSet,
    env,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, ensure};
use horizon_api::{
    http::View,
    join::JoinString,
    key::SecretKey,
    token::{Token, TokenKind},
};
use horizon_tests::{joiner, random::Random, scenario::in_world, world::World};

const ROUNDS: u64 = 50;
/// Servers of the changing file: all of one version, or the revision is a mixture.
const SERVERS: u64 = 4;

/// Devices that one user may have: all rounds share them.
const DEVICES_MAX: u64 = 1000;
const WORKERS: u64 = 2;

/// What the controller promised before it died.
#[derive(Default)]
struct Acknowledged {
    revision: AtomicU64,
    version: AtomicU64,
    devices: Mutex<BTreeSet<String>>,
    /// Rounds in which a device signed in, by their number.
    rounds: Mutex<BTreeSet<u64>>,
    events: AtomicU64,
}

#[derive(Clone, Copy)]
struct Round {
    number: u64,
    devices_max: u64,
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    in_world(|world| {
        let rounds = env::var("HORIZON_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
        let rounds = rounds.unwrap_or(ROUNDS);
        let mut random = Random::start("crash");
        let token = Token::generate(TokenKind::Personal, &random.array());
        declare_key(world, &token)?;
        write_version(world, 1)?;
        world.controller.start()?;
        let link = JoinString { token, ..world.controller.invite("user", "alice")?.parse()? };
        let acknowledged = Acknowledged::default();

        for round in 0..rounds {
            let life = Duration::from_millis(random.below(600));
            live(
                world,
                &link,
                &acknowledged,
                Round { number: round, devices_max: DEVICES_MAX / rounds },
                life,
            )
            .with_context(|| format!("round {round}"))?;
            world.controller.kill()?;
            world.controller.start().with_context(|| format!("start after round {round}"))?;
            check(&world.controller.view()?, &acknowledged)
                .with_context(|| format!("after round {round}"))?;
        }

        let devices = acknowledged.devices.lock().unwrap_or_else(PoisonError::into_inner).len();
        ensure!(
            acknowledged.version.load(Ordering::Relaxed) > 1,
            "no change of the manifests was acknowledged"
        );
        // A controller that is killed at once acknowledges nothing, so not every round does.
        let fruitful = acknowledged.rounds.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        ensure!(fruitful * 4 >= rounds, "devices signed in during {fruitful} of {rounds} rounds only");
        println!(
            "{rounds} rounds, {devices} devices, {} events",
            acknowledged.events.load(Ordering::Relaxed)
        );
        Ok(())
    });
}

/// Lets the controller write for a while: manifests change, devices sign in, strangers are refused.
fn live(
    world: &World,
    link: &JoinString,
    acknowledged: &Acknowledged,
    round: Round,
    life: Duration,
) -> anyhow::Result<()> {
    let is_over = AtomicBool::new(false);
    let goes_on = || !is_over.load(Ordering::Relaxed);
    thread::scope(|scope| {
        let versions = scope.spawn(move || {
            let mut version = round.number * 1000 + 2;
            while goes_on() {
                write_version(world, version)?;
                version += 1;
                thread::sleep(Duration::from_millis(30));
                // A controller that is being killed may not answer.
                if let Ok(view) = world.controller.view() {
                    note(&view, acknowledged);
                }
            }
            anyhow::Ok(())
        });
        for worker in 0..WORKERS {
            scope.spawn(move || {
                for number in 0..(round.devices_max / WORKERS).max(1) {
                    if !goes_on() {
                        return;
                    }
                    if sign_in(world, link, acknowledged, &format!("d-{}-{worker}-{number}", round.number)) {
                        acknowledged
                            .rounds
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .insert(round.number);
                    }
                }
            });
        }
        thread::sleep(life);
        is_over.store(true, Ordering::Relaxed);
        versions.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?
    })
}

fn note(view: &View, acknowledged: &Acknowledged) {
    acknowledged.revision.fetch_max(view.revision, Ordering::Relaxed);
    if let Ok(version) = version_of(view) {
        acknowledged.version.fetch_max(version, Ordering::Relaxed);
    }
    acknowledged.events.fetch_max(view.events.first().map_or(0, |event| event.id), Ordering::Relaxed);
}

/// Says whether the device got its grant.
fn sign_in(world: &World, link: &JoinString, acknowledged: &Acknowledged, name: &str) -> bool {
    let seed = horizon_api::section::ContentHash::of(name.as_bytes());
    let key = SecretKey::from_seed(seed.as_bytes());
    let is_granted = matches!(joiner::login(&world.net.cli, &key, link, name), Ok(Ok(_)));
    if is_granted {
        acknowledged.devices.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }
    is_granted
}

/// One whole revision, and all that was promised.
fn check(view: &View, acknowledged: &Acknowledged) -> anyhow::Result<()> {
    let promised = acknowledged.revision.load(Ordering::Relaxed);
    ensure!(view.revision >= promised, "revision {} after {promised}", view.revision);
    let version = version_of(view)?;
    let promised = acknowledged.version.load(Ordering::Relaxed);
    ensure!(version >= promised, "version {version} of the manifests after {promised}");
    let known: BTreeSet<_> = view.devices.iter().map(|device| device.name.as_str()).collect();
    let devices = acknowledged.devices.lock().unwrap_or_else(PoisonError::into_inner);
    let lost: Vec<_> = devices.iter().filter(|name| !known.contains(name.as_str())).collect();
    ensure!(lost.is_empty(), "devices that were acknowledged are gone: {lost:?}");
    let events = acknowledged.events.load(Ordering::Relaxed);
    ensure!(view.events.first().map_or(0, |event| event.id) >= events, "events are gone");
    Ok(())
}

/// Returns the version of the changing file that a view shows, which must be one.
fn version_of(view: &View) -> anyhow::Result<u64> {
    let servers = view.servers.iter().filter(|server| server.name.starts_with("moving-"));
    let ports: Vec<&str> =
        servers.flat_map(|server| &server.endpoints).filter_map(|text| text.rsplit(':').next()).collect();
    ensure!(ports.len() as u64 == SERVERS, "{} servers of {SERVERS}", ports.len());
    ensure!(ports.iter().all(|port| *port == ports[0]), "a mixture of versions: {ports:?}");
    let hosts = view.servers.iter().filter(|server| server.name.starts_with("moving-"));
    let hosts: BTreeSet<&str> =
        hosts.flat_map(|server| &server.endpoints).filter_map(|text| text.split('.').next()).collect();
    ensure!(hosts.len() == 1, "a mixture of versions: {hosts:?}");
    let host = hosts.first().context("no endpoint")?;
    Ok(host.trim_start_matches('v').parse()?)
}

fn write_version(world: &World, version: u64) -> anyhow::Result<()> {
    let server = |number: u64| {
        format!(
            "apiVersion: horizon.dev/v1alpha1\nkind: Server\nmetadata: {{name: moving-{number}}}\nspec:\n  \
             networkRefs: [{{name: office}}]\n  endpoints: [{{host: v{version}.example, port: 7444}}]\n  \
             identity: {{registrationKeyRef: {{name: gw-1}}}}\n"
        )
    };
    let servers: Vec<String> = (0..SERVERS).map(server).collect();
    world.manifests.write("moving.yaml", &servers.join("---\n"))
}

fn declare_key(world: &World, token: &Token) -> anyhow::Result<()> {
    let hash = token.digest().to_text();
    world.manifests.write(
        "workers.yaml",
        &format!(
            "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {{name: worker}}\nspec: {{maxDevices: 1000}}\n---\n\
             apiVersion: horizon.dev/v1alpha1\nkind: PersonalKey\nmetadata: {{name: worker}}\n\
             spec: {{userRef: {{name: worker}}, networkRefs: [{{name: office}}], hash: \"{hash}\"}}\n"
        ),
    )?;
    let network = world.manifests.read("network.yaml")?;
    world.manifests.write("network.yaml", &network.replace("10.77.0.0/24", "10.77.0.0/16"))
}
