//! Answers the HTTP face's commands: sessions from the store, invitations from the reconciler.

mod backups;
pub mod lookups;
mod plans;
mod tokens;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use horizon_api::http::{ApiError, View};
use horizon_api_server::{
    Admins, Command, Holder, Refusal, Reply, SESSION_IDLE, SESSION_LIFE, SIGN_IN_LIFE, SecretHash, Session,
};
use horizon_node::clock;
use tokio::sync::{mpsc, watch};
use tracing::error;

use crate::{
    event::{Answer, Event},
    identity::Pepper,
    reconciler::{STALLED, UNREVERTED},
    store::{self, NewLink, Store, TakeLink},
};

use plans::Plans;
#[cfg(test)]
pub(crate) use plans::read_folders;

/// Who signs in where no Admin is named: the operator of the host.
const SUBJECT: &str = "operator";

/// The task's own parts.
pub struct Console {
    pub store: Store,
    pub pepper: Pepper,
    pub events: mpsc::Sender<Event>,
    pub views: watch::Receiver<Arc<View>>,
    pub admins: watch::Receiver<Arc<Admins>>,
    /// Rises when tokens are ended.
    pub endings: watch::Sender<u64>,
}

impl Console {
    /// Runs until nobody can send commands any more.
    pub async fn run(self, mut commands: mpsc::Receiver<Command>) {
        let mut idle = IdleSessions::default();
        let plans = Plans::new(self.events.clone());
        while let Some(command) = commands.recv().await {
            self.handle(command, &mut idle, &plans).await;
        }
    }

    /// An answer that nobody waits for any more is dropped.
    async fn handle(&self, command: Command, idle: &mut IdleSessions, plans: &Plans) {
        match command {
            Command::Invite { request, reply } => self.pass(|to| Event::Invite(request, to), reply),
            Command::Plan { request, reply } => plans.begin(request, reply),
            Command::Approve { request, reply } => self.pass(|to| Event::Approve(request, to), reply),
            Command::ApproveDevice { request, reply } => {
                self.pass(|to| Event::ApproveDevice(request, to), reply);
            }
            Command::Hold { request, reply } => self.pass(|to| Event::Hold(request, to), reply),
            Command::Release { request, reply } => self.pass(|to| Event::Release(request, to), reply),
            Command::Arm { request, reply } => self.pass(|to| Event::Arm(request, to), reply),
            Command::Confirm { reply } => self.pass(Event::Confirm, reply),
            Command::Settle { reply } => self.pass(Event::Settle, reply),
            Command::OwnKeys { reply } => self.pass(Event::OwnKeys, reply),
            Command::Keys { request, reply } => self.pass(|to| Event::Keys(request, to), reply),
            Command::Object { request, reply } => self.pass(|to| Event::Object(request, to), reply),
            Command::Policy { question, reply } => self.pass(|to| Event::Policy(question, to), reply),
            Command::MintSignIn { code, holder, reply } => {
                drop(reply.send(self.mint(&code, holder).await));
            }
            Command::TakeSignIn { code, session, from, reply } => {
                drop(reply.send(self.take(&code, &session, from.map(|address| address.ip())).await));
            }
            Command::LookupSession { session, reply } => {
                drop(reply.send(self.look_up(&session, idle).await));
            }
            Command::SignOut { session, reply } => {
                let ended = self.store.end_session(session.0.to_vec()).await;
                drop(reply.send(ended.map_err(|error| refuse(&error))));
            }
            Command::MintToken { token, id, request, reply } => {
                drop(reply.send(self.mint_token(&token, id, &request).await));
            }
            Command::ListTokens { reply } => drop(reply.send(self.list_tokens().await)),
            Command::EndTokens { request, reply } => drop(reply.send(self.end_tokens(&request).await)),
            Command::Backup { request, reply } => {
                let (store, revision) = (self.store.clone(), self.views.borrow().revision);
                // The disk takes its time, and sessions must not wait for it.
                drop(tokio::spawn(
                    async move { reply.send(backups::write(&store, &request, revision).await) },
                ));
            }
            Command::CheckReady { reply } => drop(reply.send(Ok(self.reasons().await))),
        }
    }

