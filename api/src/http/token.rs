//! Tokens of the resource API, as the verbs on the host ask for them.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::resource::ObjectKey;

/// `POST /v1/token`: a token for an Admin, or for the operator of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    pub admin: Option<ObjectKey>,
    /// How long it is valid, in seconds.
    pub life_s: u64,
    /// From where it may be used; from everywhere when empty.
    #[serde(default)]
    pub from: Vec<IpNet>,
}

/// The token, which is shown once, and where it is used.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAnswer {
    pub token: String,
    /// The part of it that may be shown and logged.
    #[serde(default)]
    pub id: String,
    pub expires_at: u64,
    /// Where the controller is reached, such as `https://controller.example.net:7443`.
    pub url: String,
}

/// `POST /v1/end-tokens`: every token of an Admin, or of the operator of the host, ends; or one, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndTokensRequest {
    pub admin: Option<ObjectKey>,
    #[serde(default)]
    pub id: Option<String>,
}

/// `GET /v1/tokens`: the tokens that are valid, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenList {
    pub tokens: Vec<TokenView>,
}

/// A token, but for what makes it one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    pub id: String,
    /// Whom it stands for: `NAMESPACE/NAME` of an Admin, or the operator of the host.
    pub subject: String,
    pub created_at: u64,
    pub expires_at: u64,
    /// From where it may be used; from everywhere when empty.
    pub from: Vec<IpNet>,
    /// To the minute.
    pub last_used_at: Option<u64>,
    /// The address that it was used from last; empty when it never was.
    pub last_from: String,
}
