//! The console's session: a one-time code becomes a cookie, and the cookie's owner gets a CSRF token.

use serde::{Deserialize, Serialize};

use crate::resource::AdminRole;

/// The header that carries the CSRF token on every call that changes something.
pub const CSRF_HEADER: &str = "x-horizon-csrf";

/// `POST /v1/session`: the code of a sign-in link.
#[derive(Serialize, Deserialize)]
pub struct SessionRequest {
    pub code: String,
}

/// Who the cookie's owner is, and the token that their page must send along.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAnswer {
    pub subject: String,
    pub role: AdminRole,
    pub csrf: String,
    /// The latest end, however busy the session is.
    pub expires_at: u64,
    pub controller_version: String,
}
