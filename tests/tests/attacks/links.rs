//! Attacks on a link itself: other keys, other key exchanges, sessions of before.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use horizon_api::{
    key::{PublicKey, SecretKey},
    section::NetworkId,
    signed::Signed,
    traffic::{Counts, TrafficReport},
    wire::{
        ALPN_LINK, RefusalCode,
        link::{FromDevice, LinkHello, ToDevice},
    },
};
use horizon_node::{framed, tls};
use horizon_tests::{
    folder::NETWORK,
    joiner::{self, in_namespace},
    scenario::in_world,
    stranger::MiddleMan,
    traffic::wait_ping,
    wait::{PATIENCE, wait_for},
    world::{GATEWAY, GATEWAY_PORT, LAN, World},
};
use quinn::{ClientConfig, Connection, Endpoint, crypto::rustls::QuicClientConfig};
use rustls::{NamedGroup, client::Resumption};

#[test]
fn a_middle_man_with_a_key_of_his_own_hears_nothing() {
    in_world(|world| {
        world.start_with_alice()?;
        wait_ping(&world.net.cli, LAN)?;
        world.gateway.kill()?;

        let middle_man = MiddleMan::stand_in(&world.net.gw, &SecretKey::from_seed(&[31; 32]))?;

        wait_for("the device tries him", || Ok(middle_man.dialled() > 2))?;
        ensure!(middle_man.heard() == 0, "he was told something");
        ensure!(!world.alice.status()?.is_connected(), "the device believes him");
        drop(middle_man);
        world.gateway.start()?;
        world.alice.wait_connected()
    });
}

#[test]
fn a_revoked_device_does_not_come_back_by_an_older_session() {
    in_world(|world| {
        world.start_servers()?;
        let stranger = Stranger::sign_in(world)?;
        let mut config = stranger.config()?;
        config.resumption = Resumption::in_memory_sessions(16);
        config.enable_early_data = true;
        let crypto = Arc::new(QuicClientConfig::try_from(config)?);

        let first = stranger.say_hello(world, &crypto)?;
        ensure!(matches!(first, ToDevice::Accept(_)), "not let in: {first:?}");
        world.controller.verb(&["hold", "User/bob", "--reason", "a test", "--for", "1h"])?.success()?;
        wait_for("the gateway refuses the device", || {
            let answer = stranger.say_hello(world, &crypto)?;
            Ok(matches!(answer, ToDevice::Refuse(refusal) if refusal.code == RefusalCode::Revoked))
        })
    });
}

#[test]
fn without_post_quantum_key_exchange_a_network_that_demands_it_is_closed() {
    in_world(|world| {
        world.start_servers()?;
        let stranger = Stranger::sign_in(world)?;
        let crypto = Arc::new(QuicClientConfig::try_from(stranger.classical()?)?);
        let preferred = stranger.say_hello(world, &crypto)?;
        ensure!(matches!(preferred, ToDevice::Accept(_)), "not let in: {preferred:?}");

        world.manifests.write("network.yaml", &format!("{NETWORK}  pq: Required\n"))?;

        wait_for("a classical key exchange is refused", || {
            let answer = stranger.say_hello(world, &crypto)?;
            Ok(
                matches!(answer, ToDevice::Refuse(refusal) if refusal.code == RefusalCode::PostQuantumRequired),
            )
        })?;
        let crypto = Arc::new(QuicClientConfig::try_from(stranger.config()?)?);
        let hybrid = stranger.say_hello(world, &crypto)?;
        ensure!(matches!(hybrid, ToDevice::Accept(_)), "not let in: {hybrid:?}");
        Ok(())
    });
}

#[test]
fn whoever_counts_traffic_that_was_not_there_is_noticed() {
    in_world(|world| {
        world.start_servers()?;
        let stranger = Stranger::sign_in(world)?;
        let counts = Counts { inbound_bytes: 1 << 30, outbound_bytes: 0 };
        let report = TrafficReport { gateway: stranger.gateway, link: 1, counts };

        in_namespace(&world.net.cli2, async {
            let crypto = Arc::new(QuicClientConfig::try_from(stranger.config()?)?);
            let endpoint = Endpoint::client(([0, 0, 0, 0], 0).into())?;
            let config = ClientConfig::new(crypto);
            let connection =
                endpoint.connect_with(config, (GATEWAY, GATEWAY_PORT).into(), "horizon")?.await?;
            let (mut sender, mut receiver) = framed::open(&connection).await?;
            sender.send(&FromDevice::Hello(stranger.hello())).await?;
            let answer = receiver.receive_within(PATIENCE).await?;
            ensure!(matches!(answer, ToDevice::Accept(_)), "not let in: {answer:?}");
            sender.send(&FromDevice::Report(Signed::new(&report, &stranger.key))).await?;
            // The link lives as long as somebody drives it.
            for _ in 0..100 {
                let events = world.controller.view()?.events;
                let of_it = events.iter().find(|event| event.kind == "TrafficDiffers");
                if of_it.is_some_and(|event| event.message.contains("1073741824 bytes")) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            anyhow::bail!("the difference is not told")
        })
    });
}

/// A device that a test drives by hand.
struct Stranger {
    key: SecretKey,
    grant: Vec<u8>,
    network: NetworkId,
    gateway: PublicKey,
}

impl Stranger {
    fn sign_in(world: &World) -> anyhow::Result<Self> {
        let link = world.controller.invite("user", "bob")?.parse()?;
        let key = SecretKey::from_seed(&[21; 32]);
        let granted = joiner::login(&world.net.cli2, &key, &link, "strange")?;
        let granted = granted.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let server = granted.servers.first().context("no server")?;
        let network = server.networks.first().context("no network")?.network.clone();
        Ok(Self { key, grant: granted.grant, network, gateway: server.key })
    }

    fn config(&self) -> anyhow::Result<rustls::ClientConfig> {
        Ok(tls::client_config(&self.key, ALPN_LINK, Some(vec![self.gateway]))?)
    }

    /// As an agent of before, or as one whose first words somebody on the way altered.
    fn classical(&self) -> anyhow::Result<rustls::ClientConfig> {
        let mut provider = tls::provider();
        provider.kx_groups.retain(|group| group.name() == NamedGroup::X25519);
        Ok(tls::client_config_of(provider, &self.key, ALPN_LINK, Some(vec![self.gateway]))?)
    }

    fn hello(&self) -> LinkHello {
        LinkHello {
            version: "test".into(),
            features: vec![],
            grant: self.grant.clone(),
            delegation: None,
            network: self.network.clone(),
            card: vec![],
        }
    }

    /// Makes a link, shows the grant, and returns the answer. Nothing may be sent before the handshake is done.
    fn say_hello(&self, world: &World, crypto: &Arc<QuicClientConfig>) -> anyhow::Result<ToDevice> {
        let hello = self.hello();
        in_namespace(&world.net.cli2, async {
            let endpoint = Endpoint::client(([0, 0, 0, 0], 0).into())?;
            let config = ClientConfig::new(Arc::clone(crypto) as _);
            let connecting = endpoint.connect_with(config, (GATEWAY, GATEWAY_PORT).into(), "horizon")?;
            let Err(connecting) = connecting.into_0rtt() else {
                anyhow::bail!("the gateway takes words before the handshake is done");
            };
            let connection: Connection = connecting.await?;
            let (mut sender, mut receiver) = framed::open(&connection).await?;
            sender.send(&FromDevice::Hello(hello)).await?;
            let answer = receiver.receive_within(PATIENCE).await?;
            connection.close(0u32.into(), b"seen");
            endpoint.wait_idle().await;
            Ok(answer)
        })
    }
}
