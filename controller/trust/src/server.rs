//! One server: what its gateway shows is taken in, and what of it is not as it should be comes out.

use std::{collections::BTreeMap, net::IpAddr};

use horizon_api::{
    assignment::Version,
    http::{
        AddressView, ChallengeView, EvidenceLevel, EvidenceView, FailureView, ServerReport, TpmView,
        TrustView,
    },
    key::PublicKey,
    wire::{Evidence, cfg::Heartbeat},
};

use crate::{
    boot::Heard,
    challenge::{Outcome, Verification},
    disk::{DiskError, Record},
    evidence,
    finding::{Finding, Gravity},
    log::{Entry, Log},
    quote::Quoted,
    tpm::{self, Tpm},
};

/// What is known of the server that has one key.
#[derive(Clone, Debug)]
pub struct ServerTrust {
    record: Record,
    log: Log,
    /// When each kind was told last (unix milliseconds).
    told: BTreeMap<&'static str, i64>,
    /// Heartbeats that say something older than what was acknowledged: one may have been on its way.
    older_in_a_row: u32,
    is_skewed: bool,
    is_changed: bool,
    unsaved: Vec<Entry>,
}

/// A gateway that was let in.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub evidence: Evidence,
    /// What a TPM signed beside it.
    pub quoted: Quoted,
    pub remote: IpAddr,
    /// What it says that it runs.
    pub running: Option<Version>,
    /// Whether it says that it answers challenges.
    pub answers: bool,
}

/// What was noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// What people are told.
    pub told: Vec<Finding>,
    /// Why the server fails its verification, if it does.
    pub failure: Option<String>,
}

/// What is to be kept of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsaved {
    pub record: Vec<u8>,
    pub entries: Vec<Entry>,
}

/// The same again is told after this time at the soonest.
const TELL_AGAIN_MS: i64 = 600_000;
/// One packet may be lost, one host may hang.
const FAILURES_IN_A_ROW: u32 = 3;
/// Grants and time windows tolerate as much.
const SKEW_MAX_MS: i64 = 120_000;
/// Below this, a clock is right again.
const SKEW_OVER_MS: i64 = 60_000;

impl ServerTrust {
    /// Begins with a key; `bound` is what its host said when it joined.
    pub fn new(key: PublicKey, bound: Option<Evidence>) -> Self {
        let mut record = Record::new(key);
        record.bound = bound;
        Self::of(record, Log::default())
    }

