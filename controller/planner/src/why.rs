//! Why somebody may reach something or not: which rule says so, or what else stands in the way, and until when.
//!
//! It asks the tables that gateways are given, with the function that gateways decide by.

mod answer;
mod case;
mod end;
mod find;
mod judge;
mod question;

use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
    net::IpAddr,
    rc::Rc,
};

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
    effect::rules::{Rules, When},
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
    /// The rules of one network at one moment: cases of a test mostly share both.
    rules: RefCell<Option<(NetworkId, i64, Rc<Rules<'a>>)>>,
}

/// Who has which address in which network: networks of two namespaces may have the same.
type Owners<'a> = BTreeMap<IpAddr, Vec<(&'a NetworkId, &'a ObjectKey)>>;

impl<'a> Scene<'a> {
    /// Returns a scene of what may not be compiled to its end.
    pub fn new(
        access: &'a Access,
        effective: &'a Effective,
        objects: BTreeMap<&'a ObjectKey, (&'a ResourceSpec, &'a Origin)>,
    ) -> Self {
        Self { access, effective, objects, owners: OnceCell::new(), rules: RefCell::default() }
    }

    /// Returns the scene of a revision.
    pub fn of(compiled: &'a Compiled) -> Self {
        let objects = compiled.objects.iter();
        let objects = objects.map(|(key, object)| (key, (&object.spec, &object.owner.origin))).collect();
        Self::new(&compiled.access, &compiled.effective, objects)
    }

    /// Returns the rules of a network that are in force at a moment (unix seconds).
    fn rules(&self, network: &NetworkId, at: i64) -> Rc<Rules<'a>> {
        let mut last = self.rules.borrow_mut();
        if let Some((known, moment, rules)) = &*last
            && (known, *moment) == (network, at)
        {
            return Rc::clone(rules);
        }
        let table = self.access.networks.get(network).map(|network| &network.table);
        let rules = Rc::new(table.map(|table| Rules::new(table, table, When::At(at))).unwrap_or_default());
        *last = Some((network.clone(), at, Rc::clone(&rules)));
        rules
    }

    /// Answers a question as of a moment (unix seconds).
    ///
    /// # Errors
    /// When it names what is not there, or more than can be looked at.
    pub fn why(&self, question: &Question, at: i64) -> Result<PolicyAnswer, ApiError> {
        answer::answer(self, question, at)
    }
}
