//! Fields that others own, and how the API server says so.

use std::collections::BTreeMap;

use crate::{
    apply::compare::Difference,
    managed::{
        ManagedFields, Who,
        step::{Step, path_text},
    },
    refusal::{Cause, CauseReason, Refusal},
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

/// Returns the fields that a change touches and others own.
pub(crate) fn find(managed: &ManagedFields, difference: &Difference, applier: &str) -> Vec<Conflict> {
    let touched = difference.modified.clone().union(&difference.added);
    let others = managed.iter().filter(|(identifier, _)| *identifier != applier);
    let conflicts = others.flat_map(|(identifier, owner)| {
        let paths = owner.fields.intersection(&touched).paths();
        let who: &Who = &owner.who;
        let named = who.in_conflict();
        paths.into_iter().map(move |path| Conflict {
            identifier: identifier.clone(),
            owner: named.clone(),
            path,
        })
    });
    conflicts.collect()
}

/// Returns the refusal that names every conflict.
pub(crate) fn refuse(conflicts: &[Conflict]) -> Refusal {
    let causes = conflicts.iter().map(|conflict| Cause {
        reason: CauseReason::FieldManagerConflict,
        message: format!("conflict with {}", conflict.owner),
        field: path_text(&conflict.path),
    });
    Refusal::owned_by_others(message(conflicts), causes.collect())
}

fn message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            only.owner,
            path_text(&only.path)
        );
    }
    let mut by_owner: BTreeMap<String, Vec<Vec<Step>>> = BTreeMap::new();
    for conflict in conflicts {
        by_owner.entry(conflict.identifier.clone()).or_default().push(conflict.path.clone());
    }
    let lines = by_owner.iter().flat_map(|(identifier, paths)| {
        let owner = conflicts.iter().find(|conflict| conflict.identifier == *identifier);
        let head = format!("conflicts with {}:", owner.map_or("", |conflict| &conflict.owner));
        std::iter::once(head).chain(paths.iter().map(|path| format!("- {}", path_text(path))))
    });
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.collect::<Vec<_>>().join("\n"))
}
