//! What the registry of the resource API and the reconciler tell each other about objects.
//!
//! The registry keeps what clients write, the reconciler decides what is in force. Each tells the other the newest word
//! about an object, never what led to it, so that words about one object can wait together.

use std::{collections::BTreeMap, sync::Arc};

use horizon_api::{condition::Condition, resource::ObjectKey};
use horizon_planner::{compile::Committed, manifest::Manifest};
use smol_str::SmolStr;

/// The newest word of the reconciler about some objects.
pub type Fates = BTreeMap<ObjectKey, Fate>;

/// What became of an object.
#[derive(Clone, Debug)]
pub enum Fate {
    InForce(Box<InForce>),
    /// The resource API owns it, or the cluster declares it, and it is not in force.
    Waiting(Waiting),
    /// It is neither in force nor declared.
    Gone,
}

/// The newest word of the reconciler to the cluster about some objects.
pub type Words = BTreeMap<ObjectKey, Word>;

/// What the cluster is told about an object.
#[derive(Clone, Debug)]
pub enum Word {
    /// It is in force. `lacks_token`: it is declared with `generate: {}`, and its token is in no secret yet.
    InForce { word: Box<InForce>, lacks_token: bool },
    /// It is kept out.
    Waiting(Waiting),
    /// The cluster does not have it and should: a device that joined.
    Create(Arc<Committed>),
    /// The cluster does not have it any more, and it is in force all the same: why.
    Stays(String),
    /// There is nothing to say.
    Nothing,
}

/// An object in force.
#[derive(Clone, Debug)]
pub struct InForce {
    pub object: Arc<Committed>,
    pub uid: SmolStr,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// The revision that last changed it.
    pub revision: u64,
    pub conditions: Arc<[Condition]>,
    /// The generation of the text that was looked at, where a client wrote one or a cluster has it.
    pub observed: Option<i64>,
}

/// An object that is kept out.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub uid: SmolStr,
    pub observed: Option<i64>,
    pub conditions: Arc<[Condition]>,
}

/// What clients of the resource API changed, of one of them.
#[derive(Clone, Debug, Default)]
pub struct ApiChanges {
    /// The newest text of each object; `None` where it is to go.
    pub objects: BTreeMap<ObjectKey, Option<ApiObject>>,
    /// The Admin who did it, where an object declares them.
    pub by: Option<ObjectKey>,
}

/// An object as a client wrote it.
#[derive(Clone, Debug)]
pub struct ApiObject {
    pub manifest: Manifest,
    pub uid: SmolStr,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    pub generation: i64,
}
