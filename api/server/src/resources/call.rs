//! A request as it stands in its line and headers.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, Method, header, request::Parts};
use horizon_machinery::{
    negotiate::{Form, is_pretty},
    query::Query,
    refusal::Refusal,
};

use crate::serve::{Peer, Stopping};

/// One request without its body.
pub(super) struct Call {
    pub(super) method: Method,
    /// As it stands in the request line.
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// Where it came from; nothing where there is no connection.
    pub(super) from: Option<IpAddr>,
    /// Nothing where there is no connection, as in tests of the router alone.
    pub(super) stopping: Option<Stopping>,
}

impl Call {
    /// # Errors
    /// 400 for a query that cannot be decoded.
    pub(super) fn read(parts: Parts) -> Result<Self, Refusal> {
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let path = parts.uri.path().to_owned();
        let stopping = parts.extensions.get::<Stopping>().cloned();
        let peer = parts.extensions.get::<Peer>().and_then(|Peer(peer)| *peer);
        let from = peer.map(|peer| peer.ip().to_canonical());
        Ok(Self { method: parts.method, path, query, headers: parts.headers, from, stopping })
    }

    /// Returns how a refusal is written, which must be known before anything else is.
    pub(super) fn form_of_refusal(parts: &Parts) -> Form {
        let query = Query::parse(parts.uri.query().unwrap_or_default()).unwrap_or_default();
        let agent = text(&parts.headers, header::USER_AGENT);
        Form::of_refusal(&accept(&parts.headers), is_pretty(&query, &agent))
    }

    /// Returns how an object or a list is written.
    pub(super) fn form(&self) -> Result<Form, Refusal> {
        Form::of_resource(&self.accept(), is_pretty(&self.query, &self.header(header::USER_AGENT)))
    }

    pub(super) fn accept(&self) -> String {
        accept(&self.headers)
    }

    /// Returns a header, empty if it is not there or no text.
    pub(super) fn header(&self, name: HeaderName) -> String {
        text(&self.headers, name)
    }
}

/// A list in several lines is one list (RFC 9110 §5.3).
fn accept(headers: &HeaderMap) -> String {
    let lines = headers.get_all(header::ACCEPT).into_iter().filter_map(|line| line.to_str().ok());
    lines.collect::<Vec<_>>().join(",")
}

fn text(headers: &HeaderMap, name: HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
