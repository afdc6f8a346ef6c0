//! What a policy allows works, what none allows does not, and an edit is in force at once.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use horizon_api::{
    grant::Grant,
    join::JoinString,
    key::SecretKey,
    section::NetworkId,
    signed::Signed,
    wire::{
        RefusalCode,
        link::{LinkHello, ToDevice},
    },
};
use horizon_node::clock;
use horizon_tests::{
    folder::{PEOPLE, POLICY, POLICY_GATEWAY_ONLY, SERVER},
    joiner,
    packet::{echo_request, is_echo_reply},
    page::Page,
    process::run,
    scenario::in_world,
    stranger::{inject, knock},
    traffic::{Flow, fetch, no_ping, ping, throughput, wait_ping},
    wait::wait_for,
    world::{Agent, GATEWAY_INSIDE, LAN, LinkStatus, World},
};

#[test]
fn a_signed_in_device_reaches_what_lies_behind_the_gateway() {
    in_world(|world| {
        let page = Page::serve(&world.net.lan, LAN)?;
        ensure!(ping(&world.net.cli, LAN)?.is_none(), "the LAN is reached without a tunnel");
        world.start_with_alice()?;

        wait_ping(&world.net.cli, GATEWAY_INSIDE)?;
        wait_ping(&world.net.cli, LAN)?;
        let bytes = fetch(&world.net.cli, LAN)?;
        let speed = throughput(&world.net.cli, &world.net.lan, LAN, 2)?;

        ensure!(bytes == 200_000, "the page had {bytes} bytes");
        ensure!(page.visitor().to_string() == "198.51.100.1", "the LAN saw {}", page.visitor());
        ensure!(speed > 20.0, "{speed} Mbit/s");
        let status = world.alice.status()?;
        ensure!(status.key_exchange.as_deref() == Some("X25519MLKEM768"), "{:?}", status.key_exchange);
        Ok(())
    });
}

/// The promise is a second. Other programs share the machine, so the best of three counts.
#[test]
fn an_edited_policy_cuts_a_flow_within_a_second_and_the_link_stays() {
    in_world(|world| {
        let _page = Page::serve(&world.net.lan, LAN)?;
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let link = link(world)?;
        let mut times = Vec::new();

        for _ in 0..3 {
            let mut flow = Flow::open(&world.net.cli, LAN)?;
            let start = Instant::now();
            world.manifests.write("policy.yaml", POLICY_GATEWAY_ONLY)?;
            times.push(flow.last_answer(start, Duration::from_secs(1))?);
            no_ping(&world.net.cli, LAN)?;
            ensure!(ping(&world.net.cli, GATEWAY_INSIDE)?.is_some(), "what is still allowed was cut too");
            world.manifests.write("policy.yaml", POLICY)?;
            wait_ping(&world.net.cli, LAN)?;
            if times.last() < Some(&Duration::from_secs(1)) {
                break;
            }
        }

        let best = times.iter().min().context("no time")?;
        ensure!(*best < Duration::from_secs(1), "packets passed for {times:?} after the edit");
        ensure!(self::link(world)?.since_ms == link.since_ms, "the link was made again");
        ensure!(world.alice.status()?.is_connected(), "the device noticed");
        Ok(())
    });
}

/// Every gateway answers for one assignment at a time, while the next ones are made already.
#[test]
fn of_many_edits_at_once_the_last_is_in_force() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        for number in 0..10 {
            let before = world.controller.view()?.revision;
            let other = POLICY.replace("198.51.100.0/24", &format!("203.0.113.{number}/32"));
            world.manifests.write("policy.yaml", &other)?;
            wait_for("the edit is committed", || Ok(world.controller.view()?.revision > before))?;
        }
        wait_for("an edit is in force", || Ok(ping(&world.net.cli, LAN)?.is_none()))?;
        let start = Instant::now();
        world.manifests.write("policy.yaml", POLICY)?;
        wait_ping(&world.net.cli, LAN)?;

        ensure!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
        Ok(())
    });
}

