//! What people are known by: logins of admins and addresses of users, each of one person.

use std::collections::BTreeMap;

use horizon_api::{
    name::folded,
    problem::Problem,
    resource::{ObjectKey, ResourceSpec},
};
use smol_str::SmolStr;

use crate::world::Member;

/// Who has which name, as far as it is settled.
#[derive(Default)]
pub(super) struct Names<'a> {
    taken: BTreeMap<(SmolStr, &'static str, String), &'a ObjectKey>,
}

impl<'a> Names<'a> {
    pub(super) fn claim(&mut self, key: &'a ObjectKey, member: &Member<'_>) -> Result<(), Box<Problem>> {
        let (path, what, name) = match member.spec {
            ResourceSpec::User(spec) => match &spec.email {
                Some(email) => ("spec.email", "address", email.as_str()),
                None => return Ok(()),
            },
            ResourceSpec::Admin(spec) => {
                ("spec.login", "login", spec.login.as_deref().unwrap_or(key.name.as_str()))
            }
            ResourceSpec::Network(_)
            | ResourceSpec::Server(_)
            | ResourceSpec::RegistrationKey(_)
            | ResourceSpec::PersonalKey(_)
            | ResourceSpec::Device(_)
            | ResourceSpec::AccessPolicy(_)
            | ResourceSpec::AccessTest(_)
            | ResourceSpec::ConnectionProfile(_)
            | ResourceSpec::AlertRule(_) => return Ok(()),
        };
        let slot = (key.namespace.clone(), what, folded(name));
        if let Some(other) = self.taken.get(&slot).filter(|other| **other != key) {
            let message = format!("is the {what} of {other} already");
            let fix = "give each person their own; upper and lower case are the same";
            return Err(member.problem(key, path, "Conflicted", message).fix(fix).into());
        }
        self.taken.insert(slot, key);
        Ok(())
    }
}
