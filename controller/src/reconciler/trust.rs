//! How far servers are believed: what their gateways show goes to [`ServerTrust`]; what it notices becomes security
//! events and, where the Server says so, a hold.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use anyhow::Context;
use horizon_api::{
    assignment::{Assignment, Version},
    http::{EventSeverity, ServerReport, TrustView},
    key::PublicKey,
    resource::{ObjectKey, OnSuspicion},
    section::ContentHash,
    wire::Evidence,
};
use horizon_node::clock;
use horizon_planner::hold::{self, Hold};
use horizon_trust::{
    log::{Entry, KEPT, Log},
    server::{Noticed, ServerTrust},
};
use ipnet::IpNet;
use serde_json::json;
use tracing::{error, warn};

use super::{Reconciler, state::State, verb::audit};
use crate::{
    event::{GatewayReport, ReportKind},
    store::{self, AuditEntry, Severity},
};

/// What is known of servers, beside what is in the store.
#[derive(Default)]
pub(super) struct Trust {
    servers: BTreeMap<ObjectKey, ServerTrust>,
    /// What their hosts said when they joined, until they are heard.
    bound: BTreeMap<PublicKey, Evidence>,
    /// Servers to hold that the store did not take yet, each with the reason.
    due: BTreeMap<ObjectKey, String>,
    pub(super) saved_at_ms: i64,
}

/// A crash forgets this much: a heartbeat of that time could be said again, by whoever has the server's key.
const SAVE_EVERY_MS: i64 = 5_000;
/// As many as a person reads.
const CHALLENGES_SHOWN: usize = 20;

impl Trust {
    /// Takes in what a host said when it was bound.
    pub(super) fn restore_bound(&mut self, node: PublicKey, evidence: &str) {
        // What cannot be read is as good as not said.
        if let Ok(evidence) = serde_json::from_str(evidence) {
            self.bound.insert(node, evidence);
        }
    }

    /// Takes in what was kept. What cannot be read is begun anew, and said.
    pub(super) fn restore(&mut self, server: ObjectKey, stored: store::Trust) {
        let entries = stored.challenges.into_iter().map(|challenge| Entry {
            at_ms: challenge.at,
            latency: Duration::from_micros(u64::try_from(challenge.latency_us).unwrap_or(0)),
            failure: Some(challenge.failure).filter(|failure| !failure.is_empty()),
        });
        match ServerTrust::read(&stored.record, Log::new(entries)) {
            Ok(known) => drop(self.servers.insert(server, known)),
            Err(error) => {
                error!(%server, %error, "what was known of a server cannot be read and is begun anew")
            }
        }
    }

    /// A host joined: it is measured by what it said.
    pub(super) fn handle_bound(&mut self, server: &ObjectKey, node: PublicKey, evidence: Evidence) {
        match self.servers.get_mut(server).filter(|known| *known.key() == node) {
            Some(known) => known.handle_bound(evidence),
            None => drop(self.bound.insert(node, evidence)),
        }
    }

    /// Returns what is known of a server as it is once another key follows this one.
    pub(super) fn rotated(
        &self,
        server: &ObjectKey,
        old: &PublicKey,
        next: PublicKey,
    ) -> Option<ServerTrust> {
        let mut known = self.servers.get(server).filter(|known| known.key() == old)?.clone();
        known.handle_rotated(next);
        Some(known)
    }

    pub(super) fn replace(&mut self, server: &ObjectKey, known: Option<ServerTrust>) {
        self.servers.extend(known.map(|known| (server.clone(), known)));
    }

    /// Returns what is known of a server that has this key; with another key, it is another host.
    fn of(&mut self, server: &ObjectKey, node: PublicKey) -> &mut ServerTrust {
        let begin = |bound: &mut BTreeMap<_, _>| ServerTrust::new(node, bound.remove(&node));
        let known = self.servers.entry(server.clone()).or_insert_with(|| begin(&mut self.bound));
        if *known.key() != node {
            *known = begin(&mut self.bound);
        }
        known
    }
}

