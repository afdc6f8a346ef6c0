//! Who calls, by the bearer token: never by a cookie, which other sites could make a browser send.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use horizon_machinery::{
    access::{self, Realm},
    path::Target,
    refusal::Refusal,
    status,
};

use super::{Admin, token};
use crate::{SecretHash, Shared, secret::Token};

/// Somebody with a valid token, and what they may do at the moment.
pub(super) struct Caller {
    pub(super) subject: String,
    admin: Admin,
    system_namespace: Arc<str>,
    token: SecretHash,
}

impl Caller {
    /// Finds the caller.
    ///
    /// # Errors
    /// 401 without a valid token, 429 or 503 when the store does not answer.
    pub(super) async fn of(shared: &Shared, headers: &HeaderMap) -> Result<Self, Refusal> {
        let token = bearer(headers).ok_or_else(status::unauthorized)?.hash();
        Self::with(shared, token).await?.ok_or_else(status::unauthorized)
    }

    /// Looks again at the token; `None` when it is no more valid.
    ///
    /// # Errors
    /// 429 or 503 when the store does not answer.
    pub(super) async fn again(&self, shared: &Shared) -> Result<Option<Self>, Refusal> {
        Self::with(shared, self.token).await
    }

    /// Says whether the caller may do this.
    ///
    /// # Errors
    /// 403 with what, where and why not.
    pub(super) fn check(&self, target: &Target) -> Result<(), Refusal> {
        access::check(&self.who(), target)
    }

    /// Returns the caller as access knows them.
    pub(super) fn who(&self) -> access::Subject<'_> {
        let realm = self.admin.namespace.as_deref().map_or(Realm::All, Realm::Namespace);
        let Self { subject, admin, system_namespace, .. } = self;
        access::Subject { user: subject, role: admin.role, realm, system_namespace }
    }

    /// Returns the caller as the Admins in force know them, whatever has become of the token; `None` if they do not.
    pub(super) fn in_force(&self, shared: &Shared) -> Option<Self> {
        Self::of_admins(shared, self.token, self.subject.clone())
    }

    async fn with(shared: &Shared, token: SecretHash) -> Result<Option<Self>, Refusal> {
        let subject = token::subject_of(shared, token).await?;
        Ok(subject.and_then(|subject| Self::of_admins(shared, token, subject)))
    }

    fn of_admins(shared: &Shared, token: SecretHash, subject: String) -> Option<Self> {
        let keeper = &shared.state.keeper;
        let admin = keeper.admins.borrow().get(&subject).cloned();
        let system_namespace = Arc::clone(&keeper.system_namespace);
        admin.map(|admin| Self { subject, admin, system_namespace, token })
    }
}

fn bearer(headers: &HeaderMap) -> Option<Token> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(token.trim())).flatten()
}
