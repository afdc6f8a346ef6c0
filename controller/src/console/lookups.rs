//! Says whose bearer tokens are. Strangers ask too, with tokens that they make up, as often as they like: what people do
//! on the host and in the console waits behind none of it.

use horizon_api_server::{Holder, Lookup};
use horizon_node::clock;
use tokio::{sync::mpsc, task::JoinSet};

use super::refuse;
use crate::store::{Store, TokenHolder};

/// Lookups that wait; those beyond are told to come again.
pub const WAITING_MAX: usize = 32;
/// Lookups that the store has at once: as many as it has threads that read, and as many again, so that none of those
/// waits for the next one.
const AT_ONCE_MAX: usize = 4;

/// Answers until nobody can ask any more.
///
/// # Panics
/// When an answer does.
pub async fn run(store: Store, mut lookups: mpsc::Receiver<Lookup>) {
    let mut answers = JoinSet::new();
    loop {
        tokio::select! {
            lookup = lookups.recv(), if answers.len() < AT_ONCE_MAX => {
                let Some(lookup) = lookup else { return };
                answers.spawn(answer(store.clone(), lookup));
            }
            Some(ended) = answers.join_next() => {
                if let Some(panic) = ended.err().and_then(|error| error.try_into_panic().ok()) {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}

async fn answer(store: Store, lookup: Lookup) {
    let Lookup { token, reply } = lookup;
    // Whoever has given up would make those wait who have not.
    if reply.is_closed() {
        return;
    }
    let found = store.api_token(token.0.to_vec(), clock::unix_ms()).await;
    let holder = found.map(|found| found.map(|TokenHolder { subject, uid }| Holder { subject, uid }));
    drop(reply.send(holder.map_err(|error| refuse(&error))));
}

#[cfg(test)]
mod tests {
    use horizon_api_server::SecretHash;
    use serde_json::json;
    use tokio::sync::oneshot;

    use super::*;
    use crate::store::{AuditEntry, NewApiToken};

    #[tokio::test]
    async fn many_tokens_are_looked_up_and_only_the_one_that_is_valid_is_somebodys() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let now = clock::unix_ms();
        let (secret, subject, uid) = (vec![7; 32], "default/ops".to_owned(), "u-1".to_owned());
        let token = NewApiToken { secret, subject, uid, now, expires_at: now + 60_000 };
        let (actor, action, object) = ("operator".into(), "make-token".into(), "token".into());
        let entry = AuditEntry { at: now, actor, action, object, detail: json!({}) };
        assert!(store.add_api_token(token, entry).await.unwrap());
        let (lookups, asked) = mpsc::channel(WAITING_MAX);
        let answers: Vec<_> = (0..WAITING_MAX)
            .map(|number| {
                let (reply, answer) = oneshot::channel();
                let token = SecretHash([u8::try_from(number).unwrap(); 32]);
                lookups.try_send(Lookup { token, reply }).ok().unwrap();
                answer
            })
            .collect();

        let running = tokio::spawn(run(store, asked));

        for (number, answer) in answers.into_iter().enumerate() {
            let holder = || Holder { subject: "default/ops".into(), uid: "u-1".into() };
            assert_eq!(answer.await.unwrap().ok().unwrap(), (number == 7).then(holder), "{number}");
        }
        drop(lookups);
        running.await.unwrap();
    }
}