#[test]
fn the_controller_says_who_may_reach_what_and_which_rule_says_so() {
    in_world(|world| {
        world.start_with_alice()?;
        let ask = |words: &[&str]| world.controller.verb(&[&["policy"][..], words].concat());
        let folder = world.manifests.path().display().to_string();

        let why = ask(&["why", "alice", "198.51.100.7:80"])?;
        ensure!(why.code == 0 && why.stdout.starts_with("allowed by staff#1 (policy.yaml:1)\n"), "{why:?}");
        let denied = ask(&["why", "guest", "198.51.100.7:80/udp"])?;
        ensure!(denied.code == 3 && denied.stdout.starts_with("denied: no rule of network"), "{denied:?}");
        let can = ask(&["can", "server:gw-1", "alice:22"])?;
        ensure!(can.code == 3 && can.stdout == "denied\n", "{can:?}");
        let offline = ask(&["can", "group:staff", "server:gw-1/icmp", "--manifests", &folder])?;
        ensure!(offline.code == 0 && offline.stdout == "allowed\n", "{offline:?}");
        ask(&["can", "alise", "198.51.100.7:80"])?.refused(1, &["did you mean `alice`?"])?;
        ask(&["can", "alice", "198.51.100.7"])?.refused(2, &["has no port"])?;
        world.controller.kill()?;
        let away = world.controller.verb(&["policy", "can", "alice", "198.51.100.7:80"])?;
        away.refused(4, &["no controller answers"])
    });
}

/// Every hour of the week, in a zone whose data the gateway has to know: so the gateway is asked about windows too.
const ALWAYS: &str = "  windows: [{start: \"00:00\", end: \"24:00\", timeZone: Australia/Lord_Howe}]\n";

#[test]
fn a_policy_ends_at_its_time_with_the_controller_away_and_the_link_stays() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        let link = link(world)?;
        let before = world.controller.view()?.revision;

        let end_ms = clock::unix_ms() / 1000 * 1000 + 10_000;
        let end = jiff::Timestamp::from_millisecond(end_ms)?;
        world.manifests.write("policy.yaml", &format!("{POLICY}{ALWAYS}  validUntil: {end}\n"))?;
        wait_for("the gateway runs it", || {
            let server = world.controller.server("gw-1")?;
            Ok(server.ready && server.applied_revision > before)
        })?;
        world.controller.kill()?;
        let is_passing = ping(&world.net.cli, LAN)?.is_some();
        ensure!(clock::unix_ms() < end_ms, "the gateway took too long to run it");
        ensure!(is_passing, "it ended before its time");
        wait_for("nothing passes", || Ok(ping(&world.net.cli, LAN)?.is_none()))?;
        let late_ms = clock::unix_ms() - end_ms;

        ensure!(late_ms >= 0, "it ended {} ms before its time", -late_ms);
        // A ping that is not answered takes a second to be sure of.
        ensure!(late_ms < 4000, "packets passed for {late_ms} ms after the end");
        no_ping(&world.net.cli, GATEWAY_INSIDE)?;
        ensure!(self::link(world)?.since_ms == link.since_ms, "the link was made again");
        ensure!(world.alice.status()?.is_connected(), "the device noticed");
        Ok(())
    });
}

#[test]
fn a_disabled_server_serves_nobody_until_it_is_enabled_again() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;

        let disabled = SERVER.replace("  networkRefs:", "  adminState: Disabled\n  networkRefs:");
        world.manifests.write("server.yaml", &disabled)?;
        wait_for("it serves nobody", || Ok(ping(&world.net.cli, LAN)?.is_none()))?;
        wait_for("the server is shown as disabled", || {
            let server = world.controller.server("gw-1")?;
            Ok(server.connected && !server.ready && server.reason == "Disabled")
        })?;
        // What it cached serves nobody either, and a controller that comes back lets it in.
        world.controller.kill()?;
        ensure!(ping(&world.net.cli, LAN)?.is_none(), "it serves from its cache");
        world.controller.start()?;
        wait_for("the gateway is back", || Ok(world.controller.server("gw-1")?.connected))?;

        world.manifests.write("server.yaml", SERVER)?;
        world.wait_ready()?;
        wait_ping(&world.net.cli, LAN)
    });
}