    /// Passes a request on to the reconciler, which may be busy with a commit; sessions must not wait for it. It
    /// answers by itself, and sees when nobody waits any more.
    fn pass<T>(&self, event: impl FnOnce(Answer<T>) -> Event, reply: Reply<T>) {
        match self.events.try_reserve() {
            Ok(slot) => slot.send(event(reply)),
            Err(_) => drop(reply.send(Err(busy("the controller is busy")))),
        }
    }

    async fn mint(&self, code: &SecretHash, holder: Option<Holder>) -> Result<u64, Refusal> {
        let now = clock::unix_ms();
        let expires_at = now + millis(SIGN_IN_LIFE);
        let operator = || Holder { subject: SUBJECT.into(), uid: String::new() };
        let Holder { subject, uid } = holder.unwrap_or_else(operator);
        let link = NewLink { secret: code.0.to_vec(), subject, uid, now, expires_at };
        self.store.create_link(link).await.map_err(|error| refuse(&error))?;
        Ok(u64::try_from(expires_at).unwrap_or(0))
    }

    async fn take(
        &self,
        code: &SecretHash,
        session: &SecretHash,
        from: Option<IpAddr>,
    ) -> Result<Session, Refusal> {
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
                // It counts and records refusals; one that does not fit into its queue is not worth a wait.
                drop(self.events.try_send(Event::SignInRefused { remote: from }));
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

    /// Why what is asked of the controller may not be done, beside what everybody can see in the view.
    async fn reasons(&self) -> Vec<String> {
        let view = Arc::clone(&self.views.borrow());
        let reason = |code: &str, what: &str| {
            let problem = view.problems.iter().find(|problem| problem.code == code)?;
            Some(format!("{what}: {}", problem.message))
        };
        let stalled = reason(STALLED, "nothing can be committed");
        let unreverted = reason(UNREVERTED, "a change that nobody confirmed cannot be taken back");
        let trouble = self.store.trouble().map(|error| format!("the store cannot write: {error}"));
        let unread =
            self.store.recent_events(0).await.err().map(|error| format!("the store cannot read: {error}"));
        stalled.or(trouble).into_iter().chain(unreverted).chain(unread).collect()
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
    Session { subject: session.subject.clone(), uid: session.uid.clone(), expires_at }
}

fn busy(message: &str) -> Refusal {
    Refusal::Unavailable(ApiError::new("Busy", message, "try again in a moment"))
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

#[cfg(test)]
mod tests {
    use horizon_api::http::PlanRequest;
    use tokio::sync::oneshot;

    use super::*;

    fn code<T>(answer: Result<T, Refusal>) -> Option<String> {
        match answer.err()? {
            Refusal::Invalid(error)
            | Refusal::Denied(error)
            | Refusal::Missing(error)
            | Refusal::Conflict(error)
            | Refusal::Unavailable(error) => Some(error.code),
        }
    }

    #[tokio::test]
    async fn a_full_queue_is_said_at_once_and_sessions_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        // Nobody takes events out, and the only place is taken.
        let (events, _inbox) = mpsc::channel(1);
        events.try_send(Event::SignInRefused { remote: None }).ok().unwrap();
        let (_view, views) = watch::channel(Arc::default());
        let (_admins, admins) = watch::channel(Arc::default());
        let (commands, inbox) = mpsc::channel(64);
        let console = tokio::spawn(
            Console {
                store,
                pepper: Pepper::new([1; 32].into()),
                events,
                views,
                admins,
                endings: watch::Sender::new(0),
            }
            .run(inbox),
        );

        let (reply, confirmed) = oneshot::channel();
        commands.send(Command::Confirm { reply }).await.ok().unwrap();
        let mut plans = Vec::new();
        for _ in 0..5 {
            let (reply, planned) = oneshot::channel();
            let request = PlanRequest { folders: vec![] };
            commands.send(Command::Plan { request, reply }).await.ok().unwrap();
            plans.push(planned);
        }
        let (reply, looked_up) = oneshot::channel();
        commands.send(Command::LookupSession { session: SecretHash([1; 32]), reply }).await.ok().unwrap();

        assert_eq!(code(confirmed.await.unwrap()).as_deref(), Some("Busy"));
        assert_eq!(looked_up.await.unwrap().ok(), Some(None));
        assert_eq!(code(plans.pop().unwrap().await.unwrap()).as_deref(), Some("Busy"));
        console.abort();
    }
}
