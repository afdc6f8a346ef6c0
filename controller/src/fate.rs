//! What the registry of the resource API and the reconciler tell each other about objects.
//!
//! The registry keeps what clients write, the reconciler decides what is in force. Each tells the other the newest word
//! about an object, never what led to it, so that words about one object can wait together.

use std::{collections::BTreeMap, sync::Arc};

use horizon_api::{condition::Condition, resource::ObjectKey};
use horizon_planner::{compile::Committed, manifest::Manifest};

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

/// An object in force.
#[derive(Clone, Debug)]
pub struct InForce {
    pub object: Arc<Committed>,
    pub uid: String,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// The revision that last changed it.
    pub revision: u64,
    pub conditions: Vec<Condition>,
    /// The generation of the text that was looked at, where a client wrote one or a cluster has it.
    pub observed: Option<i64>,
    /// It is a key of a cluster that is declared with `generate: {}`, and has no token yet.
    pub lacks_token: bool,
}

/// An object that is kept out.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub uid: String,
    pub observed: Option<i64>,
    pub conditions: Vec<Condition>,
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
    pub uid: String,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    pub generation: i64,
}
