//! Everything that is not a success; the only place that makes status codes.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use horizon_api::http::ApiError;

use crate::Refusal;

pub(crate) enum Failure {
    SignedOut,
    ForeignOrigin,
    StaleToken,
    Malformed(String),
    TooLarge {
        bytes_max: usize,
    },
    TooSlow,
    Busy,
    NoAnswer,
    /// Nobody has begun it, and nobody will.
    NotDone,
    MayBeDone,
    TooManyStreams,
    NoSuchCall,
    WrongMethod,
    Refused(Refusal),
}

impl Failure {
    /// Returns the status code, and what the body says.
    pub(crate) fn parts(self) -> (StatusCode, ApiError) {
        let (status, code, message, hint) = match self {
            Self::Refused(refusal) => return refused(refusal),
            Self::Malformed(reason) => {
                return (StatusCode::BAD_REQUEST, ApiError::new("Malformed", reason, ""));
            }
            Self::TooLarge { bytes_max } => {
                let message = format!("The body is larger than {} KiB.", bytes_max / 1024);
                let hint = "Send less; what declares objects belongs into the folder of manifests.";
                return (StatusCode::PAYLOAD_TOO_LARGE, ApiError::new("TooLarge", message, hint));
            }
            Self::Busy => return wait("Busy", "The controller is busy; nothing was done.", AGAIN),
            Self::NotDone => return wait("NotDone", "The reconciler is busy; this was not done.", AGAIN),
            Self::MayBeDone => {
                return wait("MayBeDone", "The reconciler is busy; this may still be done.", LOOK);
            }
            Self::NoAnswer => return wait("NoAnswer", "The controller's store did not answer.", LOG),
            Self::TooManyStreams => return wait("TooManyStreams", "Too many pages are open.", CLOSE),
            Self::SignedOut => (
                StatusCode::UNAUTHORIZED,
                "SignedOut",
                "There is no session, or it has ended.",
                "Run `horizon-controller sign-in` on the controller's host and open the link that it prints.",
            ),
            Self::ForeignOrigin => (
                StatusCode::FORBIDDEN,
                "ForeignOrigin",
                "The call comes from a page of another origin.",
                "Open the console at the address that `horizon-controller sign-in` prints; a program sends no Origin.",
            ),
            Self::StaleToken => (
                StatusCode::FORBIDDEN,
                "StaleToken",
                "The call lacks this session's CSRF token.",
                "Reload the page, or send the token of GET /v1/session in x-horizon-csrf.",
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "TooSlow",
                "The body did not arrive in 10 s.",
                "Try again, with a Content-Length that is the body's.",
            ),
            Self::NoSuchCall => (
                StatusCode::NOT_FOUND,
                "NoSuchCall",
                "There is no such call.",
                "Compare the path; the verbs of the host are served on its control socket alone, by a controller of their own version.",
            ),
            Self::WrongMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "WrongMethod",
                "This path does not take this method.",
                "Take one of those that the header `allow` lists.",
            ),
        };
        (status, ApiError::new(code, message, hint))
    }
}

const AGAIN: &str = "Try again in a moment.";
const LOOK: &str = "Look at `horizon-controller status` before you try again.";
const LOG: &str = "Look into the controller's log.";
const CLOSE: &str = "Close some, then try again.";

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error) = self.parts();
        (status, Json(error)).into_response()
    }
}

/// What is otherwise in a while, or when somebody has looked.
fn wait(code: &str, message: &str, hint: &str) -> (StatusCode, ApiError) {
    (StatusCode::SERVICE_UNAVAILABLE, ApiError::new(code, message, hint))
}

fn refused(refusal: Refusal) -> (StatusCode, ApiError) {
    match refusal {
        Refusal::Invalid(error) => (StatusCode::UNPROCESSABLE_ENTITY, error),
        Refusal::Denied(error) => (StatusCode::FORBIDDEN, error),
        Refusal::Missing(error) => (StatusCode::NOT_FOUND, error),
        Refusal::Conflict(error) => (StatusCode::CONFLICT, error),
        Refusal::Unavailable(error) => (StatusCode::SERVICE_UNAVAILABLE, error),
    }
}
