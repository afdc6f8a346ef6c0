//! What was accepted stays accepted: a rule that became stricter does not refuse what nobody touched (KEP-4008).

use horizon_api::resource::{Kind, Metadata, ResourceSpec};
use serde_json::{Value as Json, json};

use crate::{
    compile::Committed,
    manifest::Readable,
    schema::{ListType, Schema},
};

/// Returns whether all that stands against an object is about parts of it that are in force already.
pub(crate) fn stays_accepted(readable: &Readable, committed: &Committed) -> bool {
    let old = document(&committed.metadata, &committed.spec);
    let new = document(&readable.manifest.metadata, &readable.manifest.spec);
    let kind = committed.key.kind;
    let mut sites = readable.faults.iter().flat_map(|fault| &fault.sites);
    sites.all(|site| is_unchanged(kind, &old, &new, site))
}

fn document(metadata: &Metadata, spec: &ResourceSpec) -> Json {
    json!({ "metadata": metadata, "spec": spec })
}

/// Compares what stands at a path. Items of a list are found again by their keys; a list without keys is one thing.
pub(crate) fn is_unchanged(kind: Kind, old: &Json, new: &Json, path: &str) -> bool {
    let (mut old, mut new, mut schema) = (old, new, None);
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        if let Some(index) = step.strip_suffix(']') {
            let items = (old.as_array(), new.as_array(), index.parse::<usize>());
            let (Some(old_items), Some(new_items), Ok(index)) = items else { return false };
            let Some(list) = schema.filter(|schema: &&Schema| schema.list == ListType::Map) else { break };
            let Some(item) = new_items.get(index) else { return false };
            let is_same = |other: &&Json| list.list_keys.iter().all(|key| other.get(key) == item.get(key));
            let Some(earlier) = old_items.iter().find(is_same) else { return false };
            (old, new, schema) = (earlier, item, list.items.as_deref());
        } else {
            match (old.get(step), new.get(step)) {
                (Some(earlier), Some(value)) => (old, new) = (earlier, value),
                // Nothing that the specs hold: it can be a word that only the text has, such as `status`.
                (None, None) => return schema.is_some_and(|schema| schema.properties.contains_key(step)),
                (Some(_), None) | (None, Some(_)) => return false,
            }
            schema = match schema {
                None if step == "spec" => Some(Schema::of(kind)),
                None => None,
                Some(schema) => schema.properties.get(step).or(schema.additional_properties.as_deref()),
            };
        }
    }
    old == new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, old: Json, new: Json, expected: bool) {
        assert_eq!(is_unchanged(Kind::Network, &json!({"spec": old}), &json!({"spec": new}), path), expected);
    }

    #[test]
    fn a_part_is_unchanged_when_it_is_the_same_there() {
        let (old, new) = (json!({"mtu": 1000, "pq": "Preferred"}), json!({"mtu": 1000, "pq": "Required"}));

        check("spec.mtu", old.clone(), new.clone(), true);
        check("spec.pq", old.clone(), new.clone(), false);
        check("spec", old.clone(), new.clone(), false);
        check("status", old.clone(), new, false);
        check("spec.offlineGrace", old.clone(), old, true);
    }

    #[test]
    fn items_are_found_again_by_their_keys() {
        let pool = |cidr: &str, reserved: &str| json!({"cidr": cidr, "reserved": [reserved]});
        let old = json!({"addressPools": [pool("10.1.0.0/16", "10.9.0.1")]});
        let moved =
            json!({"addressPools": [pool("10.2.0.0/16", "10.2.0.1"), pool("10.1.0.0/16", "10.9.0.1")]});
        let changed = json!({"addressPools": [pool("10.1.0.0/16", "10.9.0.2")]});

        check("spec.addressPools[1].reserved[0]", old.clone(), moved.clone(), true);
        check("spec.addressPools[0].reserved[0]", old.clone(), moved, false);
        check("spec.addressPools[0].reserved[0]", old, changed, false);
    }
}
