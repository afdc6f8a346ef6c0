//! Who calls, by the bearer token: never by a cookie, which other sites could make a browser send.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use horizon_machinery::{
    access::{self, Realm},
    path::Target,
    refusal::Refusal,
    status,
};

use super::{Admin, Holder, token};
use crate::{SecretHash, Shared, secret::Token};

/// Somebody with a valid token, and what they may do at the moment.
pub(super) struct Caller {
    pub(super) subject: String,
    uid: String,
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
        let Self { subject, uid, .. } = self;
        Self::of_admins(shared, self.token, Holder { subject: subject.clone(), uid: uid.clone() })
    }

    async fn with(shared: &Shared, token: SecretHash) -> Result<Option<Self>, Refusal> {
        let holder = token::holder_of(shared, token).await?;
        Ok(holder.and_then(|holder| Self::of_admins(shared, token, holder)))
    }

    /// A token ends with the Admin for whom it was made, whoever has their name later.
    fn of_admins(shared: &Shared, token: SecretHash, holder: Holder) -> Option<Self> {
        let Holder { subject, uid } = holder;
        let keeper = &shared.state.keeper;
        let admin = keeper.admins.borrow().get(&subject).filter(|admin| admin.uid == uid).cloned();
        let system_namespace = Arc::clone(&keeper.system_namespace);
        admin.map(|admin| Self { subject, uid, admin, system_namespace, token })
    }
}

fn bearer(headers: &HeaderMap) -> Option<Token> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(token.trim())).flatten()
}
