//! What a gateway tries with packets that it must not read: hand over other cards, weaken what two devices offer, say
//! packets again, or leave the seal away. It has the server's real key, and both devices believe that it is theirs.

use std::net::IpAddr;

use anyhow::{Context, ensure};
use horizon_api::{
    card::{Card, SealKey, SealWord},
    key::SecretKey,
    section::NetworkId,
};
use horizon_node::clock;
use horizon_tests::{
    joiner,
    packet::echo_request,
    relay::{SEALED, between_two, protocol},
    scenario::in_world,
    traffic::{no_ping, ping, wait_ping},
    wait::wait_for,
    world::{SealedPeer, World},
};

/// What `ping -p` puts into each packet, again and again.
const PATTERN: &str = "686f72697a6f6e2d6d61726b65722121";
const MARKER: &[u8] = b"horizon-marker!!";
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;

#[test]
fn a_gateway_reads_nothing_of_what_it_forwards() {
    in_world(|world| {
        let relay = between_two(world, true)?;
        let bob = world.bob.status()?;
        let (ipv4, ipv6) = (bob.ipv4()?, bob.ipv6()?);
        wait_ping(&world.net.cli, ipv4)?;
        wait_ping(&world.net.cli, ipv6)?;

        ping_marked(world, ipv4.into())?;
        ping_marked(world, ipv6.into())?;

        let seen = relay.take_seen();
        let sealed = seen.iter().filter(|packet| protocol(packet) == Some(SEALED)).count();
        ensure!(sealed > 20, "{sealed} sealed packets of {}", seen.len());
        let is_ping = |packet: &Vec<u8>| matches!(protocol(packet), Some(ICMP | ICMP_V6));
        ensure!(!seen.iter().any(is_ping), "a ping went without a seal");
        ensure!(!holds_marker(&seen), "the gateway reads what one device says to the other");
        Ok(())
    });
}

/// The test before is worth something because this one finds what it looks for.
#[test]
fn without_the_seal_a_gateway_reads_everything() {
    in_world(|world| {
        let relay = between_two(world, false)?;
        let bob = world.bob.status()?;
        for address in [IpAddr::from(bob.ipv4()?), bob.ipv6()?.into()] {
            wait_ping(&world.net.cli, address)?;
            relay.take_seen();

            ping_marked(world, address)?;

            ensure!(holds_marker(&relay.take_seen()), "the marker is not on the way to {address} at all");
        }
        Ok(())
    });
}

#[test]
fn a_gateway_that_swaps_a_card_is_refused() {
    in_world(|world| {
        let relay = between_two(world, true)?;
        let link = world.controller.invite("user", "guest")?.parse()?;
        let mallory = SecretKey::from_seed(&[77; 32]);
        let granted = joiner::login(&world.net.cli2, &mallory, &link, "mallory")?;
        let of_mallory = granted.map_err(|refusal| anyhow::anyhow!("{refusal}"))?.cards;
        let of_mallory = of_mallory.into_iter().next().context("mallory has no card")?.card;
        let bob = world.bob.status()?.ipv4()?;
        let forged = forge(bob.into(), &world.bob.status()?.key)?;

        for (card, reason) in
            [(of_mallory, "of another device"), (forged, "not signed by this network's controller")]
        {
            relay.hand_over(
                move |asked, genuine| if asked == IpAddr::V4(bob) { Some(card.clone()) } else { genuine },
            );
            no_ping(&world.net.cli, bob)?;
            wait_for("the card is refused", || {
                let peer = sealed_with_bob(world)?;
                Ok(peer.is_some_and(|peer| peer.refusal.is_some_and(|said| said.contains(reason))))
            })?;
        }

        let peer = sealed_with_bob(world)?.context("nothing is known of bob")?;
        ensure!(peer.sealed == 0 && peer.suite.is_none(), "something was sealed for somebody: {peer:?}");
        relay.hand_over(|_, genuine| genuine);
        wait_ping(&world.net.cli, bob)
    });
}

