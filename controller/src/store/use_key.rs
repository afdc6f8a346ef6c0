//! The use of a registration or personal key: it is counted, and a node is bound, or neither.
//!
//! Everything is decided inside the one transaction that writes it, so of any number of concurrent uses of
//! a one-time key exactly one binds. A node that lost the answer asks again with the same token and public
//! key, and gets the same answer without a second use.

use serde_json::json;

use super::audit::{self, AuditEntry};
use super::binding::{self, Binding, NodeKind};
use super::error::Result;
use super::event::{self, Event, Severity};
use super::key::{self, IssueKey, KeyKind, KeyUse};
use super::object::{self, Object};
use super::revocation;
use super::statement::Statements;

/// A node that proved its public key asks to be bound with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseKey {
    /// The uid of the key's object.
    pub key: String,
    pub kind: KeyKind,
    /// Digest of the presented token, keyed by the caller's pepper.
    pub digest: Vec<u8>,
    /// `None`: as often as wanted.
    pub uses_max: Option<i64>,
    pub expires_at: Option<i64>,
    /// The uid of the server or device to bind, and which of the two it is.
    pub owner: String,
    pub owner_kind: NodeKind,
    /// The node's object, when it is made by this use.
    pub creates: Option<Object>,
    pub public_key: Vec<u8>,
    /// JSON that the node reported of itself.
    pub evidence: String,
    pub remote: String,
    /// Unique; the event of this use has it.
    pub event_id: String,
    pub now: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UseOutcome {
    Bound,
    /// A retry of the same token and public key. Its owner is the one that the first use bound.
    AlreadyBound {
        owner: String,
    },
    Expired,
    Exhausted,
    /// The server or device has another public key.
    OwnerAlreadyBound,
    /// The public key belongs to another server or device.
    PublicKeyTaken {
        owner: String,
    },
    Revoked,
}

pub(super) fn use_key(statements: &mut Statements, request: UseKey) -> Result<UseOutcome> {
    if let Some(owner) = retried(statements, &request)? {
        return Ok(UseOutcome::AlreadyBound { owner });
    }
    if let Some(refused) = refusal(statements, &request)? {
        record_refusal(statements, &request, &refused)?;
        return Ok(refused);
    }
    bind(statements, request)?;
    Ok(UseOutcome::Bound)
}

/// Returns whom the first use bound, if it still is bound and not revoked.
fn retried(statements: &mut Statements, request: &UseKey) -> Result<Option<String>> {
    let Some(owner) = key::used_for(statements, &request.digest, &request.public_key)? else {
        return Ok(None);
    };
    if revocation::find(statements, &request.public_key)?.is_some() {
        return Ok(None);
    }
    let bound = binding::of_owner(statements, &owner)?;
    Ok(bound.filter(|bound| bound.public_key == request.public_key).map(|bound| bound.owner))
}

/// Counts the use last, when nothing else can refuse it any more.
fn refusal(statements: &mut Statements, request: &UseKey) -> Result<Option<UseOutcome>> {
    if revocation::find(statements, &request.public_key)?.is_some() {
        return Ok(Some(UseOutcome::Revoked));
    }
    if request.expires_at.is_some_and(|expires_at| expires_at <= request.now) {
        return Ok(Some(UseOutcome::Expired));
    }
    if let Some(bound) = binding::of_public_key(statements, &request.public_key)? {
        return Ok(Some(UseOutcome::PublicKeyTaken { owner: bound.owner }));
    }
    if binding::of_owner(statements, &request.owner)?.is_some() {
        return Ok(Some(UseOutcome::OwnerAlreadyBound));
    }
    let key = IssueKey { uid: request.key.clone(), kind: request.kind, digest: request.digest.clone() };
    if !key::count_use(statements, &key, request.uses_max)? {
        return Ok(Some(UseOutcome::Exhausted));
    }
    Ok(None)
}

fn bind(statements: &mut Statements, request: UseKey) -> Result<()> {
    let key_use = KeyUse {
        digest: &request.digest,
        public_key: &request.public_key,
        key: &request.key,
        owner: &request.owner,
        used_at: request.now,
    };
    key::put_use(statements, &key_use)?;
    let detail = json!({ "key": request.key, "publicKey": hex(&request.public_key) });
    let object = format!("{}/{}", request.owner_kind.name(), request.owner);
    audit::append(
        statements,
        &AuditEntry {
            at: request.now,
            actor: format!("{}/{}", request.kind.name(), request.key),
            action: "Bind".into(),
            object: object.clone(),
            detail: detail.clone(),
        },
    )?;
    event::put(
        statements,
        &Event {
            id: request.event_id,
            at: request.now,
            kind: "KeyUsed".into(),
            severity: Severity::Info,
            object,
            remote: request.remote,
            detail,
        },
    )?;
    if let Some(created) = request.creates {
        object::put(statements, created)?;
    }
    binding::insert(
        statements,
        Binding {
            owner: request.owner,
            kind: request.owner_kind,
            public_key: request.public_key,
            bound_at: request.now,
            last_seen_at: request.now,
            evidence: request.evidence,
        },
    )
}

fn record_refusal(statements: &mut Statements, request: &UseKey, refused: &UseOutcome) -> Result<()> {
    let (reason, severity) = match refused {
        UseOutcome::Expired => ("Expired", Severity::Medium),
        UseOutcome::Exhausted => ("Exhausted", Severity::High),
        UseOutcome::OwnerAlreadyBound => ("OwnerAlreadyBound", Severity::High),
        UseOutcome::PublicKeyTaken { .. } => ("PublicKeyTaken", Severity::High),
        UseOutcome::Revoked => ("Revoked", Severity::High),
        UseOutcome::Bound | UseOutcome::AlreadyBound { .. } => return Ok(()),
    };
    event::put(
        statements,
        &Event {
            id: request.event_id.clone(),
            at: request.now,
            kind: "KeyRefused".into(),
            severity,
            object: format!("{}/{}", request.kind.name(), request.key),
            remote: request.remote.clone(),
            detail: json!({
                "reason": reason,
                "owner": request.owner,
                "publicKey": hex(&request.public_key),
            }),
        },
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod facts;
