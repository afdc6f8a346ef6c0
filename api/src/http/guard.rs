//! What is between a text and its effect: plans that wait, holds, a change that must be confirmed.

use serde::{Deserialize, Serialize};

use super::{KeyView, ServerReport};
use crate::{condition::Condition, problem::Problem, resource::ObjectKey};

/// A change that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPlan {
    /// What `approve` takes; its first twelve digits are enough.
    pub hash: String,
    /// Which limit it is beyond, such as `Prune`.
    pub breach: String,
    pub message: String,
    /// The objects that stay at last good because of it.
    pub causes: Vec<Place>,
}

/// An object and where it is declared, as `file:line`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub object: ObjectKey,
    pub place: String,
}

/// An object that an admin took out of force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    pub object: ObjectKey,
    pub reason: String,
    pub by: String,
    /// When it ends by itself; 0: when somebody releases it.
    pub until: u64,
}

/// That the next change, or the one in force, must be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmedView {
    pub by: String,
    /// Seconds.
    pub within: u64,
    /// The revision that is taken back unless it is confirmed; `None` while nothing has changed.
    pub revision: Option<u64>,
    /// When that happens.
    pub revert_at: Option<u64>,
}

/// An object whose last good is in force.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StaleView {
    pub object: ObjectKey,
    /// Where the last good stood, as `file:line`.
    pub place: String,
    pub reason: String,
    pub message: String,
}

/// `POST /v1/plan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Folders on the controller's host that are read in place of its own, in their order; none: what it reads now.
    pub folders: Vec<String>,
}

/// What a change does, before it happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanAnswer {
    /// The revision that it is compared with.
    pub revision: u64,
    pub objects: Vec<ObjectChange>,
    pub effects: Vec<EffectView>,
    /// More would change than is listed.
    pub is_cut: bool,
    /// Devices whose live links end.
    pub drops: Vec<ObjectKey>,
    /// What of it waits for a person.
    pub held: Vec<HeldPlan>,
    pub problems: Vec<Problem>,
}

/// An object that is added, changed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectChange {
    pub object: ObjectKey,
    pub change: ChangeKind,
    pub place: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    Added,
    Changed,
    Removed,
}

/// Somebody gains or loses something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectView {
    pub gains: bool,
    pub network: String,
    pub source: String,
    pub destination: String,
    pub flows: String,
    pub devices: u64,
    pub cause: ObjectKey,
    pub place: String,
    /// All of it as one line.
    pub text: String,
}

/// `POST /v1/approve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    pub hash: String,
}

/// `POST /v1/approve-device`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveDeviceRequest {
    pub device: ObjectKey,
}

/// `POST /v1/hold`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    pub object: ObjectKey,
    pub reason: String,
    /// For how long, in seconds.
    pub seconds: u64,
}

/// `POST /v1/release`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    pub object: ObjectKey,
}

/// `POST /v1/arm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmRequest {
    /// Seconds.
    pub within: u64,
}

/// What `approve`, `hold`, `release`, `arm` and `confirm` answer: what is so now, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub message: String,
    pub revision: u64,
}

/// `POST /v1/object`: which object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRequest {
    pub object: ObjectKey,
}

/// Everything that is known about one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectReport {
    pub object: ObjectKey,
    /// Who owns it: `files:FOLDER` or `api`.
    pub source: String,
    /// What kind of owner that is.
    pub owner: OwnerKind,
    /// Where it is declared, as `file:line`.
    pub place: String,
    pub generation: i64,
    pub conditions: Vec<Condition>,
    /// What each gateway that runs it said.
    pub gateways: Vec<GatewayWord>,
    /// Of a Server: how far it is believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerReport>,
    /// Of a key: how often it was used, and when last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyView>,
}

/// Who changes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnerKind {
    /// A source of manifests declares it: it is changed there.
    Source,
    /// A login or an invitation made it. A client that writes it makes it its own.
    Login,
    /// A client of the resource API wrote it.
    Client,
}

/// `GET /v1/object?kind=…&namespace=…&name=…`: an object for a page that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectView {
    pub report: ObjectReport,
    /// The object as one would write it into a file: YAML without what the controller adds.
    pub manifest: String,
}

/// What a gateway said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayWord {
    pub server: ObjectKey,
    pub word: String,
}
