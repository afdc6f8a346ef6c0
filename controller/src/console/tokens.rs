//! Tokens of the resource API: made and ended on the host, by whoever may open its socket.

use horizon_api::{
    http::{ApiError, Done, EndTokensRequest, TokenList, TokenRequest, TokenView},
    resource::ObjectKey,
};
use horizon_api_server::{Refusal, SecretHash};
use horizon_node::clock;
use serde_json::json;

use super::{Console, SUBJECT, refuse};
use crate::store::{ApiToken, AuditEntry, NewApiToken};

/// A year: whoever needs a token for longer makes another one in time.
const LIFE_MAX_S: u64 = 366 * 24 * 3600;
/// As many as a key has.
const SOURCES_MAX: usize = 32;

impl Console {
    pub(super) async fn mint_token(
        &self,
        token: &SecretHash,
        id: String,
        request: &TokenRequest,
    ) -> Result<u64, Refusal> {
        let TokenRequest { admin, life_s, from } = request;
        if from.len() > SOURCES_MAX {
            let message = format!("a token may be used from {SOURCES_MAX} ranges at most");
            return Err(Refusal::Invalid(ApiError::new("Range", message, "give --from less often")));
        }
        if *life_s == 0 || *life_s > LIFE_MAX_S {
            let message = "a token is valid between 1 s and a year";
            return Err(Refusal::Invalid(ApiError::new("Range", message, "give --for, such as 8h or 720h")));
        }
        let subject = subject(admin.as_ref());
        let uid = self.admins.borrow().get(&subject).map(|admin| admin.uid.clone());
        let Some(uid) = uid else {
            let message = format!("there is no Admin {subject} who may sign in");
            let known: Vec<_> =
                self.admins.borrow().keys().filter(|known| *known != SUBJECT).cloned().collect();
            let hint = if known.is_empty() {
                "declare one, or leave the name out: the file is then for the operator of the host".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            return Err(Refusal::Missing(ApiError::new("NoAdmin", message, hint)));
        };
        let now = clock::unix_ms();
        let expires_at = now + i64::try_from(life_s * 1000).unwrap_or(i64::MAX / 2);
        let sources = from.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let detail = json!({ "token": id, "expiresAt": expires_at, "from": sources });
        let entry = entry("make-token", &subject, detail);
        let _still = self.pepper.still().await;
        let digest = self.pepper.keyed_api(&token.0).as_bytes().to_vec();
        let kept = NewApiToken { digest, id, subject, uid, sources, now, expires_at };
        if self.store.add_api_token(kept, entry).await.map_err(|error| refuse(&error))? {
            return Ok(u64::try_from(expires_at).unwrap_or(0));
        }
        let message = "there are too many tokens that are valid";
        let hint = "end those of somebody with `horizon-controller kubeconfig --end`, or make shorter ones with --for";
        Err(Refusal::Conflict(ApiError::new("TooManyTokens", message, hint)))
    }

    pub(super) async fn list_tokens(&self) -> Result<TokenList, Refusal> {
        let tokens = self.store.api_tokens(clock::unix_ms()).await.map_err(|error| refuse(&error))?;
        let millis = |at: i64| u64::try_from(at).unwrap_or(0);
        let view = |token: ApiToken| TokenView {
            id: token.id,
            subject: token.subject,
            created_at: millis(token.created_at),
            expires_at: millis(token.expires_at),
            from: token.sources.split_whitespace().filter_map(|source| source.parse().ok()).collect(),
            last_used_at: (token.last_used_at > 0).then(|| millis(token.last_used_at)),
            last_from: token.last_remote,
        };
        Ok(TokenList { tokens: tokens.into_iter().map(view).collect() })
    }

    async fn end_token(&self, id: &str) -> Result<Done, Refusal> {
        let entry = entry("end-token", id, json!({ "token": id }));
        let was_there =
            self.store.end_api_token(id.to_owned(), entry).await.map_err(|error| refuse(&error))?;
        if !was_there {
            let message = format!("there is no token with the id {}", id.escape_debug());
            let hint = "see `horizon-controller kubeconfig --list`";
            return Err(Refusal::Missing(ApiError::new("NoToken", message, hint)));
        }
        self.endings.send_modify(|endings| *endings += 1);
        Ok(Done { message: format!("the token {id} is over"), revision: self.views.borrow().revision })
    }

    pub(super) async fn end_tokens(&self, request: &EndTokensRequest) -> Result<Done, Refusal> {
        if let Some(id) = &request.id {
            return self.end_token(id).await;
        }
        let subject = subject(request.admin.as_ref());
        let entry = entry("end-tokens", &subject, json!({}));
        let ended =
            self.store.end_api_tokens(subject.clone(), entry).await.map_err(|error| refuse(&error))?;
        self.endings.send_modify(|endings| *endings += 1);
        let message = match ended {
            1 => format!("the token of {subject} is over"),
            count => format!("{count} tokens of {subject} are over"),
        };
        Ok(Done { message, revision: self.views.borrow().revision })
    }
}

/// Returns how tokens name somebody.
fn subject(admin: Option<&ObjectKey>) -> String {
    admin.map_or_else(|| SUBJECT.to_owned(), |key| format!("{}/{}", key.namespace, key.name))
}

fn entry(action: &str, subject: &str, detail: serde_json::Value) -> AuditEntry {
    let object = format!("token/{subject}");
    AuditEntry { at: clock::unix_ms(), actor: SUBJECT.into(), action: action.into(), object, detail }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use horizon_api::resource::{AdminRole, Kind};
    use horizon_api_server::{Admin, Admins};
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::{identity::Pepper, store::Store};

    #[tokio::test]
    async fn a_token_keeps_the_uid_of_the_admin_for_whom_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = ObjectKey::new(Kind::Admin, "default", "bob");
        let bob =
            Admin { key: Some(key.clone()), uid: "u-1".into(), role: AdminRole::Auditor, namespace: None };
        let admins = Admins::from([("default/bob".to_owned(), bob)]);
        let console = Console {
            store: store.clone(),
            pepper: Pepper::new([1; 32].into()),
            events: mpsc::channel(1).0,
            views: watch::channel(Arc::default()).1,
            admins: watch::channel(Arc::new(admins)).1,
            endings: watch::Sender::new(0),
        };
        let request = |key: ObjectKey| TokenRequest { admin: Some(key), life_s: 60, from: vec![] };

        console.mint_token(&SecretHash([7; 32]), "SEVEN".into(), &request(key)).await.ok().unwrap();
        let nobody = ObjectKey::new(Kind::Admin, "default", "eve");
        assert!(console.mint_token(&SecretHash([8; 32]), "EIGHT".into(), &request(nobody)).await.is_err());

        let digest = console.pepper.keyed_api(&[7; 32]).as_bytes().to_vec();
        let found = store.api_token(digest).await.unwrap().unwrap();
        assert_eq!((found.subject.as_str(), found.uid.as_str()), ("default/bob", "u-1"));
        assert!(store.api_token(vec![7; 32]).await.unwrap().is_none(), "it is not under the pepper");
        let list = console.list_tokens().await.ok().unwrap();
        assert_eq!((list.tokens.len(), list.tokens[0].id.as_str()), (1, "SEVEN"));
        let end = |id: &str| EndTokensRequest { admin: None, id: Some(id.into()) };
        assert!(console.end_tokens(&end("EIGHT")).await.is_err());
        assert!(console.end_tokens(&end("SEVEN")).await.is_ok());
        assert!(console.list_tokens().await.ok().unwrap().tokens.is_empty());
    }
}
