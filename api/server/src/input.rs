//! A body, bounded in size and time, refused in words.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, rejection::JsonRejection},
    http::StatusCode,
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::failure::Failure;

/// The largest body of JSON that any call takes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// The largest text that any call takes.
pub(crate) const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// A body of JSON.
pub(crate) struct Input<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match timeout(BODY_PATIENCE, Json::<T>::from_request(request, state)).await {
            Ok(Ok(Json(value))) => Ok(Self(value)),
            Ok(Err(rejection)) => Err(refuse(&rejection)),
            Err(_) => Err(Failure::TooSlow),
        }
    }
}

fn refuse(rejection: &JsonRejection) -> Failure {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Failure::TooLarge { bytes_max: BODY_BYTES_MAX }
    } else {
        Failure::Malformed(rejection.body_text())
    }
}

/// A body of text, where a route takes [`TEXT_BYTES_MAX`].
pub(crate) struct Text(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        match timeout(BODY_PATIENCE, Bytes::from_request(request, state)).await {
            Ok(Ok(bytes)) => Ok(Self(bytes)),
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Failure::TooLarge { bytes_max: TEXT_BYTES_MAX })
            }
            Ok(Err(rejection)) => Err(Failure::Malformed(rejection.body_text())),
            Err(_) => Err(Failure::TooSlow),
        }
    }
}