#[test]
fn a_device_that_no_policy_covers_reaches_nothing() {
    in_world(|world| {
        let _page = Page::serve(&world.net.lan, LAN)?;
        world.start_with_alice()?;
        let mut guest = Agent::new(world.net.cli2.clone(), "guest", world.folder.path().join("guest"));
        guest.sign_in(&world.controller)?;
        guest.connect()?;
        let alice = world.alice.status()?.ipv4()?;
        let guest_address = guest.status()?.ipv4()?;

        no_ping(&world.net.cli2, LAN)?;
        no_ping(&world.net.cli2, GATEWAY_INSIDE)?;
        no_ping(&world.net.cli2, alice)?;
        no_ping(&world.net.cli, guest_address)?;
        ensure!(fetch(&world.net.cli2, LAN).is_err(), "the guest fetched the page");

        ensure!(guest.status()?.is_connected(), "the guest's link is gone");
        world.gateway.wait_status("a drop is counted", |status| !status.drops.is_empty())?;
        wait_ping(&world.net.cli, LAN)
    });
}

/// A second network, whose packets are smaller: alice's.
const NARROW: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Network
metadata: {name: narrow}
spec:
  addressPools: [{cidr: 10.78.0.0/24}]
  mtu: 1280
---
apiVersion: horizon.dev/v1alpha1
kind: AccessPolicy
metadata: {name: narrow}
spec:
  networkRef: {name: narrow}
  action: Allow
  from: [{any: true}]
  rules: [{to: [{any: true}]}]
";

#[test]
fn who_sends_more_than_a_network_carries_is_told_how_much_that_is() {
    in_world(|world| {
        world.manifests.write("narrow.yaml", NARROW)?;
        let server = SERVER.replace("[{name: office}]", "[{name: office}, {name: narrow}]");
        let server = server.replace("198.51.100.0/24", "198.51.100.0/24, networkRef: {name: narrow}");
        world.manifests.write("server.yaml", &server)?;
        let people = PEOPLE.replacen("networkRefs: [{name: office}]", "networkRefs: [{name: narrow}]", 1);
        world.manifests.write("people.yaml", &people)?;
        world.start_with_alice()?;
        let alice = world.alice.status()?.ipv4()?;
        ensure!(alice.octets()[1] == 78, "alice is not in the narrow network: {alice}");
        // The other hosts of this LAN need no way back, because the gateway masquerades; this one begins.
        world.net.lan.ip("route add 10.78.0.0/24 via 198.51.100.1")?;
        wait_ping(&world.net.lan, alice)?;

        let large = |bytes: u32| {
            let mut ping = world.net.lan.command("ping");
            ping.args([
                "-c",
                "1",
                "-W",
                "2",
                "-M",
                "do",
                "-s",
                &(bytes - 28).to_string(),
                &alice.to_string(),
            ]);
            run(ping)
        };
        large(1280)?.success()?;
        let told = large(1281)?;
        ensure!(told.stdout.contains("mtu = 1280"), "{told:?}");
        Ok(())
    });
}

fn link(world: &World) -> anyhow::Result<LinkStatus> {
    let status = world.gateway.wait_status("the gateway shows the link", |status| status.links.len() == 1)?;
    status.links.into_iter().next().context("no link")
}

#[test]
fn a_packet_with_a_foreign_source_is_dropped_at_the_gateway() {
    in_world(|world| {
        world.start_with_alice()?;
        let alice = world.alice.status()?.ipv4()?;
        let granted = granted(world)?;
        let own = granted.address()?;
        let send = |source| {
            let hello = LinkHello {
                version: "test".into(),
                features: vec![],
                grant: granted.grant.clone(),
                delegation: None,
                network: granted.network.clone(),
                card: vec![],
            };
            let packet = echo_request(source, GATEWAY_INSIDE);
            let is_answer = |packet: &[u8]| is_echo_reply(packet, GATEWAY_INSIDE);
            inject(&world.net.cli2, &granted.key, hello, &packet, is_answer)
        };

        ensure!(send(own)?, "an honest packet was not answered");
        ensure!(!send(alice)?, "a packet with a foreign source was answered");

        world.gateway.wait_status("the drop is counted by its reason", |status| {
            status.drops.keys().any(|reason| reason.to_lowercase().contains("source"))
        })?;
        Ok(())
    });
}

