//! Everything that a controller needs of the past when it starts.

use super::allocation::{self, Allocation};
use super::assignment::{self, StoredAssignment};
use super::binding::{self, Binding};
use super::definition::{self, Definition};
use super::error::Result;
use super::gateway_key::{self, GatewayKeys};
use super::guard::{self, Guard};
use super::hold::{self, Hold};
use super::key::{self, IssuedKey, LastUse, TokenUses};
use super::meta;
use super::object::{self, Object};
use super::revision::{self, Revision};
use super::revocation::{self, Revocation};
use super::section::{self, Section};
use super::statement::Statements;
use super::trust::{self, Trust};

/// One moment of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub epoch: i64,
    /// Epoch and revision of the backup that the store was made from, if it was.
    pub restored_from: Option<(i64, i64)>,
    /// The last one, unless nothing was ever committed.
    pub revision: Option<Revision>,
    pub objects: Vec<Object>,
    pub allocations: Vec<Allocation>,
    pub bindings: Vec<Binding>,
    pub gateway_keys: Vec<GatewayKeys>,
    pub issued_keys: Vec<IssuedKey>,
    pub token_uses: Vec<TokenUses>,
    pub last_uses: Vec<LastUse>,
    pub revocations: Vec<Revocation>,
    /// The newest of each server, and the sections that they name.
    pub assignments: Vec<StoredAssignment>,
    pub sections: Vec<Section>,
    pub holds: Vec<Hold>,
    pub definitions: Vec<Definition>,
    /// For which object of the cluster the secret of a key is, by the key's uid.
    pub token_secrets: Vec<(String, String)>,
    pub guard: Guard,
    pub trust: Vec<Trust>,
}

pub(super) fn load(statements: &mut Statements) -> Result<Stored> {
    Ok(Stored {
        epoch: meta::epoch(statements)?,
        restored_from: meta::restored_from(statements)?,
        revision: revision::last(statements)?,
        objects: object::all(statements)?,
        allocations: allocation::all(statements)?,
        bindings: binding::all(statements)?,
        gateway_keys: gateway_key::all(statements)?,
        issued_keys: key::issued(statements)?,
        token_uses: key::uses(statements)?,
        last_uses: key::last_uses(statements)?,
        revocations: revocation::all(statements)?,
        assignments: assignment::in_force(statements)?,
        sections: section::in_force(statements)?,
        holds: hold::all(statements)?,
        definitions: definition::all(statements)?,
        token_secrets: key::secrets(statements)?,
        guard: guard::load(statements)?,
        trust: trust::all(statements)?,
    })
}
