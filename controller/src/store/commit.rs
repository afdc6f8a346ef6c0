//! The commit of a revision: everything that one compilation changed, in one transaction.

use super::allocation::{self, Allocation};
use super::assignment::{self, Assignment};
use super::audit::{self, AuditEntry};
use super::error::{Result, StoreError};
use super::object::{self, Object, ObjectConditions};
use super::revision::{self, Revision};
use super::section::{self, Section};
use super::statement::Statements;
use super::{binding, key, meta};

/// One revision and what it changed. What is not named stays as it is.
#[derive(Debug, Clone)]
pub struct CommitRevision {
    /// Follows the last one; its epoch is the store's.
    pub revision: Revision,
    pub objects: Vec<Object>,
    /// Uids. Bindings, key uses and assignments of a deleted object go with it; addresses when `released`.
    pub deleted: Vec<String>,
    pub conditions: Vec<ObjectConditions>,
    pub released: Vec<Allocation>,
    pub allocated: Vec<Allocation>,
    pub sections: Vec<Section>,
    pub assignments: Vec<Assignment>,
    pub audit: AuditEntry,
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
    for object in commit.objects {
        object::put(statements, object)?;
    }
    for conditions in commit.conditions {
        object::set_conditions(statements, conditions)?;
    }
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
    section::delete_unused(statements)?;
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

fn delete_object(statements: &mut Statements, uid: &str) -> Result<()> {
    object::delete(statements, uid)?;
    binding::delete(statements, uid)?;
    key::delete(statements, uid)?;
    assignment::delete_of(statements, uid)
}
