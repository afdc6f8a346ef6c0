//! What gateways report: whether they are there, what they run, what they carry.

use std::collections::BTreeMap;

use horizon_api::{
    assignment::Version,
    key::PublicKey,
    resource::ObjectKey,
    section::ContentHash,
    wire::cfg::{Heartbeat, Nack},
};
use horizon_node::clock;
use horizon_planner::{
    compile::EffectiveServer,
    status::{Answer, GatewayReport as PlannerReport, Progress},
};
use tracing::warn;

use super::{Reconciler, state::State};
use crate::{
    event::{GatewayReport, ReportKind},
    store::Seen,
};

/// One gateway, by its key.
#[derive(Clone, Debug, Default)]
pub(super) struct Gateway {
    /// The connection that speaks for it: the newest.
    session: Option<usize>,
    pub(super) version: String,
    /// Unix milliseconds: when it connected, or when it was lost.
    pub(super) since_ms: i64,
    running: Option<Version>,
    running_hash: Option<ContentHash>,
    /// The newest revision that was seen to ask for nothing but what it runs.
    kept_through: u64,
    nack: Option<Nack>,
    /// What it has on disk of the controller's keys.
    pub(super) believes: Option<ContentHash>,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) rates: Rates,
}

/// Bytes a second, from the last two heartbeats.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rates {
    pub(super) inbound: f64,
    pub(super) outbound: f64,
}

impl Gateway {
    pub(super) fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    pub(super) fn totals(heartbeat: &Heartbeat) -> (u64, u64) {
        let sum =
            |bytes: fn(&horizon_api::wire::cfg::LinkReport) -> u64| heartbeat.links.iter().map(bytes).sum();
        (sum(|link| link.inbound_bytes), sum(|link| link.outbound_bytes))
    }

    fn beat(&mut self, heartbeat: Heartbeat) {
        if let Some(last) = &self.heartbeat
            && last.boot_id == heartbeat.boot_id
            && heartbeat.time_ms > last.time_ms
        {
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let per_second = |new: u64, old: u64| {
                new.saturating_sub(old) as f64 * 1000.0
                    / heartbeat.time_ms.saturating_sub(last.time_ms) as f64
            };
            let (new, old) = (Self::totals(&heartbeat), Self::totals(last));
            self.rates = Rates { inbound: per_second(new.0, old.0), outbound: per_second(new.1, old.1) };
        }
        self.run(heartbeat.running, heartbeat.assignment);
        self.heartbeat = Some(heartbeat);
    }

    fn run(&mut self, version: Option<Version>, assignment: Option<ContentHash>) {
        if assignment != self.running_hash {
            self.kept_through = 0;
        }
        self.running = version;
        self.running_hash = assignment;
    }

    /// Returns the revision of the assignment that it runs; 0 is none.
    pub(super) fn revision(&self) -> u64 {
        self.running.map_or(0, |version| version.revision)
    }

    /// Returns the newest revision, of the ones of an epoch, whose assignment it runs.
    pub(super) fn applied_through(&self, epoch: u64) -> u64 {
        let running = self.running.filter(|version| version.epoch == epoch);
        running.map_or(0, |version| version.revision.max(self.kept_through))
    }

    fn answer(&self, wanted: Option<ContentHash>) -> Answer {
        match (&self.nack, wanted) {
            (_, wanted) if wanted.is_some() && wanted == self.running_hash => Answer::Applied,
            (Some(nack), _) => Answer::Refused(nack.clone()),
            (None, _) => Answer::Pending,
        }
    }
}

impl Reconciler {
    pub(super) async fn report(&mut self, report: GatewayReport) {
        let server = self.state.server_of(&report.gateway);
        if let Some(server) = &server
            && !self.judge(server, &report).await
        {
            return;
        }
        if let Some(server) = &server {
            self.compare_traffic(server, &report).await;
        }
        let before = server.as_ref().and_then(|server| self.state.gateway_report(server));
        self.state.last_seen.handle_seen(report.gateway, report.at_ms);
        if let ReportKind::Heartbeat(heartbeat) = &report.kind {
            for link in &heartbeat.links {
                self.state.last_seen.handle_seen(link.device, report.at_ms);
            }
        }
        let gateway = self.state.gateways.entry(report.gateway).or_default();
        match report.kind {
            ReportKind::Connected { version, arrival: _ } => {
                gateway.session = Some(report.session);
                gateway.since_ms = report.at_ms;
                gateway.version = version;
                gateway.nack = None;
            }
            ReportKind::Challenged(_) | ReportKind::OutsideRanges | ReportKind::ForeignSection(_) => {}
            // The end of an old connection does not hide a new one.
            ReportKind::Disconnected => {
                if gateway.session == Some(report.session) {
                    gateway.session = None;
                    gateway.since_ms = report.at_ms;
                    gateway.rates = Rates::default();
                }
            }
            ReportKind::Ack { version, assignment } => {
                gateway.run(Some(version), Some(assignment));
                gateway.nack = None;
            }
            ReportKind::Nack(nack) => gateway.nack = Some(nack),
            ReportKind::Believes(name) => gateway.believes = Some(name),
            ReportKind::Heartbeat(heartbeat) => {
                // One of two sessions with its key ended, and this one goes on.
                if gateway.session.is_none() {
                    gateway.session = Some(report.session);
                    gateway.since_ms = report.at_ms;
                }
                gateway.beat(heartbeat);
            }
        }
        // Most heartbeats change nothing that a condition says.
        if before == server.and_then(|server| self.state.gateway_report(&server)) {
            return;
        }
        if let Err(error) = self.refresh_conditions().await {
            warn!(reason = %format!("{error:#}"), "conditions are not stored");
        }
    }

