//! What the gateway says of itself every few seconds: signed to the controller, plain to its own status socket.

use std::net::SocketAddr;

use horizon_api::wire::cfg::{Heartbeat, LinkReport};
use horizon_link::{LinkStatus, ShardStatus};
use horizon_node::clock;

use super::EventLoop;
use crate::{
    controller_link::Report,
    status::{NextKey, Status},
};

impl EventLoop {
    pub(super) fn beat(&mut self) {
        self.heartbeats += 1;
        let shard = self.shard.as_ref().map(|shard| shard.handle.status());
        let running = self.running.as_ref().map(|running| running.verified.version());
        let assignment = self.running.as_ref().map(|running| running.verified.hash());
        let warnings = self.warnings();
        let heartbeat = Heartbeat {
            boot_id: self.parts.boot_id,
            counter: self.heartbeats,
            time_ms: clock::unix_ms(),
            running,
            assignment,
            links: self.link_reports(shard.as_deref()),
            drops: shard.as_deref().map(drops_of).unwrap_or_default(),
            warnings: warnings.clone(),
        };
        let status = Status {
            namespace: self.parts.enrolment.namespace.clone(),
            server: self.parts.enrolment.server.clone(),
            key: self.parts.keys.key.public().to_string(),
            next_key: self.next_key(),
            revision: running.map(|version| version.revision),
            standby_since_ms: self.standby.since_ms(),
            away_reason: self.standby.reason().map(str::to_owned),
            dismissed: self.dismissed.as_ref().map(ToString::to_string),
            sealed_networks: self.sealed_networks(),
            links: heartbeat.links.clone(),
            drops: heartbeat.drops.clone(),
            warnings,
            evidence: self.parts.quoter.sentence(),
        };
        self.parts.statuses.send_replace(status);
        let pin = self.known_pin();
        self.parts.reports.send_replace(Report { running, assignment, heartbeat, pin });
    }
}

impl EventLoop {
    fn next_key(&self) -> Option<NextKey> {
        let keys = &self.parts.keys;
        let key = keys.next.as_ref()?.key.public().to_string();
        Some(NextKey { key, due_ms: keys.due_ms(), waits_for: keys.waits_for() })
    }

    fn sealed_networks(&self) -> Vec<String> {
        let networks = self.running.iter().flat_map(|running| running.config.networks.values());
        networks.filter(|network| network.is_sealed).map(|network| network.id.to_string()).collect()
    }

    /// What a device counted is passed on once: it is a third of what is said of a link, and seldom new.
    fn link_reports(&mut self, shard: Option<&ShardStatus>) -> Vec<LinkReport> {
        let links: Vec<_> = shard.into_iter().flat_map(|shard| &shard.links).map(report_of).collect();
        let name = |link: &LinkReport| Some((link.device, link.reported.as_ref()?.report.hash()));
        let known = std::mem::replace(&mut self.passed, links.iter().filter_map(name).collect());
        let is_known =
            |link: &LinkReport| name(link).is_some_and(|(device, hash)| known.get(&device) == Some(&hash));
        let pass =
            |link: LinkReport| if is_known(&link) { LinkReport { reported: None, ..link } } else { link };
        links.into_iter().map(pass).collect()
    }
}

fn drops_of(shard: &ShardStatus) -> std::collections::BTreeMap<String, u64> {
    let happened = shard.drops.iter().filter(|(_, count)| **count > 0);
    happened.map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

fn report_of(link: &LinkStatus) -> LinkReport {
    LinkReport {
        device: link.peer,
        name: link.name.clone(),
        user: link.user.clone(),
        network: link.network.clone(),
        since_ms: link.since_ms,
        remote: SocketAddr::new(link.remote.ip().to_canonical(), link.remote.port()).to_string(),
        inbound_bytes: link.inbound_bytes,
        outbound_bytes: link.outbound_bytes,
        rtt_us: link.rtt_us,
        key_exchange: link.negotiated.key_exchange.clone(),
        cipher: link.negotiated.cipher.clone(),
        is_in_grace: link.is_in_grace,
        reported: link.reported.clone(),
    }
}