impl Reconciler {
    /// Judges what a gateway shows, and returns whether the rest of its report is believed.
    pub(super) async fn judge(&mut self, server: &ObjectKey, report: &GatewayReport) -> bool {
        let confirmed = match &report.kind {
            ReportKind::Ack { assignment, .. } => self.state.kept_for_good(server, *assignment),
            ReportKind::Connected { .. }
            | ReportKind::Disconnected
            | ReportKind::OutsideRanges
            | ReportKind::ForeignSection(_)
            | ReportKind::Challenged(_)
            | ReportKind::Nack(_)
            | ReportKind::Believes(_)
            | ReportKind::Heartbeat(_) => None,
        };
        let trust = self.state.trust.of(server, report.gateway);
        let (is_believed, noticed) = match &report.kind {
            ReportKind::Connected { arrival, .. } => {
                (true, trust.handle_arrival((**arrival).clone(), report.at_ms))
            }
            ReportKind::Heartbeat(heartbeat) => {
                trust.handle_heartbeat(heartbeat, report.remote, report.at_ms)
            }
            ReportKind::Challenged(verification) => {
                (true, trust.handle_verification(verification.clone(), report.at_ms))
            }
            ReportKind::Ack { .. } => {
                if let Some(version) = confirmed {
                    trust.handle_acknowledged(version);
                }
                (true, Noticed::default())
            }
            ReportKind::OutsideRanges => {
                self.outside_ranges(server, report.remote).await;
                (true, Noticed::default())
            }
            ReportKind::Disconnected | ReportKind::Nack(_) | ReportKind::Believes(_) => {
                (true, Noticed::default())
            }
            ReportKind::ForeignSection(hash) => {
                self.foreign_section(server, *hash, report.remote).await;
                (true, Noticed::default())
            }
        };
        self.take_notice(server, noticed, report.remote).await;
        is_believed
    }

    async fn outside_ranges(&mut self, server: &ObjectKey, remote: IpAddr) {
        let reason = "it was sent away: it is outside of spec.identity.sourceCidrs of its Server";
        let detail = json!({ "reason": reason });
        self.record("AddressOutsideRanges", Severity::High, server.to_string(), Some(remote), detail).await;
    }

    async fn foreign_section(&mut self, server: &ObjectKey, hash: ContentHash, remote: IpAddr) {
        let reason = format!("it was sent away: it asked for configuration that is not its own ({hash})");
        let detail = json!({ "reason": reason });
        self.record("SectionRefused", Severity::High, server.to_string(), Some(remote), detail).await;
    }

    async fn take_notice(&mut self, server: &ObjectKey, noticed: Noticed, remote: IpAddr) {
        for finding in noticed.told {
            let (kind, reason) = (finding.kind(), finding.sentence());
            warn!(%server, kind, %reason, "a server is not as it should be");
            let detail = json!({ "reason": reason });
            let severity = severity(finding.severity());
            self.record(kind, severity, server.to_string(), Some(remote), detail).await;
        }
        let effective = self.state.compiled.effective.servers.get(server);
        let is_held = self.state.holds.contains_key(server);
        if let Some(reason) = noticed.failure
            && !is_held
            && effective.is_some_and(|effective| effective.on_failure == OnSuspicion::Quarantine)
        {
            self.state.trust.due.insert(server.clone(), reason);
            self.quarantine_due().await;
        }
    }

    /// Holds the servers that fail their verification. What the store does not take is tried again.
    pub(super) async fn quarantine_due(&mut self) {
        for (server, reason) in std::mem::take(&mut self.state.trust.due) {
            if self.state.holds.contains_key(&server) || !self.state.committed.contains_key(&server) {
                continue;
            }
            if let Err(error) = self.quarantine(&server, &reason).await {
                error!(%server, reason = %format!("{error:#}"), "a server is not quarantined yet");
                self.state.trust.due.insert(server, reason);
            }
        }
    }

    async fn quarantine(&mut self, server: &ObjectKey, reason: &str) -> anyhow::Result<()> {
        let hold =
            Hold { reason: reason.to_owned(), until: hold::UNTIL_RELEASED, by: hold::CONTROLLER.to_owned() };
        let row = store::Hold {
            object: server.to_string(),
            reason: hold.reason.clone(),
            by: hold.by.clone(),
            at: clock::unix_ms(),
            until: hold.until * 1000,
        };
        let entry = AuditEntry {
            actor: hold::CONTROLLER.into(),
            ..audit("quarantine", &server.to_string(), json!({ "reason": reason }))
        };
        self.store.hold(row, entry).await.context("store the hold")?;
        self.state.holds.insert(server.clone(), hold);
        let detail = json!({ "reason": format!("it is held until somebody releases it: {reason}") });
        self.record("ServerQuarantined", Severity::High, server.to_string(), None, detail).await;
        self.view_is_due = true;
        self.recompile_or_log("quarantine").await;
        Ok(())
    }

