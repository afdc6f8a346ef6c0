//! The use of a registration or personal key: it is counted, and a node is bound, or neither.
//!
//! Everything is decided inside the one transaction that writes it, so of any number of concurrent uses of
//! a one-time key exactly one binds. A node that lost the answer asks again with the same token and public
//! key, and gets the same answer without a second use. A refusal writes nothing.

use serde_json::json;

use super::audit::{self, AuditEntry};
use super::binding::{self, Binding, Enrolment, NodeKind, Reenrolled};
use super::error::Result;
use super::event::{self, Event, Severity};
use super::key::{self, KeyUse};
use super::object::{self, Object};
use super::revocation::{self, FORGOTTEN, Revoke};
use super::statement::Statements;

/// An object, by its uid, with the `Kind/name` that people know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub uid: String,
    pub name: String,
}

/// A node that proved its public key asks to be bound with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseKey {
    pub key: Named,
    /// Digest of the presented token, keyed by the caller's pepper.
    pub digest: Vec<u8>,
    /// `None`: as often as wanted.
    pub uses_max: Option<i64>,
    /// What the key says of its revocation.
    pub on_revoke: String,
    /// The server or device to bind, and which of the two it is.
    pub owner: Named,
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
        key::put_use(statements, &key_use(&request, &owner))?;
        let node = Reenrolled { public_key: request.public_key.clone(), enrolment: enrolment(&request) };
        binding::reenrol(statements, &node)?;
        return Ok(UseOutcome::AlreadyBound { owner });
    }
    if let Some(refused) = refusal(statements, &request)? {
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
    let revoked = revocation::find(statements, &request.public_key)?;
    if revoked.is_some_and(|revoked| revoked.reason != FORGOTTEN) {
        return Ok(Some(UseOutcome::Revoked));
    }
    match binding::of_public_key(statements, &request.public_key)? {
        // A node that signed out, or joins again with another token, is the same node.
        Some(bound) if bound.owner == request.owner.uid => {}
        Some(bound) => return Ok(Some(UseOutcome::PublicKeyTaken { owner: bound.owner })),
        None if binding::of_owner(statements, &request.owner.uid)?.is_some() => {
            return Ok(Some(UseOutcome::OwnerAlreadyBound));
        }
        None => {}
    }
    if key::count_use(statements, &request.digest, request.uses_max)? {
        Ok(None)
    } else {
        Ok(Some(UseOutcome::Exhausted))
    }
}

fn bind(statements: &mut Statements, request: UseKey) -> Result<()> {
    let forgotten = Revoke {
        public_key: request.public_key.clone(),
        owner: request.owner.name.clone(),
        reason: FORGOTTEN.to_owned(),
        now: request.now,
    };
    revocation::lift(statements, &forgotten)?;
    key::put_use(statements, &key_use(&request, &request.owner.uid))?;
    let enrolment = enrolment(&request);
    let detail = json!({
        "reason": format!("bound with {}", request.key.name),
        "key": request.key.uid,
        "owner": request.owner.uid,
        "publicKey": hex(&request.public_key),
    });
    audit::append(
        statements,
        &AuditEntry {
            at: request.now,
            actor: request.key.name,
            action: "Bind".into(),
            object: request.owner.name.clone(),
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
            object: request.owner.name,
            remote: request.remote,
            detail,
        },
    )?;
    if let Some(created) = request.creates {
        object::put(statements, created)?;
    }
    binding::put(
        statements,
        Binding {
            owner: request.owner.uid,
            kind: request.owner_kind,
            public_key: request.public_key,
            bound_at: request.now,
            last_seen_at: request.now,
            evidence: request.evidence,
            enrolment: Some(enrolment),
        },
    )
}

fn key_use<'a>(request: &'a UseKey, owner: &'a str) -> KeyUse<'a> {
    KeyUse {
        digest: &request.digest,
        public_key: &request.public_key,
        key: &request.key.uid,
        owner,
        used_at: request.now,
        remote: &request.remote,
        node: &request.owner.name,
    }
}

fn enrolment(request: &UseKey) -> Enrolment {
    Enrolment {
        key: request.key.uid.clone(),
        token: request.digest.clone(),
        on_revoke: request.on_revoke.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod facts;
