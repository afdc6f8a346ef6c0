//! Whether a call that changes something comes from our own page, by what the browser itself says.

use axum::http::{HeaderMap, header};

use crate::failure::Failure;

/// Programs send neither header and pass: they carry no cookie that somebody else could ride on.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let site_is_ours = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin_is_ours = text(header::ORIGIN.as_str()).is_none_or(|origin| {
        let host = text(header::HOST.as_str()).unwrap_or_default();
        origin.strip_prefix("https://").is_some_and(|from| !host.is_empty() && from == host)
    });
    if site_is_ours && origin_is_ours { Ok(()) } else { Err(Failure::ForeignOrigin) }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn passes(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        check(&headers.collect()).is_ok()
    }

    #[test]
    fn own_page_and_programs_pass() {
        assert!(passes(&[]));
        assert!(passes(&[
            ("host", "h:7443"),
            ("origin", "https://h:7443"),
            ("sec-fetch-site", "same-origin")
        ]));
    }

    #[test]
    fn other_origins_do_not() {
        assert!(!passes(&[("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[("sec-fetch-site", "same-site")]));
        assert!(!passes(&[("host", "h:7443"), ("origin", "https://h:7444")]));
        assert!(!passes(&[("host", "h:7443"), ("origin", "http://h:7443")]));
        assert!(!passes(&[("host", "h:7443"), ("origin", "null")]));
        assert!(!passes(&[("origin", "https://")]));
    }
}
