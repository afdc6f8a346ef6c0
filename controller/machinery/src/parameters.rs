//! What a request asks for in its query, read and checked as an API server does (`ListOptions`, `CreateOptions`, …).
//! Names that nobody knows are ignored, as there; values that nobody knows are refused.

pub mod delete;
pub mod read;
pub mod write;

use crate::{
    field_cause, gotext,
    refusal::{About, Cause, Refusal},
};

/// The group of the options.
const META_GROUP: &str = "meta.k8s.io";

/// Refuses options for what is wrong with them, if anything is.
fn check(kind: &str, causes: Vec<Cause>) -> Result<(), Refusal> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(About { group: META_GROUP, kind, name: "" }, causes))
}

/// Says what is wrong with the values of `dryRun`, if anything is.
fn dry_run_cause(values: &[String]) -> Option<Cause> {
    let json = || gotext::json(&serde_json::Value::from(values));
    values.iter().any(|value| value != "All").then(|| field_cause::not_supported("dryRun", &json(), &["All"]))
}

/// Reads a resource version that must be a number; `0` means any.
///
/// # Errors
/// The cause, with the API server's sentence.
fn resource_version(text: &str) -> Result<u64, Cause> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or_else(|| {
        let why = if is_number { "value out of range" } else { "invalid syntax" };
        let quoted = gotext::quoted(text);
        field_cause::invalid("resourceVersion", text, &format!("strconv.ParseUint: parsing {quoted}: {why}"))
    })
}
