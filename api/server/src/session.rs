//! From the code of a sign-in link to a cookie, and from the cookie to who is calling.
//!
//! The link carries its code in the fragment: no browser sends it, no link previewer uses it up. The page
//! posts it, and gets a cookie that scripts cannot read and other sites cannot make a browser send. A session ends with
//! the Admin for whom its link was made, whoever has their name later.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use horizon_api::http::{ApiError, CSRF_HEADER, SessionAnswer, SessionRequest};

use crate::{
    Admin, Command, Refusal, SESSION_LIFE, SecretHash, Session, Shared,
    command::{Wish, ask},
    failure::Failure,
    input::Input,
    origin,
    secret::Secret,
    serve::Peer,
};

const COOKIE: &str = "__Host-horizon";

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/session", get(who).post(sign_in).delete(sign_out))
}

/// The caller, if the cookie is of a live session and, where something changes, the call is from our page.
pub(crate) struct SignedIn {
    pub(crate) session: Session,
    pub(crate) admin: Admin,
    secret: Secret,
}

impl SignedIn {
    pub(crate) fn hash(&self) -> SecretHash {
        self.secret.hash()
    }

    fn answer(&self, shared: &Shared) -> SessionAnswer {
        SessionAnswer {
            subject: self.session.subject.clone(),
            role: self.admin.role,
            csrf: self.secret.csrf().to_string(),
            expires_at: self.session.expires_at,
            controller_version: shared.state.view.borrow().controller_version.clone(),
        }
    }
}

impl FromRequestParts<Arc<Shared>> for SignedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Failure> {
        let secret = shown(&parts.method, &parts.headers)?;
        let (session, admin) = lookup(shared, secret.hash()).await?.ok_or(Failure::SignedOut)?;
        Ok(Self { session, admin, secret })
    }
}

/// Returns the secret of the cookie that a call shows, if the call is from our page: always by what the browser says, and
/// by the session's CSRF token where something changes.
///
/// # Errors
/// Without a cookie, and for calls of other pages.
pub(crate) fn shown(method: &Method, headers: &HeaderMap) -> Result<Secret, Failure> {
    let secret = cookie(headers).ok_or(Failure::SignedOut)?;
    origin::check(headers)?;
    if !matches!(*method, Method::GET | Method::HEAD) {
        check_csrf(headers, &secret)?;
    }
    Ok(secret)
}

/// Finds a live session whose Admin is in force, and notes that it was used.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn lookup(
    shared: &Shared,
    session: SecretHash,
) -> Result<Option<(Session, Admin)>, Failure> {
    let found =
        ask(&shared.state.commands, Wish::Store, |reply| Command::LookupSession { session, reply }).await?;
    Ok(found.and_then(|session| admin_of(shared, &session).map(|admin| (session, admin))))
}

/// Whoever governs one namespace only has no session, because the overview shows all of them.
fn admin_of(shared: &Shared, session: &Session) -> Option<Admin> {
    let admins = shared.state.keeper.admins.borrow();
    let admin = admins.get(&session.subject).filter(|admin| admin.uid == session.uid);
    admin.filter(|admin| admin.namespace.is_none()).cloned()
}

async fn who(State(shared): State<Arc<Shared>>, caller: SignedIn) -> Json<SessionAnswer> {
    Json(caller.answer(&shared))
}

async fn sign_in(
    State(shared): State<Arc<Shared>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Input(request): Input<SessionRequest>,
) -> Result<Response, Failure> {
    origin::check(&headers)?;
    let from: Option<SocketAddr> = peer.and_then(|Extension(Peer(address))| address);
    let code = Secret::parse(&request.code).ok_or_else(not_a_code)?;
    let secret = Secret::generate().map_err(|_| Failure::NoAnswer)?;
    let (code, hash) = (code.hash(), secret.hash());
    let session = ask(&shared.state.commands, Wish::Store, |reply| Command::TakeSignIn {
        code,
        session: hash,
        from,
        reply,
    })
    .await?;
    let admin = admin_of(&shared, &session).ok_or_else(not_in_force)?;
    let cookie = set_cookie(secret.reveal(), SESSION_LIFE.as_secs());
    let answer = SignedIn { session, admin, secret }.answer(&shared);
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(answer)).into_response())
}

async fn sign_out(State(shared): State<Arc<Shared>>, caller: SignedIn) -> Result<Response, Failure> {
    let session = caller.hash();
    ask(&shared.state.commands, Wish::Store, |reply| Command::SignOut { session, reply }).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, set_cookie("", 0))]).into_response())
}

fn not_a_code() -> Failure {
    Failure::Refused(Refusal::Denied(ApiError::new(
        "UnknownCode",
        "This is not the code of a sign-in link.",
        "Copy the whole link that `horizon-controller sign-in` printed.",
    )))
}

fn not_in_force() -> Failure {
    Failure::Refused(Refusal::Denied(ApiError::new(
        "NotInForce",
        "The Admin for whom this link was made is not in force any more.",
        "Ask for another link: `horizon-controller sign-in` says what stands in the way.",
    )))
}

fn set_cookie(value: &str, max_age_s: u64) -> HeaderValue {
    let text = format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={max_age_s}");
    HeaderValue::try_from(text).expect("hex and digits are valid in a header")
}

fn cookie(headers: &HeaderMap) -> Option<Secret> {
    let texts = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).and_then(|(_, value)| Secret::parse(value))
}

/// The comparison of two [`blake3::Hash`]es takes the same time wherever they differ.
fn check_csrf(headers: &HeaderMap, secret: &Secret) -> Result<(), Failure> {
    let shown = headers.get(CSRF_HEADER).and_then(|value| blake3::Hash::from_hex(value.as_bytes()).ok());
    if shown == Some(secret.csrf()) { Ok(()) } else { Err(Failure::StaleToken) }
}
