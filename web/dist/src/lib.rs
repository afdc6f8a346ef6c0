//! The built page, embedded: any path that is neither an asset nor an API call gets it.

use axum::{Router, body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

/// One file of the page.
pub struct File {
    pub url: &'static str,
    pub mime: &'static str,
    pub immutable: bool,
    pub etag: &'static str,
    pub identity: &'static [u8],
    pub brotli: Option<&'static [u8]>,
    pub gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// No inline script; styles inline because components set widths and colours as attributes.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const WITHOUT_PAGE: &str = "This program was built without its page (HORIZON_WEB=skip).\n";

/// Adds the page as the fallback of a router.
pub fn with_page<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.fallback(async |request: Request| serve(request.method(), request.uri().path(), request.headers()))
}

/// Returns the answer to a request for a path of the page.
pub fn serve(method: &Method, path: &str, headers: &HeaderMap) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
    }
    if path.starts_with("/v1/") {
        return plain(StatusCode::NOT_FOUND, "No such call.\n");
    }
    if FILES.is_empty() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, WITHOUT_PAGE);
    }
    // A browser goes to a page of the console by its address; a program that asks for something else made a mistake.
    let goes_to_page = path == "/" || accepts_html(headers);
    let name = match path.starts_with("/assets/") {
        true => path,
        false if goes_to_page => "/index.html",
        false => return plain(StatusCode::NOT_FOUND, "No such path.\n"),
    };
    let Some(file) = FILES.iter().find(|file| file.url == name) else {
        return plain(StatusCode::NOT_FOUND, "No such file.\n");
    };
    let mut response = answer(file, headers);
    if *method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/html"))
}

fn answer(file: &File, headers: &HeaderMap) -> Response {
    let (body, coding) = match file {
        File { brotli: Some(body), .. } if accepts(headers, "br") => (*body, Some("br")),
        File { gzip: Some(body), .. } if accepts(headers, "gzip") => (*body, Some("gzip")),
        _ => (file.identity, None),
    };
    let mut response = Response::new(Body::empty());
    let out = response.headers_mut();
    let cache = if file.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    for (name, value) in [
        (header::ETAG, file.etag),
        (header::VARY, "accept-encoding"),
        (header::CACHE_CONTROL, cache),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ] {
        out.insert(name, HeaderValue::from_static(value));
    }
    if listed(headers, header::IF_NONE_MATCH)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == file.etag)
    {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.mime));
    out.insert(header::CONTENT_LENGTH, body.len().into());
    if let Some(coding) = coding {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    *response.body_mut() = Body::from(body);
    response
}

/// Whether `coding` is listed and not refused with a weight of zero.
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    listed(headers, header::ACCEPT_ENCODING).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        is_named && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

fn listed(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    fn file() -> File {
        File {
            url: "/assets/a.js",
            mime: "text/javascript",
            immutable: true,
            etag: "\"1\"",
            identity: b"long long long",
            brotli: Some(b"br"),
            gzip: Some(b"gzip"),
        }
    }

    #[test]
    fn best_accepted_coding_is_served() {
        let check = |accept, coding: Option<&str>| {
            let response = answer(&file(), &headers(header::ACCEPT_ENCODING, accept));
            let found = response.headers().get(header::CONTENT_ENCODING).map(|v| v.to_str().unwrap());
            assert_eq!(found, coding, "{accept}");
        };

        check("gzip, deflate, br", Some("br"));
        check("gzip;q=1.0, br;q=0", Some("gzip"));
        check("identity", None);
    }

    #[test]
    fn known_etag_is_not_sent_again() {
        let response = answer(&file(), &headers(header::IF_NONE_MATCH, "\"0\", W/\"1\""));

        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn unknown_call_is_not_answered_with_the_page() {
        let status = |path: &str, accept: &'static str| {
            serve(&Method::GET, path, &headers(header::ACCEPT, accept)).status()
        };

        assert_eq!(status("/v1/nothing", "*/*"), StatusCode::NOT_FOUND);
        assert_eq!(status("/servers", "application/json, */*"), StatusCode::NOT_FOUND);
        assert_eq!(status("/servers", "text/html,*/*;q=0.8"), status("/", "*/*"));
    }

    /// What a browser loads before it shows anything, over a link of people who are far away.
    #[test]
    fn page_keeps_to_its_budget() {
        let sizes = FILES.iter().map(|file| file.brotli.unwrap_or(file.identity).len());

        let bytes: usize = sizes.sum();

        assert!(bytes <= 250_000, "the page has {bytes} bytes");
    }

    #[test]
    fn page_is_read_only() {
        assert_eq!(serve(&Method::POST, "/", &HeaderMap::new()).status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
