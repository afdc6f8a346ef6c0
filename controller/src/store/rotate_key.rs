//! Another key for a node that is bound: binding, object and revocation of the key before in one transaction.

use serde_json::json;

use super::audit::{self, AuditEntry};
use super::binding;
use super::error::Result;
use super::event::{self, Event, Severity};
use super::gateway_key;
use super::object::{self, Object};
use super::revocation::{self, Revoke};
use super::statement::Statements;
use super::trust::{self, Trust};

/// Why the key before is revoked: for good, because who has it is not who had it.
pub const ROTATED: &str = "the node has another key";

/// A node's key and the one that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotateKey {
    /// The uid of the node's object.
    pub owner: String,
    /// `Kind/name` of it.
    pub name: String,
    /// What changes beside the key.
    pub with: Changed,
    pub old: Vec<u8>,
    pub next: Vec<u8>,
    pub remote: String,
    pub event_id: String,
    pub now: i64,
}

/// What changes with a node's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// A device's object, which says the key.
    Device(Object),
    /// How far a server is believed, by its key; and how many challenges of it are kept.
    Server(Option<Trust>, i64),
}

/// Binds the next key, unless it is somebody's or was revoked; says whether it was. A retry changes nothing.
pub(super) fn rotate(statements: &mut Statements, rotation: RotateKey) -> Result<bool> {
    let RotateKey { owner, name, with, old, next, remote, event_id, now } = rotation;
    if let Some(bound) = binding::of_public_key(statements, &next)? {
        return Ok(bound.owner != owner);
    }
    if revocation::find(statements, &next)?.is_some() {
        return Ok(true);
    }
    binding::rotate(statements, &owner, &old, &next)?;
    match with {
        Changed::Device(object) => object::put(statements, object)?,
        Changed::Server(known, kept) => {
            gateway_key::follow(statements, &owner, &old)?;
            known.map_or(Ok(()), |known| trust::put(statements, known, kept))?;
        }
    }
    let revoke = Revoke { public_key: old, owner: name.clone(), reason: ROTATED.to_owned(), now };
    revocation::revoke(statements, &revoke)?;
    let detail = json!({ "reason": "it has another key" });
    let (actor, action) = (name.clone(), "rotate".to_owned());
    audit::append(
        statements,
        &AuditEntry { at: now, actor, action, object: name.clone(), detail: detail.clone() },
    )?;
    let (kind, severity) = ("KeyRotated".to_owned(), Severity::Info);
    event::put(statements, &Event { id: event_id, at: now, kind, severity, object: name, remote, detail })?;
    Ok(false)
}
