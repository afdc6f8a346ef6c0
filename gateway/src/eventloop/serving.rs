//! The shard that carries the links: what it serves by, where it listens, and how it comes back when it is lost.

use std::{net::UdpSocket, sync::Arc};

use anyhow::Context;
use horizon_api::{key::SecretKey, section::Identity};
use horizon_dataplane::{forwarder::Forwarder, link::admission::Admission};
use horizon_host::{Tun, tun::Offload};
use horizon_link::{Command, LinkEvent, Role, Serving, ShardHandle, ShardParts};
use tracing::{debug, error, info, warn};

use super::EventLoop;
use crate::{listen, running::Running};

/// The shard that runs.
pub(super) struct RunningShard {
    pub(super) handle: ShardHandle,
    number: u64,
    port: u16,
}

impl EventLoop {
    /// Binds the socket for a port, unless the shard that runs listens there already.
    pub(super) fn socket_for(&self, port: u16) -> anyhow::Result<Option<UdpSocket>> {
        let stays =
            self.shard.as_ref().is_some_and(|shard| shard.port == port || self.parts.listen.is_some());
        if stays { Ok(None) } else { Ok(Some(listen::bind(self.parts.listen, port)?)) }
    }

    /// Hands the shard what it must serve by. With a socket a shard is started on it first; one that runs gives way.
    pub(super) fn serve(&mut self, running: &Running, socket: Option<UdpSocket>) -> anyhow::Result<()> {
        if let Some(socket) = socket {
            let port = port_of(identity_of(running)?);
            if let Some(mut old) = self.shard.take() {
                old.handle.stop("the gateway moves to another port");
            }
            self.shard = Some(self.start_shard(socket, port)?);
            info!(port, "listening for links");
        }
        self.generation += 1;
        let shard = self.shard.as_ref().context("no shard runs")?;
        Ok(shard.handle.command(Command::Serve(Arc::new(self.serving_of(running)?)))?)
    }

    /// Serves what runs again: something beside the configuration changed, or the shard is gone.
    pub(super) fn serve_running(&mut self) -> anyhow::Result<()> {
        let Some(running) = self.running.clone() else { return Ok(()) };
        let socket = self.socket_for(port_of(identity_of(&running)?))?;
        self.serve(&running, socket)
    }

    /// As [`EventLoop::serve_running`]; what fails is told to everybody, and tried again until it works.
    pub(super) fn serve_or_retry(&mut self) {
        let served = self.serve_running();
        self.note(served);
    }

    /// Tries again what failed, from the host on.
    pub(super) async fn revive(&mut self) {
        let revived = self.try_again().await;
        self.note(revived);
    }

    pub(super) async fn try_again(&mut self) -> anyhow::Result<()> {
        let Some(running) = self.running.clone() else { return Ok(()) };
        self.converge(&running).await?;
        self.serve_running()
    }

    pub(super) async fn handle_link(&mut self, number: u64, event: LinkEvent) {
        if self.shard.as_ref().is_none_or(|shard| shard.number != number) {
            return debug!(number, ?event, "an event of a shard that was stopped");
        }
        match event {
            LinkEvent::TunLost => {
                self.replace_shard().await;
                self.beat();
            }
            LinkEvent::News(news) => self.take_news(&news),
            LinkEvent::RootWord(word) => self.take_root_word(&word),
            LinkEvent::Admitted { .. }
            | LinkEvent::Turned { .. }
            | LinkEvent::Left { .. }
            | LinkEvent::Up { .. }
            | LinkEvent::Changed(_)
            | LinkEvent::Refused(_)
            | LinkEvent::Down { .. } => log_link_event(&event),
        }
    }

    /// Looks at the shard itself, because an event may be lost.
    ///
    /// # Errors
    /// When its thread ended by itself.
    pub(super) async fn check_shard(&mut self) -> anyhow::Result<()> {
        let Some(shard) = &self.shard else { return Ok(()) };
        anyhow::ensure!(!shard.handle.has_ended(), "the shard ended by itself");
        if shard.handle.status().is_tun_lost {
            self.replace_shard().await;
        }
        Ok(())
    }

    async fn replace_shard(&mut self) {
        warn!(tun = %self.parts.tun, "the interface is gone: making it again");
        self.stop_shard("the gateway's interface was removed");
        self.revive().await;
    }

    pub(super) fn stop_shard(&mut self, reason: &str) {
        if let Some(mut shard) = self.shard.take() {
            shard.handle.stop(reason);
        }
    }

