//! Why the resource API did not do something, as it says it: a `Status`.

use serde_json::Value;

/// A refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The word that programs look at, such as `Conflict`.
    pub reason: String,
    /// The sentence that people read.
    pub message: String,
    pub causes: Vec<Cause>,
}

/// One thing that was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub field: String,
    pub message: String,
    /// Whether somebody else owns the field: it can be taken over.
    pub is_owned: bool,
}

impl Refusal {
    /// Reads a body; `None` if it is no refusal of the resource API.
    pub fn read(body: &Value) -> Option<Self> {
        if body["kind"] != "Status" || body["status"] == "Success" {
            return None;
        }
        let causes = body.pointer("/details/causes").and_then(Value::as_array);
        let causes = causes.into_iter().flatten().map(|cause| Cause {
            field: text(&cause["field"]).trim_start_matches('.').to_owned(),
            message: text(&cause["message"]),
            is_owned: cause["reason"] == "FieldManagerConflict",
        });
        Some(Self {
            reason: text(&body["reason"]),
            message: text(&body["message"]),
            causes: causes.collect(),
        })
    }

    /// Says whether all that is in the way is that others own fields.
    pub fn can_take_over(&self) -> bool {
        !self.causes.is_empty() && self.causes.iter().all(|cause| cause.is_owned)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_fields_of_others_can_be_taken_over() {
        let refusal = |reason: &str| {
            Refusal::read(&json!({
                "kind": "Status", "status": "Failure", "reason": "Conflict", "message": "no",
                "details": { "causes": [{ "reason": reason, "field": ".spec.mtu", "message": "why" }] },
            }))
            .unwrap()
        };

        assert!(refusal("FieldManagerConflict").can_take_over());
        assert_eq!(refusal("FieldManagerConflict").causes[0].field, "spec.mtu");
        assert!(!refusal("FieldValueInvalid").can_take_over());
        assert!(!Refusal::default().can_take_over());
    }

    #[test]
    fn other_bodies_are_no_refusal() {
        assert_eq!(Refusal::read(&json!({ "kind": "User" })), None);
        assert_eq!(Refusal::read(&json!({ "kind": "Status", "status": "Success" })), None);
    }
}
