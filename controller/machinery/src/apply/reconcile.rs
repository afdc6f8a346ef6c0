//! Owners of parts of what has since become one piece: they own the piece.

use horizon_planner::schema::ListType;

use super::shape::{Atom, Shape};
use crate::managed::{ManagedFields, fields::FieldSet, step::Step};

/// Returns the owners as the schema has them today. Owners in versions that are not served own nothing.
pub(crate) fn with_schema(shape: Shape<'_>, mut managed: ManagedFields, api_version: &str) -> ManagedFields {
    let owners = managed.owners_mut();
    owners.retain(|_, owner| owner.who.api_version == api_version);
    for owner in owners.values_mut() {
        let mut pieces = FieldSet::default();
        find(shape, Some(&owner.fields), false, &mut vec![], &mut pieces);
        if !pieces.is_empty() {
            owner.fields = std::mem::take(&mut owner.fields).recursive_difference(&pieces).union(&pieces);
        }
    }
    managed
}

/// Finds the fields that are one piece but are owned in parts.
fn find(
    shape: Shape<'_>,
    fields: Option<&FieldSet>,
    is_leaf: bool,
    path: &mut Vec<Step>,
    pieces: &mut FieldSet,
) {
    let atom = shape.atom(None);
    let is_piece = match atom {
        Atom::Map(map) => map.is_atomic && fields.is_some_and(|fields| !fields.is_empty()),
        Atom::List(list) => list.kind == ListType::Atomic,
        Atom::Scalar(_) => return,
    };
    if is_piece && !is_leaf {
        return pieces.insert(path);
    }
    for (step, below, is_member) in fields.into_iter().flat_map(FieldSet::nodes) {
        let shape = match (&atom, step) {
            (Atom::Map(map), Step::Field(name)) => map.field(name),
            (Atom::Map(_) | Atom::Scalar(_), _) => None,
            (Atom::List(list), _) => Some(list.items),
        };
        if let Some(shape) = shape {
            path.push(step.clone());
            find(shape, below, is_member && below.is_none(), path, pieces);
            path.pop();
        }
    }
}
