//! Strategic merge patch, as far as it is a merge patch: namespaces, secrets and events are maps, and `kubectl` sends
//! this form when it edits them.

use serde_json::Value;

use crate::{gotext::quoted, refusal::Refusal, told};

/// What a strategic merge patch can say beyond a merge patch.
const DIRECTIVES: [&str; 3] = ["$patch", "$retainKeys", "$setElementOrder/"];
const DELETED_ITEMS: &str = "$deleteFromPrimitiveList/";

/// Checks that a strategic merge patch means the same as a merge patch.
///
/// # Errors
/// 400 for a directive, and for a list, which this form merges by rules of its own.
pub fn check_strategic(patch: &Value) -> Result<(), Refusal> {
    let Value::Object(fields) = patch else { return Ok(()) };
    for (name, value) in fields {
        let is_directive = DIRECTIVES.iter().chain([&DELETED_ITEMS]).any(|directive| {
            name.strip_prefix(directive).is_some_and(|rest| rest.is_empty() || directive.ends_with('/'))
        });
        if is_directive {
            return Err(refuse(&format!("the directive {}", quoted(&told::path([name])))));
        }
        if value.is_array() {
            return Err(refuse(&format!("the list {}", quoted(&told::path([name])))));
        }
        check_strategic(value)?;
    }
    Ok(())
}

fn refuse(what: &str) -> Refusal {
    let message = format!(
        "{what} is not read in a strategic merge patch here; send application/merge-patch+json, or apply it with \
         --server-side"
    );
    Refusal::bad_request(message)
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::Kind;
    use serde_json::json;

    use super::*;
    use crate::{definition::Definition, patch::Form, resource::Resource};

    #[test]
    fn what_a_merge_patch_means_too_is_taken() {
        assert_eq!(check_strategic(&json!({"data": {"a": null, "b": "eA==", "$": "x"}})), Ok(()));
    }

    #[test]
    fn directives_and_lists_are_refused() {
        for patch in [
            json!({"$patch": "delete"}),
            json!({"data": {"$retainKeys": ["a"]}}),
            json!({"metadata": {"$setElementOrder/finalizers": ["a"]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
            json!({"metadata": {"finalizers": ["a"]}}),
        ] {
            let refusal = check_strategic(&patch).unwrap_err();
            assert!(refusal.code == 400 && refusal.message.contains("--server-side"), "{refusal}");
        }
    }

    #[test]
    fn ours_are_not_patched_so() {
        let strategic = "application/strategic-merge-patch+json";
        let secrets = Definition::of_resource(Resource::find("", "v1", "secrets").unwrap()).unwrap();
        let users = Definition::of(Kind::User);

        assert_eq!(Form::parse(strategic, secrets), Ok(Form::Strategic));
        assert_eq!(Form::parse("application/merge-patch+json; charset=utf-8", users), Ok(Form::Merge));
        let refusal = Form::parse(strategic, users).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (
                415,
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
            )
        );
        assert!(Form::parse("application/json", secrets).unwrap_err().message.contains("strategic"));
    }
}
