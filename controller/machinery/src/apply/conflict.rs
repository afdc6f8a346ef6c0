//! Fields that others own, and how the API server says so.

use std::collections::BTreeMap;

use crate::{
    apply::compare::Difference,
    managed::{ManagedFields, Who, step::Step},
    refusal::{CAUSES_MAX, Cause, CauseReason, Refusal},
    told,
};

/// A field that somebody else owns.
#[derive(Clone, Debug)]
pub(crate) struct Conflict {
    /// What sorts owners in messages.
    identifier: String,
    /// Who owns it, and since when.
    owner: String,
    pub(crate) path: Vec<Step>,
}

/// Returns the first fields that a change touches and others own.
pub(crate) fn find(managed: &ManagedFields, difference: &Difference, applier: &str) -> Vec<Conflict> {
    let touched = difference.modified.clone().union(&difference.added);
    let others = managed.iter().filter(|(identifier, _)| *identifier != applier);
    let conflicts = others.flat_map(|(identifier, owner)| {
        let paths = owner.fields.intersection(&touched).paths(CAUSES_MAX);
        let who: &Who = &owner.who;
        let named = who.in_conflict();
        paths.into_iter().map(move |path| Conflict {
            identifier: identifier.clone(),
            owner: named.clone(),
            path,
        })
    });
    conflicts.take(CAUSES_MAX).collect()
}

/// Returns the refusal that names every conflict.
pub(crate) fn refuse(conflicts: &[Conflict]) -> Refusal {
    let causes = conflicts.iter().map(|conflict| Cause {
        reason: CauseReason::FieldManagerConflict,
        message: format!("conflict with {}", conflict.owner),
        field: told::path(&conflict.path),
    });
    Refusal::owned_by_others(message(conflicts), causes.collect())
}

fn message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            only.owner,
            told::path(&only.path)
        );
    }
    let mut by_owner: BTreeMap<&str, (&str, Vec<String>)> = BTreeMap::new();
    for conflict in conflicts {
        let told = by_owner.entry(&conflict.identifier).or_insert_with(|| (&conflict.owner, vec![]));
        told.1.push(format!("- {}", told::path(&conflict.path)));
    }
    let lines = by_owner.into_values().flat_map(|(owner, paths)| {
        let head = format!("conflicts with {owner}:");
        std::iter::once(head).chain(paths)
    });
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.collect::<Vec<_>>().join("\n"))
}
