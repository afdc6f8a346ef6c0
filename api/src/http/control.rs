//! What the verbs on the controller's host ask through its socket.

use serde::{Deserialize, Serialize};

use super::View;
use crate::resource::ObjectKey;

/// `GET /readyz`: whether a committed revision is served, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    pub ready: bool,
    pub reasons: Vec<String>,
}

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    pub readiness: Readiness,
    pub view: View,
}

/// `POST /v1/backup`: copy the store into a file of the controller's host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// An absolute path. Nothing may be there yet.
    pub file: String,
}

/// Whom an invitation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InviteKind {
    Server,
    User,
    /// Devices that a RegistrationKey enrols.
    Device,
}

/// `POST /v1/invite`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    pub kind: InviteKind,
    pub namespace: String,
    pub name: String,
    /// A link without a token, for a person who signs in with a key pair.
    #[serde(default)]
    pub by_key: bool,
}

/// The join string or link. It is a secret and is shown once, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteAnswer {
    pub join: String,
}

/// `POST /v1/sign-in-link`: who is to sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInRequest {
    /// The operator of the host when left out.
    #[serde(default)]
    pub admin: Option<ObjectKey>,
}

/// The answer: a link that opens the console once. The code is in the fragment, which no browser sends
/// and no link previewer posts. It is a secret, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInLink {
    pub url: String,
    pub expires_at: u64,
}
