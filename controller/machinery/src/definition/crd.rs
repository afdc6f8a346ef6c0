//! The definitions of our kinds as objects: what `kubectl get crd` shows. They come with the program.

use horizon_api::resource::Kind;
use horizon_planner::schema::custom_resource_definition;
use serde_json::{Value, json};

/// Returns a kind's `CustomResourceDefinition` as an API server that serves it shows it. `since` is when the program
/// began to (RFC 3339).
pub fn object(kind: Kind, since: &str) -> Value {
    let mut definition = custom_resource_definition(kind);
    let names = &mut definition["spec"]["names"];
    names["listKind"] = format!("{kind}List").into();
    let names = names.clone();
    // The content says which definition it is: the same program gives the same, after a restart too.
    let hash = blake3::hash(definition.to_string().as_bytes()).to_hex();
    let uid = [&hash[..8], &hash[8..12], &hash[12..16], &hash[16..20], &hash[20..32]].join("-");
    let metadata = &mut definition["metadata"];
    metadata["creationTimestamp"] = since.into();
    metadata["generation"] = 1.into();
    metadata["resourceVersion"] = "1".into();
    metadata["uid"] = uid.into();
    definition["spec"]["conversion"] = json!({ "strategy": "None" });
    let version = definition["spec"]["versions"][0]["name"].clone();
    definition["status"] = json!({
        "acceptedNames": names,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found", since),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted", since),
        ],
        "storedVersions": [version],
    });
    definition
}

fn condition(kind: &str, reason: &str, message: &str, since: &str) -> Value {
    json!({ "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_established() {
        let definition = object(Kind::User, "2026-11-28T18:00:00Z");

        assert_eq!(definition["metadata"]["name"], "users.horizon.dev");
        assert_eq!(definition["status"]["acceptedNames"]["listKind"], "UserList");
        assert_eq!(definition["status"]["conditions"][1]["type"], "Established");
        assert_eq!(definition["metadata"]["uid"].as_str().map(str::len), Some(36));
        let later = object(Kind::User, "2026-11-29T18:00:00Z");
        assert_eq!(definition["metadata"]["uid"], later["metadata"]["uid"]);
    }
}
