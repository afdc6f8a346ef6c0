//! Refusals: a row in the security events for the first ones of a source, a count for the others.

use std::net::IpAddr;

use horizon_api::{
    key::PublicKey,
    resource::ObjectKey,
    wire::{Refusal, RefusalCode},
};
use horizon_node::clock;
use serde_json::{Value as Json, json};
use tracing::error;
use uuid::Uuid;

use super::{Reconciler, refusal_limit::Suppressed};
use crate::store::{Event, Severity};

impl Reconciler {
    /// Records a refusal, unless there are too many like it, and gives it back.
    pub(super) async fn refused(
        &mut self,
        refusal: Refusal,
        key: Option<&ObjectKey>,
        remote: IpAddr,
        node: &PublicKey,
    ) -> Refusal {
        let code = format!("{:?}", refusal.code);
        if self.refusals.handle_refusal(Some(remote), &code, clock::unix_ms()) {
            let detail = json!({ "code": code, "reason": refusal.message, "node": node.to_string() });
            let object = key.map(ToString::to_string).unwrap_or_default();
            self.record("KeyRefused", severity(refusal.code), object, Some(remote), detail).await;
        }
        refusal
    }

    /// Somebody opened a sign-in link that is none.
    pub(super) async fn sign_in_refused(&mut self, remote: Option<IpAddr>) {
        if self.refusals.handle_refusal(remote, "SignIn", clock::unix_ms()) {
            let detail = json!({ "reason": "the sign-in link is unknown, used or expired" });
            self.record("SignInRefused", Severity::Medium, String::new(), remote, detail).await;
        }
    }

    /// Somebody used a token of the resource API that does not count. One that was good once, or elsewhere, may be stolen.
    pub(super) async fn token_refused(
        &mut self,
        remote: Option<IpAddr>,
        id: &str,
        subject: String,
        reason: &str,
    ) {
        if self.refusals.handle_refusal(remote, "Token", clock::unix_ms()) {
            let severity = if id.is_empty() { Severity::Medium } else { Severity::High };
            let named = if id.is_empty() { String::new() } else { format!("{id}: ") };
            let detail = json!({ "reason": format!("{named}{reason}"), "token": id });
            self.record("TokenRefused", severity, subject, remote, detail).await;
        }
    }

    /// Tells how many refusals were not recorded in the minute that is over.
    pub(super) async fn tell_suppressed(&mut self) {
        for Suppressed { remote, reason, count } in self.refusals.poll_suppressed(clock::unix_ms()) {
            let of = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            let detail =
                json!({ "reason": format!("{count} more refusals{of} within a minute"), "count": count });
            self.record("RefusalsCounted", Severity::Medium, String::new(), remote, detail).await;
            self.view_is_due = true;
        }
    }

    /// Writes a security event down.
    pub(super) async fn record(
        &mut self,
        kind: &str,
        severity: Severity,
        object: String,
        remote: Option<IpAddr>,
        detail: Json,
    ) {
        let event = Event {
            id: Uuid::now_v7().to_string(),
            at: clock::unix_ms(),
            kind: kind.to_owned(),
            severity,
            object,
            remote: remote.map(|address| address.to_string()).unwrap_or_default(),
            detail,
        };
        if let Err(error) = self.store.add_event(event).await {
            error!(%error, "a security event is lost");
        }
        self.read_events().await;
    }
}

/// A token that was good once, in the hands of another node, is worse than a wrong one.
fn severity(code: RefusalCode) -> Severity {
    match code {
        RefusalCode::KeyExhausted | RefusalCode::AlreadyBound | RefusalCode::Revoked => Severity::High,
        RefusalCode::UnknownKey
        | RefusalCode::KeyExpired
        | RefusalCode::KeyDisabled
        | RefusalCode::SourceNotAllowed
        | RefusalCode::NoCandidate
        | RefusalCode::ManyCandidates
        | RefusalCode::NotEnrolled
        | RefusalCode::TooManyDevices
        | RefusalCode::BadGrant
        | RefusalCode::Replaced
        | RefusalCode::PostQuantumRequired
        | RefusalCode::BadEvidence
        | RefusalCode::AwaitingApproval
        | RefusalCode::Busy
        | RefusalCode::NotReady
        | RefusalCode::Protocol => Severity::Medium,
    }
}