#[test]
fn whoever_weakens_what_two_devices_offer_is_noticed() {
    in_world(|world| {
        let relay = between_two(world, true)?;
        let bob = world.bob.status()?.ipv4()?;
        relay.alter(|packet| vec![weakened(packet)]);

        no_ping(&world.net.cli, bob)?;

        let refusals = |world: &World| anyhow::Ok(world.bob.status()?.sealing.map(|sealing| sealing.peers));
        wait_for("the device notices", || {
            let peers = refusals(world)?.unwrap_or_default();
            Ok(peers.iter().any(|peer| peer.refused > 0 && peer.refusal.is_some()))
        })?;
        ensure!(sealed_with_bob(world)?.is_none_or(|peer| peer.suite.is_none()), "a weaker suite is used");
        relay.alter(|packet| vec![packet.to_vec()]);
        wait_ping(&world.net.cli, bob)?;
        wait_for("the best suite of both is used", || {
            let suite = sealed_with_bob(world)?.and_then(|peer| peer.suite);
            Ok(suite.as_deref() == Some("Noise_IK_25519_AESGCM_SHA256"))
        })
    });
}

#[test]
fn a_sealed_packet_that_is_said_again_is_dropped() {
    in_world(|world| {
        let relay = between_two(world, true)?;
        let bob = world.bob.status()?.ipv4()?;
        wait_ping(&world.net.cli, bob)?;
        relay.alter(|packet| vec![packet.to_vec(), packet.to_vec()]);

        for _ in 0..5 {
            ensure!(ping(&world.net.cli, bob)?.is_some(), "the first of two is carried");
        }

        wait_for("the second is counted", || {
            let peers = world.bob.status()?.sealing.map(|sealing| sealing.peers).unwrap_or_default();
            Ok(peers.iter().any(|peer| peer.replayed >= 5))
        })
    });
}

#[test]
fn a_packet_that_comes_without_its_seal_is_dropped() {
    in_world(|world| {
        let relay = between_two(world, true)?;
        let (alice, bob) = (world.alice.status()?.ipv4()?, world.bob.status()?.ipv4()?);
        wait_ping(&world.net.cli, bob)?;
        relay.take_seen();

        for _ in 0..10 {
            relay.inject(bob, &echo_request(alice, bob))?;
        }

        wait_for("they are counted", || {
            let sealing = world.bob.status()?.sealing.context("nothing is sealed")?;
            Ok(sealing.dropped_unsealed >= 5)
        })?;
        let is_answered = relay.take_seen().iter().any(|packet| protocol(packet) == Some(ICMP));
        ensure!(!is_answered, "the device answers what came without a seal");
        Ok(())
    });
}

fn sealed_with_bob(world: &World) -> anyhow::Result<Option<SealedPeer>> {
    let bob = world.bob.status()?.ipv4()?;
    Ok(world.alice.status()?.sealed_with(bob).cloned())
}

fn holds_marker(packets: &[Vec<u8>]) -> bool {
    packets.iter().any(|packet| packet.windows(MARKER.len()).any(|window| window == MARKER))
}

fn ping_marked(world: &World, to: IpAddr) -> anyhow::Result<()> {
    // The longer ones do not fit into one datagram of a link.
    for bytes in [500, 1_300] {
        let line = format!("ping -n -c 10 -i 0.05 -W 2 -s {bytes} -p {PATTERN} {to}");
        world.net.cli.run(&line)?;
    }
    Ok(())
}

/// A card as somebody makes it who has neither the controller's key nor the device's.
fn forge(address: IpAddr, device: &str) -> anyhow::Result<Vec<u8>> {
    let own = SecretKey::from_seed(&[78; 32]);
    let device = device.parse()?;
    let suites = vec!["Noise_IK_25519_AESGCM_SHA256".to_owned()];
    let word = SealWord { device, key: SealKey([5; 32]), suites }.sign(&own);
    let now = clock::unix_s();
    let card = Card {
        epoch: 1_000,
        network: NetworkId::new("default", "office"),
        device,
        name: "bob-laptop".into(),
        addresses: vec![address],
        word,
        issued_at: now,
        expires_at: now + 3_600,
    };
    Ok(card.sign(&own))
}

/// A first message whose sender seems to prefer the other suite; every other packet as it is.
fn weakened(packet: &[u8]) -> Vec<u8> {
    const BODY: usize = 20;
    let is_first = protocol(packet) == Some(SEALED) && packet.get(BODY) == Some(&1);
    if !is_first {
        return packet.to_vec();
    }
    let (strong, weak) = ("Noise_IK_25519_AESGCM_SHA256", "Noise_IK_25519_ChaChaPoly_SHA256");
    let offer = BODY + 10;
    let mut altered = packet.to_vec();
    let swapped = format!("{weak},{strong}");
    altered[offer..offer + swapped.len()].copy_from_slice(swapped.as_bytes());
    altered
}
