//! Says whose bearer tokens are. Strangers ask too, with tokens that they make up, as often as they like: what people do
//! on the host and in the console waits behind none of it.

use std::net::IpAddr;

use horizon_api_server::{Holder, Lookup};
use horizon_node::clock;
use ipnet::IpNet;
use tokio::{sync::mpsc, task::JoinSet};
use tracing::warn;

use super::refuse;
use crate::{
    event::Event,
    identity::Pepper,
    store::{ApiToken, Store, StoreError},
};

/// Lookups that wait; those beyond are told to come again.
pub const WAITING_MAX: usize = 32;
/// Lookups that the store has at once: as many as it has threads that read, and as many again, so that none of those
/// waits for the next one.
const AT_ONCE_MAX: usize = 4;
/// The last use is known to the minute: programs use a token all day long, and each note is a write.
const NOTED_EVERY_MS: i64 = 60_000;

/// What tokens are looked up with.
#[derive(Clone)]
pub struct Lookups {
    pub store: Store,
    pub pepper: Pepper,
    /// Hears of tokens that are refused.
    pub events: mpsc::Sender<Event>,
}

/// What becomes of a token that is shown.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Valid,
    Unknown,
    Over,
    /// It may not be used from there.
    Elsewhere,
}

impl Lookups {
    /// Answers until nobody can ask any more.
    ///
    /// # Panics
    /// When an answer does.
    pub async fn run(self, mut lookups: mpsc::Receiver<Lookup>) {
        let mut answers = JoinSet::new();
        loop {
            tokio::select! {
                lookup = lookups.recv(), if answers.len() < AT_ONCE_MAX => {
                    let Some(lookup) = lookup else { return };
                    answers.spawn(self.clone().answer(lookup));
                }
                Some(ended) = answers.join_next() => {
                    if let Some(panic) = ended.err().and_then(|error| error.try_into_panic().ok()) {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }

    async fn answer(self, lookup: Lookup) {
        let Lookup { token, from, reply } = lookup;
        // Whoever has given up would make those wait who have not.
        if reply.is_closed() {
            return;
        }
        let found = self.find(&token.0).await;
        let (answer, noted) = match found {
            Err(error) => (Err(refuse(&error)), None),
            Ok(found) => match verdict(found.as_ref(), from, clock::unix_ms()) {
                Verdict::Valid => (Ok(found.as_ref().map(holder)), found),
                verdict @ (Verdict::Unknown | Verdict::Over | Verdict::Elsewhere) => {
                    self.tell(&verdict, found.as_ref(), from);
                    (Ok(None), None)
                }
            },
        };
        drop(reply.send(answer));
        if let Some(token) = noted {
            self.note(token, from).await;
        }
    }

    async fn find(&self, secret: &[u8; 32]) -> Result<Option<ApiToken>, StoreError> {
        let _still = self.pepper.still().await;
        self.store.api_token(self.pepper.keyed_api(secret).as_bytes().to_vec()).await
    }

    /// It counts and records refusals; one that does not fit into its queue is not worth a wait.
    fn tell(&self, verdict: &Verdict, token: Option<&ApiToken>, remote: Option<IpAddr>) {
        let reason = match verdict {
            Verdict::Valid => return,
            Verdict::Unknown => "the token is unknown or was ended",
            Verdict::Over => "the token is over",
            Verdict::Elsewhere => "the token may not be used from there",
        };
        let (id, subject) = token.map(|token| (token.id.clone(), token.subject.clone())).unwrap_or_default();
        drop(self.events.try_send(Event::TokenRefused { remote, id, subject, reason }));
    }

    async fn note(&self, token: ApiToken, from: Option<IpAddr>) {
        let (now, remote) = (clock::unix_ms(), from.map(|from| from.to_string()).unwrap_or_default());
        if now - token.last_used_at < NOTED_EVERY_MS && token.last_remote == remote {
            return;
        }
        if let Err(error) = self.store.note_api_token(token.digest, now, remote).await {
            warn!(%error, "the use of a token is not noted");
        }
    }
}

fn verdict(token: Option<&ApiToken>, from: Option<IpAddr>, now: i64) -> Verdict {
    let Some(token) = token else { return Verdict::Unknown };
    if token.expires_at <= now {
        return Verdict::Over;
    }
    let mut sources = token.sources.split_whitespace().map(str::parse::<IpNet>).peekable();
    if sources.peek().is_none() {
        return Verdict::Valid;
    }
    // What cannot be read lets nobody in.
    let is_in = |from: IpAddr| sources.any(|source| source.is_ok_and(|source| source.contains(&from)));
    if from.is_some_and(is_in) { Verdict::Valid } else { Verdict::Elsewhere }
}

fn holder(token: &ApiToken) -> Holder {
    Holder { subject: token.subject.clone(), uid: token.uid.clone() }
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
        let pepper = Pepper::new([9; 32].into());
        let now = clock::unix_ms();
        let token = NewApiToken {
            digest: pepper.keyed_api(&[7; 32]).as_bytes().to_vec(),
            id: "ABC".into(),
            subject: "default/ops".into(),
            uid: "u-1".into(),
            sources: String::new(),
            now,
            expires_at: now + 60_000,
        };
        let (actor, action, object) = ("operator".into(), "make-token".into(), "token".into());
        let entry = AuditEntry { at: now, actor, action, object, detail: json!({}) };
        assert!(store.add_api_token(token, entry).await.unwrap());
        let (lookups, asked) = mpsc::channel(WAITING_MAX);
        let (events, mut told) = mpsc::channel(WAITING_MAX);
        let answers: Vec<_> = (0..WAITING_MAX)
            .map(|number| {
                let (reply, answer) = oneshot::channel();
                let token = SecretHash([u8::try_from(number).unwrap(); 32]);
                let from = Some([192, 0, 2, 1].into());
                lookups.try_send(Lookup { token, from, reply }).ok().unwrap();
                answer
            })
            .collect();

        let running = tokio::spawn(Lookups { store: store.clone(), pepper, events }.run(asked));

        for (number, answer) in answers.into_iter().enumerate() {
            let holder = || Holder { subject: "default/ops".into(), uid: "u-1".into() };
            assert_eq!(answer.await.unwrap().ok().unwrap(), (number == 7).then(holder), "{number}");
        }
        drop(lookups);
        running.await.unwrap();
        let mut refused = 0;
        while told.recv().await.is_some() {
            refused += 1;
        }
        assert_eq!(refused, WAITING_MAX - 1);
    }

    #[test]
    fn a_token_counts_from_where_it_may_be_used_until_it_ends() {
        let token = |sources: &str| ApiToken {
            digest: vec![],
            id: String::new(),
            subject: String::new(),
            uid: String::new(),
            sources: sources.into(),
            created_at: 1,
            expires_at: 20,
            last_used_at: 0,
            last_remote: String::new(),
        };
        let (near, far): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [203, 0, 113, 1].into());
        let check = |sources: &str, from, now| verdict(Some(&token(sources)), from, now);

        assert_eq!(check("", Some(far), 19), Verdict::Valid);
        assert_eq!(check("", Some(far), 20), Verdict::Over);
        assert_eq!(check("10.0.0.0/8 192.0.2.0/24", Some(near), 19), Verdict::Valid);
        assert_eq!(check("10.0.0.0/8 192.0.2.0/24", Some(far), 19), Verdict::Elsewhere);
        assert_eq!(check("192.0.2.0/24", None, 19), Verdict::Elsewhere);
        assert_eq!(check("junk", Some(near), 19), Verdict::Elsewhere);
        assert_eq!(verdict(None, Some(near), 19), Verdict::Unknown);
    }
}
