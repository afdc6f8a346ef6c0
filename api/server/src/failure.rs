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
    TooLarge,
    TooSlow,
    Busy,
    NoAnswer,
    TooManyStreams,
    NoSuchCall,
    WrongMethod,
    Refused(Refusal),
}

impl Failure {
    fn parts(self) -> (StatusCode, ApiError) {
        let (status, code, message, hint) = match self {
            Self::Refused(refusal) => return refused(refusal),
            Self::SignedOut => (
                StatusCode::UNAUTHORIZED,
                "SignedOut",
                "There is no session, or it has ended.".into(),
                "Run `horizon-controller sign-in` on the controller's host and open the link that it prints.",
            ),
            Self::ForeignOrigin => (
                StatusCode::FORBIDDEN,
                "ForeignOrigin",
                "The call comes from a page of another origin.".into(),
                "",
            ),
            Self::StaleToken => (
                StatusCode::FORBIDDEN,
                "StaleToken",
                "The call lacks this session's CSRF token.".into(),
                "Reload the page, or send the token of GET /v1/session in x-horizon-csrf.",
            ),
            Self::Malformed(reason) => (StatusCode::BAD_REQUEST, "Malformed", reason, ""),
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", "The body is larger than 64 KiB.".into(), "")
            }
            Self::TooSlow => {
                (StatusCode::REQUEST_TIMEOUT, "TooSlow", "The body did not arrive in 10 s.".into(), "")
            }
            Self::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, "Busy", "The controller is busy.".into(), "Try again.")
            }
            Self::NoAnswer => (
                StatusCode::SERVICE_UNAVAILABLE,
                "NoAnswer",
                "The controller's store did not answer.".into(),
                "Look into the controller's log.",
            ),
            Self::TooManyStreams => (
                StatusCode::SERVICE_UNAVAILABLE,
                "TooManyStreams",
                "Too many pages are open.".into(),
                "Close some, then try again.",
            ),
            Self::NoSuchCall => (StatusCode::NOT_FOUND, "NoSuchCall", "There is no such call.".into(), ""),
            Self::WrongMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "WrongMethod",
                "This path does not take this method.".into(),
                "",
            ),
        };
        (status, ApiError::new(code, message, hint))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error) = self.parts();
        (status, Json(error)).into_response()
    }
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
