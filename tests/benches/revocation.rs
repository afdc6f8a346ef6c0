//! How long a permission lives on after it was taken away: one device has a link to each of 1, 10 and 100 real gateways,
//! its user is held, and what counts is the time from that moment to the end of each link.
//!
//! `HORIZON_BIN_DIR=… cargo bench -p horizon-tests --bench revocation` as root prints one table.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement prints, and ends when it cannot go on"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use horizon_api::{
    key::SecretKey,
    wire::{
        ALPN_LINK,
        dev::Granted,
        link::{FromDevice, LinkHello, ToDevice},
    },
};
use horizon_node::{framed, quic};
use horizon_tests::{
    folder::Folder,
    joiner::{self, in_namespace},
    namespace::Namespace,
    wait::wait_until,
    world::{Controller, Gateway, World},
};
use tokio::{sync::Barrier, task::JoinSet};

const COUNTS: [usize; 3] = [1, 10, 100];
/// Each is a hold, and its end.
const ROUNDS: usize = 5;
/// A hundred programs start on two processors.
const PATIENCE: Duration = Duration::from_secs(180);

fn main() {
    println!("{:>10}{:>10}{:>12}{:>12}{:>12}", "gateways", "links", "p50, ms", "p99, ms", "worst, ms");
    for count in COUNTS {
        let mut cuts = measure(count).unwrap();
        cuts.sort_unstable();
        let at = |part: f64| cuts[((cuts.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1000.0;
        println!("{count:>10}{:>10}{:>12.1}{:>12.1}{:>12.1}", cuts.len(), at(0.5), at(0.99), at(1.0));
    }
}

fn measure(count: usize) -> anyhow::Result<Vec<Duration>> {
    let mut world = World::for_test()?;
    write_servers(&world.manifests, count)?;
    world.net.ctl.ip("addr add 10.200.0.1/16 dev eth0")?;
    world.net.cli2.ip("addr add 10.200.0.2/16 dev eth0")?;
    world.controller.start()?;
    let prefix = world.net.hub.name().trim_end_matches("-hub").to_owned();
    let mut gateways = Vec::new();
    for number in 1..=count {
        gateways.push(start(&world, &format!("{prefix}-g{number}"), number)?);
    }
    wait_until("all gateways are ready", PATIENCE, || {
        let servers = world.controller.view()?.servers;
        Ok((servers.iter().filter(|server| server.ready).count() == count).then_some(()))
    })?;
    let key = SecretKey::from_seed(&[77; 32]);
    let link = world.controller.invite("user", "bob")?.parse()?;
    let granted = joiner::login(&world.net.cli2, &key, &link, "many-links")?;
    let mut granted = granted.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let mut cuts = Vec::new();
    for _ in 0..ROUNDS {
        cuts.extend(in_namespace(&world.net.cli2, cut(&world.controller, &key, &granted, count))?);
        world.controller.verb(&["release", "User/bob"])?.success()?;
        granted = wait_until("the device is let in again", PATIENCE, || {
            Ok(joiner::login(&world.net.cli2, &key, &link, "many-links")?.ok())
        })?;
    }
    drop(gateways);
    Ok(cuts)
}

fn write_servers(manifests: &Folder, count: usize) -> anyhow::Result<()> {
    let server = |number: usize| {
        let (high, low) = (number / 250 + 1, number % 250 + 1);
        format!(
            "---\napiVersion: horizon.dev/v1alpha1\nkind: Server\nmetadata: {{name: g-{number}}}\nspec:\n  networkRefs: [{{name: office}}]\n  endpoints: [{{host: 10.200.{high}.{low}, port: 7444}}]\n  identity: {{registrationKeyRef: {{name: g-{number}}}}}\n---\napiVersion: horizon.dev/v1alpha1\nkind: RegistrationKey\nmetadata: {{name: g-{number}}}\nspec: {{generate: {{}}}}\n"
        )
    };
    manifests.write("server.yaml", &(1..=count).map(server).collect::<String>())?;
    manifests.write("policy.yaml", "")
}

/// A gateway in a namespace of its own, on the segment of the others.
fn start(world: &World, name: &str, number: usize) -> anyhow::Result<Gateway> {
    let namespace = Namespace::create(name)?;
    let port = format!("g{number}");
    namespace.wire("eth0", &world.net.hub, &port)?;
    world.net.hub.ip(&format!("link set {port} master br0"))?;
    let (high, low) = (number / 250 + 1, number % 250 + 1);
    namespace.ip(&format!("addr add 10.200.{high}.{low}/16 dev eth0"))?;
    let mut gateway = Gateway::new(namespace, world.folder.path().join(&port));
    let join = world.controller.invite("server", &format!("g-{number}"))?;
    gateway.join(&join.replace("192.0.2.10", "10.200.0.1"))?.success()?;
    gateway.start()?;
    Ok(gateway)
}

/// Opens a link to each gateway, holds the user, and returns when each link ended, from the moment of the hold on.
async fn cut(
    controller: &Controller,
    key: &SecretKey,
    granted: &Granted,
    count: usize,
) -> anyhow::Result<Vec<Duration>> {
    let all_up = Arc::new(Barrier::new(count + 1));
    let mut links = JoinSet::new();
    for server in &granted.servers {
        let endpoint = server.endpoints.first().context("no endpoint")?.clone();
        let network = server.networks.first().context("no network")?.network.clone();
        let hello = LinkHello {
            version: "bench".into(),
            features: vec![],
            grant: granted.grant.clone(),
            delegation: None,
            network,
            card: vec![],
        };
        let (key, all_up) = (SecretKey::from_seed(&key.seed()), Arc::clone(&all_up));
        links.spawn(async move {
            let (_endpoint, connection) = quic::dial(&key, ALPN_LINK, &endpoint.host, endpoint.port).await?;
            let (mut sender, mut receiver) = framed::open(&connection).await?;
            sender.send(&FromDevice::Hello(hello)).await?;
            let answer = receiver.receive_within(PATIENCE).await?;
            anyhow::ensure!(matches!(answer, ToDevice::Accept(_)), "not accepted: {answer:?}");
            all_up.wait().await;
            connection.closed().await;
            anyhow::Ok(Instant::now())
        });
    }
    tokio::time::timeout(PATIENCE, all_up.wait()).await.context("some links do not come up")?;
    let held_at = Instant::now();
    controller.verb(&["hold", "User/bob", "--reason", "a measurement", "--for", "1h"])?.success()?;
    let mut cuts = Vec::new();
    while let Some(ended) = links.join_next().await {
        cuts.push(ended??.saturating_duration_since(held_at));
    }
    Ok(cuts)
}