    /// A hold on a server ended by somebody's word.
    pub(super) async fn server_released(&mut self, server: &ObjectKey, hold: &Hold) {
        if !hold.is_quarantine() {
            return;
        }
        if let Some(trust) = self.state.trust.servers.get_mut(server) {
            trust.handle_released();
        }
        let detail =
            json!({ "reason": format!("its quarantine was ended; it was held because {}", hold.reason) });
        self.record("ServerReleased", Severity::Info, server.to_string(), None, detail).await;
    }

    /// Keeps what changed, a few times a minute.
    pub(super) async fn save_trust(&mut self) {
        let now_ms = clock::unix_ms();
        let since = now_ms - self.state.trust.saved_at_ms;
        if (0..SAVE_EVERY_MS).contains(&since) {
            return;
        }
        self.state.trust.saved_at_ms = now_ms;
        let uids = &self.state.ledger;
        let servers = &mut self.state.trust.servers;
        servers.retain(|server, _| uids.contains_key(server));
        let mut saved = Vec::new();
        let mut rows = Vec::new();
        for (server, trust) in servers.iter_mut() {
            let (Some(unsaved), Some(uid)) = (trust.poll_save(), uids.get(server)) else { continue };
            let challenges = unsaved.entries.iter().map(row).collect();
            rows.push(store::Trust { owner: uid.uid.to_string(), record: unsaved.record, challenges });
            saved.push((server.clone(), unsaved.entries));
        }
        if rows.is_empty() {
            return;
        }
        if let Err(error) = self.store.keep_trust(rows, kept()).await {
            warn!(%error, "how far servers are believed is not stored");
            for (server, entries) in saved {
                if let Some(trust) = self.state.trust.servers.get_mut(&server) {
                    trust.handle_unsaved(entries);
                }
            }
        }
    }
}

impl State {
    /// Returns from where gateways may connect, where that is not everywhere.
    pub(super) fn sources_of_gateways(&self) -> BTreeMap<PublicKey, Vec<IpNet>> {
        let servers = self.compiled.effective.servers.values();
        let limited = servers.filter(|server| !server.source_cidrs.is_empty());
        limited.filter_map(|server| Some((server.public_key?, server.source_cidrs.clone()))).collect()
    }

    /// Returns the version of an assignment that a gateway acknowledges, if it never goes back behind it: one that
    /// must be confirmed may be taken back.
    fn kept_for_good(&self, server: &ObjectKey, assignment: ContentHash) -> Option<Version> {
        let assigned = self.assignments.get(server).map(|assigned| &assigned.snapshot);
        let named = assigned.filter(|snapshot| snapshot.hash == assignment);
        let read = named.and_then(|snapshot| snapshot.assignment.read_own::<Assignment>().ok());
        let kept = read.filter(|assignment| assignment.provisional.is_none())?;
        Some(Version { epoch: kept.epoch, revision: kept.revision })
    }

    /// Returns the picture of how far a server is believed.
    pub(super) fn trust_view(&self, server: &ObjectKey) -> TrustView {
        let quarantine = self.quarantined(server);
        match self.known(server) {
            Some(trust) => trust.view(quarantine),
            None => TrustView { quarantine, ..TrustView::default() },
        }
    }

    /// Returns why the controller itself holds a server, if it does.
    fn quarantined(&self, server: &ObjectKey) -> Option<String> {
        let hold = self.holds.get(server).filter(|hold| hold.is_quarantine());
        hold.map(|hold| hold.reason.clone())
    }

    pub(super) fn server_report(&self, server: &ObjectKey) -> ServerReport {
        match self.known(server) {
            Some(trust) => trust.report(self.quarantined(server), CHALLENGES_SHOWN),
            None => ServerReport { trust: self.trust_view(server), ..ServerReport::default() },
        }
    }

    fn known(&self, server: &ObjectKey) -> Option<&ServerTrust> {
        let key = self.compiled.effective.servers.get(server)?.public_key?;
        self.trust.servers.get(server).filter(|trust| *trust.key() == key)
    }
}

/// How many challenges of a server are kept.
pub(super) fn kept() -> i64 {
    i64::try_from(KEPT).unwrap_or(i64::MAX)
}

fn row(entry: &Entry) -> store::Challenge {
    store::Challenge {
        at: entry.at_ms,
        latency_us: i64::try_from(entry.latency.as_micros()).unwrap_or(i64::MAX),
        failure: entry.failure.clone().unwrap_or_default(),
    }
}

fn severity(severity: EventSeverity) -> Severity {
    match severity {
        EventSeverity::Informational => Severity::Info,
        EventSeverity::Low => Severity::Low,
        EventSeverity::Medium => Severity::Medium,
        EventSeverity::High => Severity::High,
        EventSeverity::Critical => Severity::Critical,
    }
}