    pub(super) fn note(&mut self, outcome: anyhow::Result<()>) {
        let trouble = outcome.err().map(|error| format!("{error:#}; the gateway tries again by itself"));
        match (&self.trouble, &trouble) {
            (old, Some(reason)) if old.as_ref() != Some(reason) => error!(%reason, "links are not served"),
            (Some(_), None) => info!("links are served again"),
            (Some(_) | None, Some(_)) | (None, None) => {}
        }
        self.trouble = trouble;
    }

    fn start_shard(&mut self, socket: UdpSocket, port: u16) -> anyhow::Result<RunningShard> {
        let mut tun = Tun::open(&self.parts.tun, 1)?;
        let queue = tun.queues.pop().context("a TUN has one queue at least")?;
        self.shards_started += 1;
        let (number, events) = (self.shards_started, self.parts.link_events.clone());
        let handle = horizon_link::start(ShardParts {
            socket,
            tun: queue,
            joins_udp: tun.offload == Offload::TcpAndUdp,
            key: SecretKey::from_seed(&self.parts.keys.answering().seed()),
            role: Role::Gateway,
            // A loop that does not keep up loses news of links, never packets.
            on_event: Box::new(move |event| drop(events.try_send((number, event)))),
        })?;
        Ok(RunningShard { handle, number, port })
    }

    fn serving_of(&self, running: &Running) -> anyhow::Result<Serving> {
        let server = identity_of(running)?.server.clone();
        let mut config = running.config.clone();
        if self.dismissed.is_some() {
            config.networks.clear();
        }
        let networks: Vec<_> = config.networks.values().cloned().collect();
        let policies: Vec<_> = config
            .policies
            .iter()
            .map(|(network, table)| horizon_api::section::Policy {
                network: network.clone(),
                table: table.clone(),
            })
            .collect();
        let forwarder = Forwarder::new(self.generation, &server, &networks, &policies, &config.routes);
        let admission = Admission {
            trust: self.trust_of(running),
            gateway: self.parts.keys.names(),
            config,
            has_grace: self.standby.has_grace(),
            news_after: self.standby.since_ms().map(|_| running.verified.version()),
        };
        Ok(Serving { admission, forwarder, time_floor: self.time_floor })
    }
}

/// Where links arrive when the Server names no endpoint.
const DEFAULT_PORT: u16 = 7444;

pub(super) fn identity_of(running: &Running) -> anyhow::Result<&Identity> {
    running.config.identity.as_ref().context("the assignment has no identity section")
}

pub(super) fn port_of(identity: &Identity) -> u16 {
    identity.endpoints.first().map_or(DEFAULT_PORT, |endpoint| endpoint.port)
}

/// Names the endpoints whose port nobody binds: one socket takes all links, that of the first endpoint's port.
pub(super) fn unbound_endpoints(identity: &Identity) -> Option<String> {
    let port = port_of(identity);
    let others: Vec<_> =
        identity.endpoints.iter().filter(|e| e.port != port).map(ToString::to_string).collect();
    (!others.is_empty()).then(|| {
        format!(
            "links are taken on UDP port {port} only, that of the first endpoint: {} lead here where something in front translates the port",
            others.join(", ")
        )
    })
}

fn log_link_event(event: &LinkEvent) {
    match event {
        LinkEvent::Admitted { device, name, remote } => {
            info!(key = %device.short(), "device connected");
            debug!(key = %device.short(), device = %name, %remote, "device's name and address");
        }
        LinkEvent::Turned { device, refusal, .. } => {
            info!(key = %device.short(), code = ?refusal.code, reason = %refusal, "device turned away");
        }
        LinkEvent::Left { device, reason, .. } => info!(key = %device.short(), reason, "device left"),
        LinkEvent::Up { .. }
        | LinkEvent::Changed(_)
        | LinkEvent::Refused(_)
        | LinkEvent::Down { .. }
        | LinkEvent::News(_)
        | LinkEvent::RootWord(_)
        | LinkEvent::TunLost => debug!(?event, "link event"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use horizon_api::section::Endpoint;

    fn identity(ports: &[u16]) -> Identity {
        let endpoint = |port: &u16| Endpoint { host: "gw.example.net".into(), port: *port };
        Identity {
            namespace: "default".into(),
            server: "gw-1".into(),
            endpoints: ports.iter().map(endpoint).collect(),
        }
    }

    #[test]
    fn the_first_endpoint_gives_the_port_and_others_are_named() {
        assert_eq!(port_of(&identity(&[])), DEFAULT_PORT);
        assert_eq!(port_of(&identity(&[7001, 7002])), 7001);
        assert_eq!(unbound_endpoints(&identity(&[7001, 7001])), None);
        let said = unbound_endpoints(&identity(&[7001, 7002])).expect("a warning");
        assert!(said.contains("7001 only") && said.contains("gw.example.net:7002"), "{said}");
    }
}
