//! Who calls: the bearer token of a program, or the session of the console's page. A token wins where both are shown, and
//! a cookie counts in calls of our own page only, because other sites could make a browser send it.

use std::{net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, StatusCode, header};
use horizon_api::token::TokenError;
use horizon_machinery::{
    access,
    path::{Target, Verb},
    refusal::{About, Reason, Refusal},
    status,
};

use super::{
    Admin, Holder,
    call::Call,
    token::{self, Shown},
};
use crate::{
    SecretHash, Shared,
    failure::Failure,
    secret::Token,
    session::{self, lookup},
};

/// Somebody with a valid token or session, and what they may do at the moment.
pub(super) struct Caller {
    pub(super) subject: String,
    uid: String,
    admin: Admin,
    system_namespace: Arc<str>,
    credential: Credential,
}

/// By what a caller is known.
#[derive(Clone, Copy)]
enum Credential {
    /// With the address that it came from, for it may not count from everywhere.
    Token(SecretHash, Option<IpAddr>),
    Session(SecretHash),
}

impl Caller {
    /// Finds the caller.
    ///
    /// # Errors
    /// 401 without a valid token or session, 403 for a call of another page, 429 or 503 when the store
    /// does not answer.
    pub(super) async fn of(shared: &Shared, call: &Call) -> Result<Self, Refusal> {
        let credential = credential(call)?;
        Self::with(shared, credential).await?.ok_or_else(status::unauthorized)
    }

    /// Looks again at the token or session; `None` when it is no more valid.
    ///
    /// # Errors
    /// 429 or 503 when the store does not answer.
    pub(super) async fn again(&self, shared: &Shared) -> Result<Option<Self>, Refusal> {
        Self::with(shared, self.credential).await
    }

    /// Says whether the caller may do this.
    ///
    /// # Errors
    /// 403 with what, where and why not.
    pub(super) fn check(&self, target: &Target) -> Result<(), Refusal> {
        access::check(&self.who(), target)
    }

    /// What a Kubernetes cluster declares is changed there, with a right that somebody has there: a session of this
    /// controller is none.
    ///
    /// # Errors
    /// 403 for a write by a session where objects are declared in a cluster.
    pub(super) fn check_cluster(&self, shared: &Shared, target: &Target) -> Result<(), Refusal> {
        let changes = target.verb.is_write() && target.resource.verbs.contains(&Verb::Get.as_str());
        let is_session = matches!(self.credential, Credential::Session(_));
        if !(changes && is_session && shared.state.view.borrow().cluster) {
            return Ok(());
        }
        let about =
            About { group: &target.resource.group, kind: &target.resource.plural, name: &target.name };
        let why =
            "objects are declared in a Kubernetes cluster: change them there, with `kubectl apply -f -`";
        Err(Refusal::forbidden(about, why))
    }

    /// Returns the caller as access knows them.
    pub(super) fn who(&self) -> access::Subject<'_> {
        self.admin.subject(&self.subject, &self.system_namespace)
    }

    /// Returns the caller as the Admins in force know them, whatever has become of the token or session; `None` if they
    /// do not.
    pub(super) fn in_force(&self, shared: &Shared) -> Option<Self> {
        let Self { subject, uid, .. } = self;
        Self::of_admins(shared, self.credential, Holder { subject: subject.clone(), uid: uid.clone() })
    }

    async fn with(shared: &Shared, credential: Credential) -> Result<Option<Self>, Refusal> {
        let holder = match credential {
            Credential::Token(token, from) => token::holder_of(shared, Shown { token, from }).await?,
            Credential::Session(session) => {
                let found = lookup(shared, session).await.map_err(refuse)?;
                found.map(|(session, _)| Holder { subject: session.subject, uid: session.uid })
            }
        };
        Ok(holder.and_then(|holder| Self::of_admins(shared, credential, holder)))
    }

    /// A token or session ends with the Admin for whom it was made, whoever has their name later.
    fn of_admins(shared: &Shared, credential: Credential, holder: Holder) -> Option<Self> {
        let Holder { subject, uid } = holder;
        let keeper = &shared.state.keeper;
        let admin = keeper.admins.borrow().get(&subject).filter(|admin| admin.uid == uid).cloned();
        let system_namespace = Arc::clone(&keeper.system_namespace);
        admin.map(|admin| Self { subject, uid, admin, system_namespace, credential })
    }
}

fn credential(call: &Call) -> Result<Credential, Refusal> {
    if call.headers.contains_key(header::AUTHORIZATION) {
        let token = bearer(&call.headers)?;
        return Ok(Credential::Token(token.hash(), call.from));
    }
    let secret = session::shown(&call.method, &call.headers).map_err(refuse)?;
    Ok(Credential::Session(secret.hash()))
}

fn bearer(headers: &HeaderMap) -> Result<Token, Refusal> {
    let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(status::unauthorized());
    }
    Token::parse(token.trim()).map_err(|error| match error {
        // No secret: whoever has the text can see it as well.
        TokenError::Checksum | TokenError::Length { .. } => {
            Refusal::plain(401, Reason::Unauthorized, format!("the token {error}; copy it again"))
        }
        TokenError::Prefix => status::unauthorized(),
    })
}

/// Says in the words of an API server what the rest of the console's calls say in their own.
fn refuse(failure: Failure) -> Refusal {
    match failure.parts() {
        (StatusCode::UNAUTHORIZED, _) => status::unauthorized(),
        (StatusCode::FORBIDDEN, error) => Refusal::plain(403, Reason::Forbidden, error.to_string()),
        (_, error) => Refusal::plain(503, Reason::ServiceUnavailable, error.to_string()),
    }
}