    /// Stores when nodes were last heard of, once in a while.
    pub(super) async fn save_last_seen(&mut self) {
        let now_ms = clock::unix_ms();
        if !self.state.last_seen.is_due(now_ms) {
            return;
        }
        let effective = &self.state.compiled.effective;
        let servers = effective.servers.iter().map(|(key, server)| (server.public_key, key));
        let devices = effective.devices.iter().map(|(key, device)| (device.public_key, key));
        let owners: BTreeMap<PublicKey, &ObjectKey> =
            servers.chain(devices).filter_map(|(node, key)| Some((node?, key))).collect();
        let saved = self.state.last_seen.poll_save(now_ms, |node| owners.contains_key(node));
        let uid = |node: &PublicKey| self.state.ledger.get(*owners.get(node)?).map(|uid| uid.uid.to_string());
        let seen: Vec<_> =
            saved.iter().filter_map(|(node, at)| Some(Seen { owner: uid(node)?, at: *at })).collect();
        if seen.is_empty() {
            return;
        }
        if let Err(error) = self.store.see(seen).await {
            warn!(%error, "when nodes were last seen is not stored");
        }
    }
}

impl State {
    /// Returns what the planner's statuses need of every server that was ever seen.
    pub(super) fn gateway_reports(&self) -> BTreeMap<ObjectKey, PlannerReport> {
        let servers = self.compiled.effective.servers.keys();
        servers.filter_map(|server| Some((server.clone(), self.gateway_report(server)?))).collect()
    }

    fn gateway_report(&self, server: &ObjectKey) -> Option<PlannerReport> {
        let effective = self.compiled.effective.servers.get(server)?;
        let gateway = self.gateway_of(effective.public_key)?;
        let assigned = self.assignments.get(server);
        let wanted = assigned.map(|assigned| assigned.snapshot.hash);
        let heartbeat = gateway.heartbeat.as_ref().filter(|_| gateway.is_connected());
        Some(PlannerReport {
            is_connected: gateway.is_connected(),
            since: gateway.since_ms / 1000,
            answer: gateway.answer(wanted),
            applied_through: gateway.applied_through(self.version.epoch),
            carries_since: assigned.map_or(u64::MAX, |assigned| assigned.carries_since),
            warnings: heartbeat.map(|heartbeat| heartbeat.warnings.clone()).unwrap_or_default(),
        })
    }

    /// Returns what statuses are made of.
    pub(super) fn progress<'a>(&'a self, gateways: &'a BTreeMap<ObjectKey, PlannerReport>) -> Progress<'a> {
        Progress { gateways, earlier: &self.ledger, now: clock::unix_s() }
    }

    /// Another revision comes: gateways that run what they are to run have applied everything up to this one.
    pub(super) fn keep_applied(&mut self) {
        for assigned in self.assignments.values() {
            if let Some(gateway) = self.gateways.get_mut(&assigned.gateway)
                && gateway.running_hash == Some(assigned.snapshot.hash)
            {
                gateway.kept_through = self.version.revision;
            }
        }
    }

    /// Returns since when a server carries the networks that it is to carry, if it does already.
    pub(super) fn carries_since(&self, server: &ObjectKey, wanted: &EffectiveServer) -> Option<u64> {
        let current = self.compiled.effective.servers.get(server)?;
        let assigned = self.assignments.get(server)?;
        let is_same = current.networks == wanted.networks && wanted.public_key == Some(assigned.gateway);
        is_same.then_some(assigned.carries_since)
    }

    pub(super) fn server_of(&self, gateway: &PublicKey) -> Option<ObjectKey> {
        let mut servers = self.compiled.effective.servers.iter();
        servers.find(|(_, server)| server.public_key == Some(*gateway)).map(|(key, _)| key.clone())
    }

    /// Returns the gateway of a server.
    pub(super) fn gateway_of(&self, key: Option<PublicKey>) -> Option<&Gateway> {
        self.gateways.get(&key?)
    }
}
