//! A client for a `kubectl proxy` on loopback: one request, one connection.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use super::Problem;

/// An answer.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) warnings: Vec<String>,
    pub(crate) body: Value,
}

/// Sends a request and reads the answer.
pub(crate) fn request(
    proxy: &str,
    method: &str,
    path: &str,
    media_type: &str,
    body: &str,
) -> Result<Answer, Problem> {
    let mut stream = TcpStream::connect(proxy).map_err(|why| format!("connect to {proxy}: {why}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("the answer has no head")?;
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let code =
        status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("the answer has no status")?;
    let warnings = lines.filter_map(|line| line.strip_prefix("Warning: 299 - ")).map(unquoted).collect();
    let body = serde_json::from_str(body)
        .map_err(|why| format!("read the answer to {method} {path}: {why}: {body}"))?;
    Ok(Answer { code, warnings, body })
}

/// Returns a quoted text of a header.
fn unquoted(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    text.replace("\\\"", "\"").replace("\\\\", "\\")
}
