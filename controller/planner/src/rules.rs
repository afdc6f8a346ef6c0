//! What no rule of CEL says about one object: what is allowed but hardly meant, and what contradicts itself.

mod access_policy;
mod access_test;

use horizon_api::{problem::Severity, resource::ResourceSpec};

use crate::{node::Node, validate::Complaint};

/// A broken rule, before its place is known.
#[derive(Debug)]
pub(crate) struct Violation {
    pub path: String,
    pub code: &'static str,
    pub message: String,
    pub fix: &'static str,
    pub severity: Severity,
}

impl Violation {
    /// Finds its place.
    pub(crate) fn at(self, root: &Node) -> Complaint {
        let place = root.place_of(&self.path);
        let error = Complaint::error(place, &self.path, self.code, self.message, self.fix);
        Complaint { severity: self.severity, ..error }
    }
}

/// Checks the rules of one object.
pub(crate) fn check(spec: &ResourceSpec) -> Vec<Violation> {
    match spec {
        ResourceSpec::AccessPolicy(spec) => access_policy::check(spec),
        ResourceSpec::AccessTest(spec) => access_test::check(spec),
        ResourceSpec::Network(_)
        | ResourceSpec::Server(_)
        | ResourceSpec::RegistrationKey(_)
        | ResourceSpec::User(_)
        | ResourceSpec::PersonalKey(_)
        | ResourceSpec::Device(_)
        | ResourceSpec::ConnectionProfile(_)
        | ResourceSpec::Admin(_)
        | ResourceSpec::AlertRule(_) => vec![],
    }
}
