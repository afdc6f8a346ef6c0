//! Why somebody may reach something or not: which rule says so, or what else stands in the way, and until when.
//!
//! It asks the tables that gateways are given, with the function that gateways decide by.

mod answer;
mod case;
mod end;
mod find;
mod judge;
mod question;

use std::{cell::OnceCell, collections::BTreeMap, net::IpAddr};

use horizon_api::{
    http::{ApiError, PolicyAnswer},
    resource::{ObjectKey, ResourceSpec},
    section::NetworkId,
};

pub use self::{
    case::CaseResult,
    question::{Flow, Question, Subject},
};
use crate::{
    compile::{Access, Compiled, Effective},
    manifest::Origin,
};

/// The code of an error that is about how a question is put, and not about what is.
pub const USAGE: &str = "Usage";

/// What is asked about.
pub struct Scene<'a> {
    pub access: &'a Access,
    pub effective: &'a Effective,
    pub objects: BTreeMap<&'a ObjectKey, (&'a ResourceSpec, &'a Origin)>,
    owners: OnceCell<Owners<'a>>,
}

/// Who has which address in which network.
type Owners<'a> = BTreeMap<IpAddr, (&'a NetworkId, &'a ObjectKey)>;

impl<'a> Scene<'a> {
    /// Returns a scene of what may not be compiled to its end.
    pub fn new(
        access: &'a Access,
        effective: &'a Effective,
        objects: BTreeMap<&'a ObjectKey, (&'a ResourceSpec, &'a Origin)>,
    ) -> Self {
        Self { access, effective, objects, owners: OnceCell::new() }
    }

    /// Returns the scene of a revision.
    pub fn of(compiled: &'a Compiled) -> Self {
        let objects = compiled.objects.iter();
        let objects = objects.map(|(key, object)| (key, (&object.spec, &object.owner.origin))).collect();
        Self::new(&compiled.access, &compiled.effective, objects)
    }

    /// Answers a question as of a moment (unix seconds).
    ///
    /// # Errors
    /// When it names what is not there, or more than can be looked at.
    pub fn why(&self, question: &Question, at: i64) -> Result<PolicyAnswer, ApiError> {
        answer::answer(self, question, at)
    }
}
