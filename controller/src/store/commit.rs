//! The commit of a revision: everything that one compilation changed, in one transaction.

use super::allocation::{self, Allocation};
use super::assignment::{self, Assignment};
use super::audit::{self, AuditEntry};
use super::binding::{self, Binding, Reenrolled};
use super::error::{Result, StoreError};
use super::guard::{self, Guard};
use super::key::{self, IssuedKey, TokenUses};
use super::meta;
use super::object::{self, Object};
use super::revision::{self, Revision};
use super::revocation::{self, Revoke};
use super::section::{self, Section};
use super::statement::Statements;
use super::trust;

/// One revision and what it changed. What is not named stays as it is.
#[derive(Debug, Clone)]
pub struct CommitRevision {
    /// Follows the last one; its epoch is the store's.
    pub revision: Revision,
    pub objects: Vec<Object>,
    /// Uids. Bindings, issued tokens and assignments of a deleted object go with it; addresses when `released`.
    pub deleted: Vec<String>,
    /// Uids of keys that stay, but whose token is no longer made here: the one that was issued is void.
    pub withdrawn: Vec<String>,
    /// Nodes of whose key something is known anew.
    pub reenrolled: Vec<Reenrolled>,
    pub released: Vec<Allocation>,
    pub allocated: Vec<Allocation>,
    pub sections: Vec<Section>,
    pub assignments: Vec<Assignment>,
    /// Uids of servers that have nothing to run any more.
    pub unassigned: Vec<String>,
    /// Keys that no node may have any more, and those that were revoked for a reason that is gone.
    pub revoked: Vec<Revoke>,
    pub lifted: Vec<Revoke>,
    /// What objects had before a revision that is taken back.
    pub restored: Restored,
    /// What is between texts and their effect once this is in force.
    pub guard: Guard,
    pub audit: AuditEntry,
}

/// Facts of objects, by the uids that they have now. What an object has by now stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    pub bindings: Vec<Binding>,
    pub issued_keys: Vec<IssuedKey>,
    pub token_uses: Vec<TokenUses>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    Committed,
    /// The same revision was committed before: a retry after a lost answer.
    AlreadyCommitted,
}

pub(super) fn commit_revision(statements: &mut Statements, commit: CommitRevision) -> Result<CommitOutcome> {
    if is_committed(statements, &commit.revision)? {
        return Ok(CommitOutcome::AlreadyCommitted);
    }
    let number = commit.revision.number;
    revision::insert(statements, commit.revision)?;
    for uid in &commit.deleted {
        delete_object(statements, uid)?;
    }
    for uid in &commit.withdrawn {
        key::withdraw(statements, uid)?;
    }
    for object in commit.objects {
        object::put(statements, object)?;
    }
    restore(statements, commit.restored)?;
    commit.reenrolled.iter().try_for_each(|node| binding::reenrol(statements, node))?;
    commit.revoked.iter().try_for_each(|revoke| revocation::revoke(statements, revoke))?;
    commit.lifted.iter().try_for_each(|revoke| revocation::lift(statements, revoke))?;
    for allocation in commit.released {
        allocation::delete(statements, allocation)?;
    }
    for allocation in commit.allocated {
        allocation::put(statements, allocation)?;
    }
    for section in commit.sections {
        section::put(statements, section)?;
    }
    for assignment in commit.assignments {
        assignment::insert(statements, number, assignment)?;
    }
    for server in &commit.unassigned {
        assignment::delete_of(statements, server)?;
    }
    section::delete_unused(statements)?;
    guard::replace(statements, commit.guard)?;
    audit::append(statements, &commit.audit)?;
    Ok(CommitOutcome::Committed)
}

fn is_committed(statements: &mut Statements, wanted: &Revision) -> Result<bool> {
    let number = wanted.number;
    if let Some(stored) = revision::find(statements, number)? {
        return if stored.hash == wanted.hash { Ok(true) } else { Err(StoreError::RevisionTaken { number }) };
    }
    let last = revision::last(statements)?.map_or(0, |revision| revision.number);
    if number != last + 1 {
        return Err(StoreError::RevisionGap { number, last });
    }
    let stored = meta::epoch(statements)?;
    if stored != wanted.epoch {
        return Err(StoreError::EpochChanged { stored, given: wanted.epoch });
    }
    Ok(false)
}

fn restore(statements: &mut Statements, restored: Restored) -> Result<()> {
    for binding in restored.bindings {
        binding::restore(statements, binding)?;
    }
    for key in &restored.issued_keys {
        key::issue(statements, key)?;
    }
    restored.token_uses.iter().try_for_each(|uses| key::restore_uses(statements, uses))
}

fn delete_object(statements: &mut Statements, uid: &str) -> Result<()> {
    object::delete(statements, uid)?;
    binding::delete(statements, uid)?;
    key::delete(statements, uid)?;
    trust::delete(statements, uid)?;
    assignment::delete_of(statements, uid)
}
