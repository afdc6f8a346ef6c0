//! Tokens of the resource API, as the verbs on the host ask for them.

use serde::{Deserialize, Serialize};

use crate::resource::ObjectKey;

/// `POST /v1/token`: a token for an Admin, or for the operator of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    pub admin: Option<ObjectKey>,
    /// How long it is valid, in seconds.
    pub life_s: u64,
}

/// The token, which is shown once, and where it is used.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAnswer {
    pub token: String,
    pub expires_at: u64,
    /// Where the controller is reached, such as `https://controller.example.net:7443`.
    pub url: String,
}

/// `POST /v1/end-tokens`: every token of an Admin, or of the operator of the host, ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndTokensRequest {
    pub admin: Option<ObjectKey>,
}
