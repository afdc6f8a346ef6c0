//! Tokens of the resource API: made and ended on the host, by whoever may open its socket.

use horizon_api::{
    http::{ApiError, Done, EndTokensRequest, TokenRequest},
    resource::ObjectKey,
};
use horizon_api_server::{Refusal, SecretHash};
use horizon_node::clock;
use serde_json::json;

use super::{Console, SUBJECT, refuse};
use crate::store::{AuditEntry, NewApiToken};

/// A year: whoever needs a token for longer makes another one in time.
const LIFE_MAX_S: u64 = 366 * 24 * 3600;

impl Console {
    pub(super) async fn mint_token(
        &self,
        token: &SecretHash,
        request: &TokenRequest,
    ) -> Result<u64, Refusal> {
        let TokenRequest { admin, life_s } = request;
        if *life_s == 0 || *life_s > LIFE_MAX_S {
            let message = "a token is valid between 1 s and a year";
            return Err(Refusal::Invalid(ApiError::new("Range", message, "give --for, such as 8h or 720h")));
        }
        let subject = subject(admin.as_ref());
        if !self.admins.borrow().contains_key(&subject) {
            let message = format!("there is no Admin {subject} who may sign in");
            let known: Vec<_> =
                self.admins.borrow().keys().filter(|known| *known != SUBJECT).cloned().collect();
            let hint = if known.is_empty() {
                "declare one, or leave the name out: the file is then for the operator of the host".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            return Err(Refusal::Missing(ApiError::new("NoAdmin", message, hint)));
        }
        let now = clock::unix_ms();
        let expires_at = now + i64::try_from(life_s * 1000).unwrap_or(i64::MAX / 2);
        let entry = entry("make-token", &subject, json!({ "expiresAt": expires_at }));
        let kept = NewApiToken { secret: token.0.to_vec(), subject, now, expires_at };
        if self.store.add_api_token(kept, entry).await.map_err(|error| refuse(&error))? {
            return Ok(u64::try_from(expires_at).unwrap_or(0));
        }
        let message = "there are too many tokens that are valid";
        let hint = "end those of somebody with `horizon-controller kubeconfig --end`, or make shorter ones with --for";
        Err(Refusal::Conflict(ApiError::new("TooManyTokens", message, hint)))
    }

    pub(super) async fn end_tokens(&self, request: &EndTokensRequest) -> Result<Done, Refusal> {
        let subject = subject(request.admin.as_ref());
        let entry = entry("end-tokens", &subject, json!({}));
        let ended =
            self.store.end_api_tokens(subject.clone(), entry).await.map_err(|error| refuse(&error))?;
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