/// A device of the test's own, with the grant that the controller gave it.
struct Granted {
    key: SecretKey,
    grant: Vec<u8>,
    network: NetworkId,
}

impl Granted {
    fn address(&self) -> anyhow::Result<Ipv4Addr> {
        let grant = text_of(&self.grant)?;
        let mut addresses = grant.networks.iter().flat_map(|network| &network.addresses);
        let ipv4 = addresses.find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        });
        ipv4.context("the grant has no IPv4 address")
    }
}

fn granted(world: &World) -> anyhow::Result<Granted> {
    let link: JoinString = world.controller.invite("user", "bob")?.parse()?;
    let key = SecretKey::from_seed(&[21; 32]);
    let granted = joiner::login(&world.net.cli2, &key, &link, "strange")?;
    let granted = granted.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    let network = granted.servers.first().and_then(|server| server.networks.first()).context("no network")?;
    Ok(Granted { key, grant: granted.grant, network: network.network.clone() })
}

fn answer(world: &World, key: &SecretKey, grant: &[u8], network: &NetworkId) -> anyhow::Result<ToDevice> {
    let gateway = world.gateway.status()?.key.parse()?;
    knock(&world.net.cli2, key, gateway, grant.to_vec(), network.clone())
}

fn check_refused(answer: &ToDevice) -> anyhow::Result<()> {
    let ToDevice::Refuse(refusal) = answer else { anyhow::bail!("not refused: {answer:?}") };
    ensure!(refusal.code == RefusalCode::BadGrant, "{refusal:?}");
    ensure!(!refusal.message.is_empty(), "no reason was given");
    Ok(())
}

#[test]
fn a_genuine_grant_opens_a_link_and_every_other_is_refused() {
    in_world(|world| {
        world.start_servers()?;
        let Granted { key, grant, network } = granted(world)?;
        let genuine = answer(world, &key, &grant, &network)?;
        ensure!(matches!(genuine, ToDevice::Accept(_)), "the genuine grant was not accepted: {genuine:?}");

        // Stolen: another device shows it.
        check_refused(&answer(world, &SecretKey::from_seed(&[22; 32]), &grant, &network)?)?;
        // Altered: one bit, anywhere.
        for position in [grant.len() / 3, grant.len() / 2, grant.len() - 1] {
            let mut altered = grant.clone();
            altered[position] ^= 1;
            check_refused(&answer(world, &key, &altered, &network)?)?;
        }
        // Forged: the same words, signed by somebody else.
        let forged = forge(&grant, &key)?;
        check_refused(&answer(world, &key, &forged, &network)?)?;
        // Not a grant at all, and none.
        check_refused(&answer(world, &key, b"grant", &network)?)?;
        check_refused(&answer(world, &key, &[], &network)?)
    });
}

/// Signs the text of a grant with another key.
fn forge(grant: &[u8], key: &SecretKey) -> anyhow::Result<Vec<u8>> {
    Ok(text_of(grant)?.sign(key))
}

fn text_of(grant: &[u8]) -> anyhow::Result<Grant> {
    let signed: Signed = horizon_api::cbor::decode(grant)?;
    signed.read_own().context("the grant cannot be read")
}

#[test]
fn a_network_that_was_not_granted_is_refused() {
    in_world(|world| {
        world.start_servers()?;
        let Granted { key, grant, .. } = granted(world)?;

        let answer = answer(world, &key, &grant, &NetworkId::new("default", "vault"))?;

        ensure!(matches!(answer, ToDevice::Refuse(_)), "{answer:?}");
        Ok(())
    });
}
