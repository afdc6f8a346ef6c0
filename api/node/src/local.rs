//! The client of a daemon's Unix socket: plain HTTP with JSON, so that `curl --unix-socket` works too.

use std::{io::ErrorKind, path::Path};

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::failure::Failure;

/// What a daemon answers: the status and the JSON body.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// Sends one request. `who` names the daemon for the error that nobody answers.
///
/// # Errors
/// [`Failure::Unreachable`] when there is no daemon behind the socket.
pub async fn request<B: Serialize + Sync>(
    socket: &Path,
    who: &str,
    method: Method,
    path: &str,
    body: Option<&B>,
) -> anyhow::Result<Answer> {
    let stream = UnixStream::connect(socket).await.map_err(|e| {
        let is_absent = matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
        let reason = if is_absent {
            "it is not running".to_owned()
        } else if e.kind() == ErrorKind::PermissionDenied {
            "run as root or as the daemon's user".to_owned()
        } else {
            e.to_string()
        };
        Failure::Unreachable(format!("no {who} answers on {}: {reason}", socket.display()))
    })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let bytes = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(bytes)))?;
    let response = sender.send_request(request).await.context("ask over the socket")?;
    let status = response.status();
    let body = response.into_body().collect().await.context("read the answer")?.to_bytes();
    driver.abort();
    Ok(Answer { status, body })
}

impl Answer {
    /// Reads the JSON of a success, or makes a failure of the JSON of an error.
    ///
    /// # Errors
    /// [`Failure::Refused`] for 401, 403 and 409, [`Failure::Unreachable`] for 503, [`Failure::Failed`] for the rest.
    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        if self.status.is_success() {
            return serde_json::from_slice(&self.body).context("read the answer");
        }
        let text = serde_json::from_slice::<ErrorBody>(&self.body).map_or_else(
            |_| String::from_utf8_lossy(&self.body).into_owned(),
            |e| if e.hint.is_empty() { e.message } else { format!("{}; {}", e.message, e.hint) },
        );
        Err(match self.status.as_u16() {
            401 | 403 | 409 => Failure::Refused(text),
            503 => Failure::Unreachable(text),
            _ => Failure::Failed(text),
        }
        .into())
    }
}

#[derive(serde::Deserialize)]
struct ErrorBody {
    message: String,
    #[serde(default)]
    hint: String,
}
