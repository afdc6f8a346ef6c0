//! Answers the HTTP face's commands: sessions from the store, invitations from the reconciler.

use std::{collections::BTreeMap, sync::Arc};

use horizon_api::http::{ApiError, View};
use horizon_api_server::{Command, Refusal, SESSION_IDLE, SESSION_LIFE, SIGN_IN_LIFE, SecretHash, Session};
use horizon_node::clock;
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::error;
use uuid::Uuid;

use crate::{
    event::Event,
    store::{self, NewLink, Store, TakeLink},
};

/// Who may sign in until admins are declared: the operator of the host.
const SUBJECT: &str = "operator";

/// The task's own parts.
pub struct Console {
    pub store: Store,
    pub events: mpsc::Sender<Event>,
    pub views: watch::Receiver<Arc<View>>,
}

impl Console {
    /// Runs until nobody can send commands any more.
    pub async fn run(self, mut commands: mpsc::Receiver<Command>) {
        let mut idle = IdleSessions::default();
        while let Some(command) = commands.recv().await {
            self.handle(command, &mut idle).await;
        }
    }

    /// An answer that nobody waits for any more is dropped.
    async fn handle(&self, command: Command, idle: &mut IdleSessions) {
        match command {
            Command::Invite { request, reply } => {
                let (sender, answer) = oneshot::channel();
                if self.events.send(Event::Invite(request, sender)).await.is_ok() {
                    // The reconciler may be busy with a commit; sessions must not wait for it.
                    tokio::spawn(async move {
                        if let Ok(answer) = answer.await {
                            drop(reply.send(answer));
                        }
                    });
                }
            }
            Command::MintSignIn { code, reply } => drop(reply.send(self.mint(&code).await)),
            Command::TakeSignIn { code, session, from, reply } => {
                let from = from.map(|address| address.ip().to_string()).unwrap_or_default();
                drop(reply.send(self.take(&code, &session, from).await));
            }
            Command::LookupSession { session, reply } => {
                drop(reply.send(self.look_up(&session, idle).await));
            }
            Command::SignOut { session, reply } => {
                let ended = self.store.end_session(session.0.to_vec()).await;
                drop(reply.send(ended.map_err(|error| refuse(&error))));
            }
            Command::CheckReady { reply } => drop(reply.send(Ok(self.reasons()))),
        }
    }

    async fn mint(&self, code: &SecretHash) -> Result<u64, Refusal> {
        let now = clock::unix_ms();
        let expires_at = now + millis(SIGN_IN_LIFE);
        let link = NewLink { secret: code.0.to_vec(), subject: SUBJECT.into(), now, expires_at };
        self.store.create_link(link).await.map_err(|error| refuse(&error))?;
        Ok(u64::try_from(expires_at).unwrap_or(0))
    }

    async fn take(&self, code: &SecretHash, session: &SecretHash, from: String) -> Result<Session, Refusal> {
        let now = clock::unix_ms();
        let take = TakeLink {
            link_secret: code.0.to_vec(),
            session_secret: session.0.to_vec(),
            now,
            session_expires_at: now + millis(SESSION_LIFE),
        };
        match self.store.take_link(take).await.map_err(|error| refuse(&error))? {
            Some(session) => Ok(opened(&session)),
            None => {
                let event = store::Event {
                    id: Uuid::now_v7().to_string(),
                    at: now,
                    kind: "SignInRefused".into(),
                    severity: store::Severity::Medium,
                    object: String::new(),
                    remote: from,
                    detail: json!({ "reason": "the sign-in link is unknown, used or expired" }),
                };
                if let Err(error) = self.store.add_event(event).await {
                    error!(%error, "a security event is lost");
                }
                let hint = "run `horizon-controller sign-in` on the controller's host for a new one";
                let error = ApiError::new("LinkUsed", "this sign-in link is unknown, used or expired", hint);
                Err(Refusal::Denied(error))
            }
        }
    }

    async fn look_up(
        &self,
        session: &SecretHash,
        idle: &mut IdleSessions,
    ) -> Result<Option<Session>, Refusal> {
        let now = clock::unix_ms();
        if idle.has_ended(session, now) {
            self.store.end_session(session.0.to_vec()).await.map_err(|error| refuse(&error))?;
            return Ok(None);
        }
        let found = self.store.session(session.0.to_vec(), now).await.map_err(|error| refuse(&error))?;
        if found.is_some() {
            idle.touch(session, now);
        }
        Ok(found.as_ref().map(opened))
    }

    fn reasons(&self) -> Vec<String> {
        let revision = self.views.borrow().revision;
        if revision > 0 { vec![] } else { vec!["no revision is committed yet".into()] }
    }
}

/// When each session was last used. After a restart all begin anew: that only lengthens a pause.
#[derive(Default)]
struct IdleSessions {
    used_at: BTreeMap<[u8; 32], i64>,
}

impl IdleSessions {
    fn touch(&mut self, session: &SecretHash, now: i64) {
        self.used_at.retain(|_, at| now - *at <= millis(SESSION_LIFE));
        self.used_at.insert(session.0, now);
    }

    fn has_ended(&self, session: &SecretHash, now: i64) -> bool {
        self.used_at.get(&session.0).is_some_and(|at| now - at > millis(SESSION_IDLE))
    }
}

fn opened(session: &store::Session) -> Session {
    let expires_at = u64::try_from(session.expires_at).unwrap_or(0);
    Session { subject: session.subject.clone(), expires_at }
}

fn refuse(error: &store::StoreError) -> Refusal {
    error!(%error, "the store does not answer the console");
    Refusal::Unavailable(ApiError::new(
        "Unavailable",
        "the store does not answer",
        "see the controller's log",
    ))
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
