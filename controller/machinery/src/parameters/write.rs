//! `create`, `update` and `patch`: who writes, whether it counts, and what happens to fields that nobody knows.

use super::{check, dry_run_cause};
use crate::{
    field_cause, gotext,
    query::Query,
    refusal::{Cause, Refusal},
};

/// What the query of a write says, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Who owns the fields that are written; taken from `User-Agent` where it is not given. May be empty.
    pub field_manager: String,
    /// Whether everything happens except that anything changes.
    pub is_dry_run: bool,
    pub field_validation: FieldValidation,
    /// Whether to take fields over from others; only in server-side apply.
    pub force: bool,
}

/// What happens to fields that the schema does not know, and to fields that are given twice (`fieldValidation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped.
    Ignore,
    /// They are dropped, and the answer warns.
    Warn,
    /// The request is refused.
    Strict,
}

/// Which write it is; each has rules of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Create,
    Update,
    /// A patch of fields: JSON patch or merge patch.
    Patch,
    /// Server-side apply.
    Apply,
}

/// The longest field manager, in bytes.
const FIELD_MANAGER_BYTES_MAX: usize = 128;

impl Write {
    /// Reads the query of a write.
    ///
    /// # Errors
    /// 422 that names every parameter that is wrong, as an API server does.
    pub fn parse(query: &Query, verb: Verb, user_agent: &str) -> Result<Self, Refusal> {
        let mut causes = vec![];
        let manager = query.text("fieldManager");
        match verb {
            Verb::Apply if manager.is_empty() => {
                causes.push(field_cause::required("fieldManager", "is required for apply patch"));
            }
            Verb::Patch if query.first("force").is_some() => {
                causes.push(field_cause::forbidden("force", "may not be specified for non-apply patch"));
            }
            Verb::Create | Verb::Update | Verb::Patch | Verb::Apply => {}
        }
        causes.extend(field_manager_causes(manager));
        let dry_run = query.all("dryRun");
        causes.extend(dry_run_cause(dry_run));
        let field_validation = field_validation(query, &mut causes);
        let options = match verb {
            Verb::Create => "CreateOptions",
            Verb::Update => "UpdateOptions",
            Verb::Patch | Verb::Apply => "PatchOptions",
        };
        check(options, causes)?;
        Ok(Self {
            field_manager: if manager.is_empty() { program(user_agent) } else { manager.to_owned() },
            is_dry_run: !dry_run.is_empty(),
            field_validation,
            force: verb == Verb::Apply && query.switch("force").unwrap_or_default(),
        })
    }
}

fn field_validation(query: &Query, causes: &mut Vec<Cause>) -> FieldValidation {
    match query.text("fieldValidation") {
        "Ignore" => FieldValidation::Ignore,
        "" | "Warn" => FieldValidation::Warn,
        "Strict" => FieldValidation::Strict,
        other => {
            let json = gotext::quoted(other);
            let known = ["", "Ignore", "Strict", "Warn"];
            causes.push(field_cause::not_supported("fieldValidation", &json, &known));
            FieldValidation::Strict
        }
    }
}

fn field_manager_causes(manager: &str) -> Vec<Cause> {
    let mut causes = vec![];
    if manager.len() > FIELD_MANAGER_BYTES_MAX {
        causes.push(field_cause::too_long("fieldManager", FIELD_MANAGER_BYTES_MAX));
    }
    if let Some((position, character)) = manager.char_indices().find(|(_, c)| !gotext::is_printable(*c)) {
        let why = format!("invalid character U+{:04X} (at position {position})", u32::from(character));
        causes.push(field_cause::invalid("fieldManager", manager, &why));
    }
    causes
}

/// Returns the program's name in a `User-Agent`: what stands before the first slash.
fn program(user_agent: &str) -> String {
    let name = user_agent.split('/').next().unwrap_or_default();
    let mut program = String::new();
    for character in name.chars().filter(|character| gotext::is_printable(*character)) {
        if program.len() + character.len_utf8() > FIELD_MANAGER_BYTES_MAX {
            break;
        }
        program.push(character);
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, verb: Verb) -> Result<Write, Refusal> {
        Write::parse(&Query::parse(query).unwrap(), verb, "kubectl/v1.34.4 (linux/amd64)")
    }

    #[test]
    fn what_is_not_said_has_defaults() {
        let write = parse("", Verb::Create).unwrap();

        assert_eq!((write.field_manager.as_str(), write.is_dry_run, write.force), ("kubectl", false, false));
        assert_eq!(write.field_validation, FieldValidation::Warn);
    }

    #[test]
    fn what_is_said_is_taken() {
        let query = "fieldManager=me&dryRun=All&fieldValidation=Strict&force=true";

        let write = parse(query, Verb::Apply).unwrap();

        assert_eq!((write.field_manager.as_str(), write.is_dry_run, write.force), ("me", true, true));
        assert_eq!(write.field_validation, FieldValidation::Strict);
    }

    #[test]
    fn every_fault_is_named_in_the_words_of_an_api_server() {
        for (query, verb, expected) in [
            (
                "",
                Verb::Apply,
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ),
            (
                "force=true",
                Verb::Patch,
                "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
            ),
            (
                "dryRun=None&fieldValidation=x",
                Verb::Create,
                "CreateOptions.meta.k8s.io \"\" is invalid: [dryRun: Unsupported value: [\"None\"]: supported values: \
                 \"All\", fieldValidation: Unsupported value: \"x\": supported values: \"\", \"Ignore\", \"Strict\", \
                 \"Warn\"]",
            ),
            (
                "fieldManager=a%01",
                Verb::Update,
                "UpdateOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\x01\": invalid \
                 character U+0001 (at position 1)",
            ),
        ] {
            let refusal = parse(query, verb).unwrap_err();
            assert_eq!((refusal.code, refusal.message.as_str()), (422, expected), "{query}");
        }
        let long = format!("fieldManager={}", "m".repeat(129));
        assert_eq!(parse(&long, Verb::Update).unwrap_err().causes().len(), 1);
    }
}