    /// Goes on with what was kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(record: &[u8], log: Log) -> Result<Self, DiskError> {
        Ok(Self::of(Record::read(record)?, log))
    }

    fn of(record: Record, log: Log) -> Self {
        Self {
            record,
            log,
            told: BTreeMap::new(),
            older_in_a_row: 0,
            is_skewed: false,
            is_changed: false,
            unsaved: Vec::new(),
        }
    }

    /// The host joined again, with a token that it had not used: what it says is what it is measured by from here on,
    /// and so is the TPM that it shows next.
    pub fn handle_bound(&mut self, evidence: Evidence) {
        self.is_changed = true;
        self.record.tpm = None;
        self.record.bound = Some(evidence.clone());
        self.record.newest = Some(evidence);
    }

    /// The same host has another key, which it proved beside the one before.
    pub fn handle_rotated(&mut self, next: PublicKey) {
        self.is_changed = true;
        self.record.key = next;
    }

    /// A gateway was let in.
    pub fn handle_arrival(&mut self, arrival: Arrival, now_ms: i64) -> Noticed {
        let Arrival { evidence, quoted, remote, running, answers } = arrival;
        self.record.addresses.handle_seen(remote, now_ms);
        let mut findings = self.take_evidence(evidence);
        findings.extend(tpm::handle_quoted(&mut self.record.tpm, quoted, now_ms));
        findings.extend(running.and_then(|running| self.rolled_back(running)));
        if !answers && self.record.answered_total > 0 {
            findings.push(Finding::AnswersNoMore);
        }
        self.notice(findings, now_ms)
    }

    /// A signed heartbeat came. Returns whether it is believed.
    pub fn handle_heartbeat(&mut self, beat: &Heartbeat, remote: IpAddr, now_ms: i64) -> (bool, Noticed) {
        self.record.addresses.handle_seen(remote, now_ms);
        let heard = self.record.boots.handle_heartbeat(beat.boot_id, beat.counter, remote.to_canonical());
        let mut findings = Vec::new();
        match heard {
            Heard::InOrder => {}
            Heard::Again { highest } => {
                let replayed = Finding::Replayed { counter: beat.counter, highest };
                return (false, self.notice(vec![replayed], now_ms));
            }
            Heard::Beside { other } => {
                findings.push(Finding::Cloned { here: remote.to_canonical(), there: other })
            }
        }
        findings.extend(self.skewed(beat.time_ms.saturating_sub(now_ms)));
        match beat.running.and_then(|running| self.rolled_back(running)) {
            None => self.older_in_a_row = 0,
            Some(finding) => {
                self.older_in_a_row += 1;
                if self.older_in_a_row == 2 {
                    findings.push(finding);
                }
            }
        }
        (true, self.notice(findings, now_ms))
    }

    /// A challenge is over.
    pub fn handle_verification(&mut self, verification: Verification, now_ms: i64) -> Noticed {
        let Verification { outcome, latency } = verification;
        let (findings, failure) = match outcome {
            Outcome::Verified(evidence, quoted) => self.handle_answer(*evidence, quoted, now_ms),
            Outcome::Silent => failed(Finding::Silent { waited: latency }),
            Outcome::Wrong(reason) => failed(Finding::WrongAnswer { reason }),
        };
        self.record.failed_total += u64::from(failure.is_some());
        let entry = Entry { at_ms: now_ms, latency, failure };
        self.unsaved.push(entry.clone());
        self.log.add(entry);
        self.notice(findings, now_ms)
    }

    /// An answer is good where the quote beside it is, too. What is found then, and why the answer is not good.
    fn handle_answer(
        &mut self,
        evidence: Evidence,
        quoted: Quoted,
        now_ms: i64,
    ) -> (Vec<Finding>, Option<String>) {
        let mut findings = self.take_evidence(evidence);
        let wrong = tpm::handle_quoted(&mut self.record.tpm, quoted, now_ms);
        let failure =
            wrong.as_ref().filter(|wrong| wrong.gravity() != Gravity::Notice).map(Finding::sentence);
        if failure.is_none() {
            self.record.verified_at_ms = Some(now_ms);
            self.record.answered_total += 1;
            self.record.failures_in_a_row = 0;
        }
        findings.extend(wrong);
        (findings, failure)
    }

    /// It runs this configuration, and it was confirmed: it never runs an older one again.
    pub fn handle_acknowledged(&mut self, version: Version) {
        if self.record.acknowledged.is_none_or(|known| known < version) {
            self.record.acknowledged = Some(version);
            self.is_changed = true;
        }
        self.older_in_a_row = 0;
    }

    /// Somebody released it: what led to the quarantine is over, and what comes is told again.
    pub fn handle_released(&mut self) {
        self.record.failures_in_a_row = 0;
        if let Some(tpm) = &mut self.record.tpm {
            tpm.handle_released();
        }
        self.told.clear();
        self.is_changed = true;
    }

    /// Returns what is to be kept, if anything changed.
    pub fn poll_save(&mut self) -> Option<Unsaved> {
        if !self.is_changed && self.unsaved.is_empty() {
            return None;
        }
        self.is_changed = false;
        Some(Unsaved { record: self.record.to_bytes(), entries: std::mem::take(&mut self.unsaved) })
    }

    /// It could not be kept: it is tried again.
    pub fn handle_unsaved(&mut self, entries: Vec<Entry>) {
        self.is_changed = true;
        self.unsaved.splice(0..0, entries);
        // A store that refuses for hours must not fill the memory.
        let excess = self.unsaved.len().saturating_sub(crate::log::KEPT);
        self.unsaved.drain(..excess);
    }

    /// Returns the record as it is kept.
    pub fn record(&self) -> Vec<u8> {
        self.record.to_bytes()
    }

    pub fn key(&self) -> &PublicKey {
        &self.record.key
    }

    /// Returns the newest challenges, newest first.
    fn challenges(&self, count: usize) -> Vec<ChallengeView> {
        let views = self.log.newest().take(count).map(|entry| ChallengeView {
            at: millis(entry.at_ms),
            latency_us: micros(entry.latency),
            failure: entry.failure.clone().unwrap_or_default(),
        });
        views.collect()
    }

    /// Returns all that a person may want to know of it.
    pub fn report(&self, quarantine: Option<String>, challenges: usize) -> ServerReport {
        ServerReport {
            trust: self.view(quarantine),
            challenges: self.challenges(challenges),
            is_key_sealed: self.record.newest.as_ref().is_some_and(|evidence| evidence.is_key_sealed),
            tpm: self.record.tpm.as_ref().map(tpm_view),
        }
    }

    /// Returns the picture of it.
    pub fn view(&self, quarantine: Option<String>) -> TrustView {
        let record = &self.record;
        let figures = self.log.figures();
        let failure = self
            .log
            .newest()
            .find_map(|entry| Some(FailureView { at: millis(entry.at_ms), reason: entry.failure.clone()? }));
        let addresses = record.addresses.iter().map(|address| AddressView {
            address: address.address.to_string(),
            first_seen: millis(address.first_seen_ms),
            last_seen: millis(address.last_seen_ms),
        });
        let both = record.bound.as_ref().zip(record.newest.as_ref());
        let differs = both.map(|(bound, newest)| evidence::differences(bound, newest)).into_iter().flatten();
        TrustView {
            level: self.level(),
            evidence: record.newest.as_ref().or(record.bound.as_ref()).map(evidence_view),
            differs: differs.chain(record.tpm.as_ref().and_then(Tpm::difference)).collect(),
            verified_at: record.verified_at_ms.map(millis),
            challenges: count(figures.challenges),
            answered: count(figures.answered),
            latency_p50_us: micros(figures.latency_p50),
            latency_max_us: micros(figures.latency_max),
            answered_total: record.answered_total,
            failed_total: record.failed_total,
            failure,
            addresses: addresses.collect(),
            noticed: record.noticed.clone(),
            quarantine,
        }
    }

    fn level(&self) -> EvidenceLevel {
        let newest = self.record.newest.as_ref();
        if self.record.tpm.as_ref().is_some_and(|tpm| tpm.is_shown) {
            EvidenceLevel::TpmQuote
        } else if newest.is_some_and(|evidence| evidence.is_key_sealed) {
            EvidenceLevel::SealedKey
        } else {
            EvidenceLevel::SelfReported
        }
    }

    fn take_evidence(&mut self, newest: Evidence) -> Vec<Finding> {
        let before = self.record.newest.as_ref().or(self.record.bound.as_ref());
        let findings = before.map(|before| evidence::findings(before, &newest)).unwrap_or_default();
        self.record.bound.get_or_insert_with(|| newest.clone());
        self.record.newest = Some(newest);
        findings
    }

    fn rolled_back(&self, running: Version) -> Option<Finding> {
        let acknowledged = self.record.acknowledged.filter(|acknowledged| running < *acknowledged)?;
        Some(Finding::RolledBack { running, acknowledged })
    }

    fn skewed(&mut self, by_ms: i64) -> Option<Finding> {
        let is_too_much = by_ms.saturating_abs() > SKEW_MAX_MS;
        let was_skewed = self.is_skewed;
        self.is_skewed = is_too_much || (was_skewed && by_ms.saturating_abs() > SKEW_OVER_MS);
        (is_too_much && !was_skewed).then_some(Finding::ClockSkewed { by_ms })
    }

    fn notice(&mut self, findings: Vec<Finding>, now_ms: i64) -> Noticed {
        self.is_changed = true;
        let mut noticed = Noticed::default();
        for finding in findings {
            let kind = finding.kind();
            *self.record.noticed.entry(kind.to_owned()).or_default() += 1;
            let failure = match finding.gravity() {
                Gravity::Notice => None,
                Gravity::AtOnce => Some(finding.sentence()),
                Gravity::Repeated => {
                    self.record.failures_in_a_row += 1;
                    let times = self.record.failures_in_a_row;
                    (times >= FAILURES_IN_A_ROW)
                        .then(|| format!("{times} failures in a row; the last: {}", finding.sentence()))
                }
            };
            noticed.failure = noticed.failure.or(failure);
            let is_news = self.told.get(kind).is_none_or(|at| now_ms >= at + TELL_AGAIN_MS);
            if is_news {
                self.told.insert(kind, now_ms);
                noticed.told.push(finding);
            }
        }
        noticed
    }
}

fn failed(finding: Finding) -> (Vec<Finding>, Option<String>) {
    let failure = Some(finding.sentence());
    (vec![finding], failure)
}

fn evidence_view(evidence: &Evidence) -> EvidenceView {
    let Evidence {
        version,
        hostname,
        kernel,
        binary_hash,
        machine,
        hardware,
        host_boot,
        is_key_sealed: _,
        posture: _,
    } = evidence.clone();
    EvidenceView { version, hostname, kernel, binary_hash, machine, hardware, host_boot }
}

fn tpm_view(tpm: &Tpm) -> TpmView {
    TpmView {
        key: tpm.key.short(),
        since: millis(tpm.since_ms),
        resets: tpm.resets(),
        is_shown: tpm.is_shown,
    }
}

fn millis(unix_ms: i64) -> u64 {
    u64::try_from(unix_ms).unwrap_or(0)
}

fn micros(latency: std::time::Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
