//! What a schema cannot say about one object: fields that exclude, need or bound each other.

mod access_policy;
mod keys;
mod network;
mod server;

pub(crate) use self::network::overlap;

use horizon_api::resource::ResourceSpec;

/// A broken rule, before its place is known.
#[derive(Debug)]
pub(crate) struct Violation {
    pub path: String,
    pub code: &'static str,
    pub message: String,
    pub fix: String,
    pub is_warning: bool,
}

impl Violation {
    fn new(
        path: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), code, message: message.into(), fix: fix.into(), is_warning: false }
    }
}

/// Checks the rules of one object.
pub(crate) fn check(spec: &ResourceSpec) -> Vec<Violation> {
    match spec {
        ResourceSpec::Network(spec) => network::check(spec),
        ResourceSpec::Server(spec) => server::check(spec),
        ResourceSpec::RegistrationKey(spec) => keys::check_registration_key(spec),
        ResourceSpec::PersonalKey(spec) => keys::check_personal_key(spec),
        ResourceSpec::AccessPolicy(spec) => access_policy::check(spec),
        ResourceSpec::User(_)
        | ResourceSpec::Device(_)
        | ResourceSpec::AccessTest(_)
        | ResourceSpec::ConnectionProfile(_)
        | ResourceSpec::Admin(_)
        | ResourceSpec::AlertRule(_) => vec![],
    }
}

/// Complains unless exactly one of the fields is set.
fn exactly_one(path: &str, fields: &[(&str, bool)]) -> Option<Violation> {
    let set: Vec<_> =
        fields.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| format!("`{name}`")).collect();
    let all = fields.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let (message, fix) = match set.len() {
        1 => return None,
        0 => (format!("exactly one of {all} must be set"), "add one of them"),
        _ => (format!("exactly one of {all} must be set, not {}", set.join(" and ")), "remove all but one"),
    };
    Some(Violation::new(path, "ExactlyOne", message, fix))
}
