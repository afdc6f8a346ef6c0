//! The one owner of the controller's state. One loop, one event at a time; everyone else holds a snapshot.
//!
//! What was scanned, enrolled or reported goes in; one transaction and one published [`Snapshot`] come out.

mod api_object;
mod approval;
mod before;
mod cards;
mod change;
mod cluster;
mod compile;
mod confirm;
mod delegation;
mod device_key;
mod enrol;
mod enrolled;
mod ephemeral;
mod fates;
mod gateway_key;
mod gateways;
mod grants;
mod guard;
mod invite;
mod kept;
mod lacking;
mod last_seen;
mod last_use;
mod ledger;
mod login;
mod login_key;
mod news;
mod own_keys;
mod plan;
mod refusal;
mod refusal_limit;
mod retry;
mod revocation;
mod rotation;
mod rotation_pace;
mod state;
mod statement;
mod traffic;
mod trust;
mod untold;
mod verb;
mod view;
mod why;

#[cfg(test)]
mod facts;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use horizon_api::{assignment::Version, http::View};
use horizon_api_server::{Admins, Counts, Refusal};
use horizon_node::clock;
use tokio::sync::{mpsc, watch};
use tracing::error;

use refusal_limit::RefusalLimit;
use retry::Retry;
pub use state::Advertised;
use state::State;
pub use view::{STALLED, UNREVERTED};

use crate::{
    event::{Answer, Event},
    fate::{Fates, Words},
    identity::ControllerIdentity,
    snapshot::{Delegations, Snapshot},
    store::Store,
};

/// What the reconciler is made of.
pub struct Parts {
    pub store: Store,
    pub identity: ControllerIdentity,
    /// Where nodes are answered: with another key once that signs. Nowhere in tests.
    pub endpoint: Option<quinn::Endpoint>,
    /// Names of the sources that will be scanned: until each was, nothing is pruned.
    pub sources: Vec<String>,
    /// A cluster is among them, and hears what becomes of objects.
    pub cluster: Option<Scope>,
    pub advertised: Advertised,
}

/// The namespace of a cluster that is looked at; `None` is every one.
pub type Scope = Option<String>;

/// What others watch.
pub struct Published {
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    pub views: watch::Receiver<Arc<View>>,
    /// What becomes of objects; the first word is about every one.
    pub fates: mpsc::Receiver<Fates>,
    /// What the cluster is told.
    pub words: mpsc::Receiver<Words>,
    pub admins: watch::Receiver<Arc<Admins>>,
    pub counts: watch::Receiver<Arc<Counts>>,
}

/// The owner of the state.
pub struct Reconciler {
    store: Store,
    identity: ControllerIdentity,
    /// The root's words, as nodes are told.
    delegations: Arc<Delegations>,
    endpoint: Option<quinn::Endpoint>,
    advertised: Advertised,
    state: State,
    refusals: RefusalLimit,
    retry: Retry,
    snapshots: watch::Sender<Arc<Snapshot>>,
    views: watch::Sender<Arc<View>>,
    view_is_due: bool,
    fates: mpsc::Sender<Fates>,
    words: mpsc::Sender<Words>,
    admins: watch::Sender<Arc<Admins>>,
    counts: watch::Sender<Arc<Counts>>,
}

/// The page shows changes twice a second at most.
const VIEW_EVERY: Duration = Duration::from_millis(500);
/// How soon something that expires takes effect.
const WAKE_EVERY: Duration = Duration::from_secs(1);
/// How soon a root key that was put back renews the delegation.
const DELEGATION_EVERY: Duration = Duration::from_secs(3600);

impl Reconciler {
    /// Reads the store and publishes what was committed last.
    ///
    /// # Errors
    /// When the store cannot be read or holds what this version does not know.
    pub async fn new(parts: Parts) -> anyhow::Result<(Self, Published)> {
        let Parts { store, identity, endpoint, sources, cluster, advertised } = parts;
        let stored = store.load().await.context("read the store")?;
        let mut state = State::from_stored(stored, sources, clock::unix_ms())?;
        if let Some(scope) = cluster {
            state.untold.tell_cluster();
            state.cluster.scope = scope;
        }
        let delegations = Arc::new(Delegations::new(identity.ring().words()));
        let snapshot = state.snapshot(Arc::clone(&delegations));
        let (snapshots, snapshots_seen) = watch::channel(Arc::new(snapshot));
        let (views, views_seen) = watch::channel(Arc::new(View::default()));
        // One word waits at most: while it does, the next one grows.
        let (fates, fates_seen) = mpsc::channel(1);
        let (words, words_seen) = mpsc::channel(1);
        let (admins, admins_seen) = watch::channel(Arc::default());
        let (counts, counts_seen) = watch::channel(Arc::default());
        let mut reconciler = Self {
            store,
            identity,
            delegations,
            endpoint,
            advertised,
            state,
            refusals: RefusalLimit::default(),
            retry: Retry::default(),
            snapshots,
            views,
            view_is_due: true,
            fates,
            words,
            admins,
            counts,
        };
        reconciler.warn_of_delegation();
        reconciler.foresee();
        reconciler.read_events().await;
        reconciler.publish_view();
        reconciler.publish_admins();
        let published = Published {
            snapshots: snapshots_seen,
            views: views_seen,
            fates: fates_seen,
            words: words_seen,
            admins: admins_seen,
            counts: counts_seen,
        };
        Ok((reconciler, published))
    }

    /// Runs until nobody can send events any more.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Event>) {
        let mut view_timer = tokio::time::interval(VIEW_EVERY);
        let mut wake_timer = tokio::time::interval(WAKE_EVERY);
        let mut delegation_timer = tokio::time::interval(DELEGATION_EVERY);
        let (fates, words) = (self.fates.clone(), self.words.clone());
        // Where there is nothing, that is the first word.
        let mut has_told = false;
        if self.state.has_read_all {
            self.recompile_or_log("start").await;
        }
        loop {
            tokio::select! {
                event = inbox.recv() => match event {
                    Some(event) => self.handle(event).await,
                    None => return,
                },
                _ = view_timer.tick() => {
                    if self.view_is_due {
                        self.publish_view();
                    }
                }
                Ok(place) = fates.reserve(), if !has_told || !self.state.untold.is_registry_told() => {
                    has_told = true;
                    place.send(self.state.take_fates());
                }
                Ok(place) = words.reserve(), if self.state.has_read_all && !self.state.untold.is_cluster_told() => {
                    place.send(self.state.take_words());
                }
                _ = wake_timer.tick() => self.wake().await,
                _ = delegation_timer.tick() => self.renew_delegation().await,
            }
        }
    }

    async fn handle(&mut self, event: Event) {
        self.view_is_due |= !matches!(event, Event::Settle(_));
        match event {
            Event::Scanned { source, scan, parsed } => {
                self.state.scanned(&source, &scan, parsed);
                self.recompile_or_log("scan").await;
            }
            Event::Cluster(scan) => self.see_cluster(scan).await,
            Event::MakeToken(key, reply) => drop(reply.send(self.make_token(&key))),
            Event::TokenWritten(key, made, reply) => drop(reply.send(self.keep_token(key, made).await)),
            Event::Api(changes, done) => {
                self.change_api_objects(changes).await;
                // A registry that is gone takes the process with it.
                let _ = done.send(());
            }
            // Whoever asked may be gone by the time of the answer.
            Event::Join(request, reply) => drop(reply.send(self.join(request).await)),
            Event::Attach(request, reply) => drop(reply.send(self.attach(&request).await)),
            Event::Kept(gateway, kept, done) => self.take_kept(&gateway, &kept, done).await,
            Event::Report(report) => self.report(report).await,
            Event::Login(request, reply) => drop(reply.send(self.login(request).await)),
            Event::Refresh(request, reply) => drop(reply.send(self.refresh(&request).await)),
            Event::News(request, reply) => drop(reply.send(self.news(&request))),
            Event::NextKey(request, reply) => drop(reply.send(self.announce_key(&request).await)),
            Event::RotateDevice(request, reply) => drop(reply.send(self.rotate_device(&request).await)),
            Event::SignOut(request, reply) => drop(reply.send(self.sign_out(&request).await)),
            Event::Invite(request, reply) => {
                let invited = self.invite(request, &reply).await;
                drop(reply.send(invited));
            }
            Event::Plan(folders, reply) => self.begin_plan(folders, reply),
            Event::OwnKeys(reply) => drop(reply.send(Ok(self.own_keys()))),
            Event::Keys(request, reply) => {
                let done = self.keys(request).await;
                self.answer(reply, done);
            }
            Event::Object(request, reply) => drop(reply.send(self.object(&request.object))),
            Event::Approve(request, reply) => {
                let done = self.approve(&request).await;
                self.answer(reply, done);
            }
            Event::ApproveDevice(request, reply) => {
                let done = self.approve_device(&request).await;
                self.answer(reply, done);
            }
            Event::Hold(request, reply) => {
                let done = self.hold(request).await;
                self.answer(reply, done);
            }
            Event::Release(request, reply) => {
                let done = self.release(&request).await;
                self.answer(reply, done);
            }
            Event::Arm(request, reply) => {
                let done = self.arm(&request).await;
                self.answer(reply, done);
            }
            Event::Confirm(reply) => {
                let done = self.confirm().await;
                self.answer(reply, done);
            }
            Event::Settle(reply) => {
                self.settle();
                drop(reply.send(Ok(())));
            }
            Event::Policy(question, reply) => drop(reply.send(self.why(&question))),
            Event::TokenRefused { remote, id, subject, reason } => {
                self.token_refused(remote, &id, subject, reason).await;
            }
            Event::SignInRefused { remote } => self.sign_in_refused(remote).await,
        }
    }

    /// Has everybody see what there is to see.
    fn settle(&mut self) {
        if self.view_is_due {
            self.publish_view();
        }
    }

    /// Who looks after the answer sees what it says.
    fn answer<T>(&mut self, reply: Answer<T>, outcome: Result<T, Refusal>) {
        self.publish_view();
        drop(reply.send(outcome));
    }

    /// Compiles again when time alone has changed something, and when the store refused the last time.
    async fn wake(&mut self) {
        self.save_last_seen().await;
        self.save_trust().await;
        self.quarantine_due().await;
        self.revert_if_due().await;
        self.rotate_on().await;
        let now = clock::unix_s();
        let is_time = self.state.next_wake.is_some_and(|at| at <= now);
        if (is_time || self.state.stalled.is_some()) && self.retry.is_due(now) {
            self.view_is_due = true;
            self.recompile_or_log("time").await;
        }
        self.end_holds().await;
        self.forget_away().await;
        self.publish_admins();
        self.tell_suppressed().await;
        if self.store.trouble().is_some() {
            // Whether writing works again is known only by writing; the store remembers the outcome.
            drop(self.store.probe().await);
        }
    }

    /// A store that refuses keeps the old revision in force; [`Reconciler::wake`] tries again.
    async fn recompile_or_log(&mut self, cause: &str) {
        match self.recompile(cause).await {
            Ok(()) => {
                self.state.stalled = None;
                self.retry.handle_success();
            }
            Err(error) => {
                let reason = format!("{error:#}");
                error!(%reason, "nothing was committed; the old revision stays in force");
                self.state.stalled = Some(reason);
                self.retry.handle_failure(clock::unix_s());
            }
        }
    }

    fn publish_snapshot(&self) {
        let delegations = Arc::clone(&self.delegations);
        self.snapshots.send_replace(Arc::new(self.state.snapshot(delegations)));
    }

    fn publish_view(&mut self) {
        self.view_is_due = false;
        let view = view::view(&self.state);
        self.views.send_replace(Arc::new(view));
        let counts = Arc::new(self.state.counts());
        self.counts.send_if_modified(|known| {
            let is_other = *known != counts;
            *known = counts;
            is_other
        });
    }

    async fn read_events(&mut self) {
        match self.store.recent_events(view::EVENTS_SHOWN).await {
            Ok(events) => self.state.events = events,
            Err(error) => error!(%error, "cannot read the security events"),
        }
    }
}

impl State {
    fn snapshot(&self, delegations: Arc<Delegations>) -> Snapshot {
        let assignments = self.assignments.values();
        let gateways = assignments.map(|assigned| (assigned.gateway, Arc::clone(&assigned.snapshot)));
        let (epoch, restored_from) = (self.version.epoch, self.restored_from);
        let sources = self.sources_of_gateways();
        Snapshot { delegations, epoch, restored_from, gateways: gateways.collect(), sources }
    }
}

/// Returns the version that follows.
fn next(version: Version) -> Version {
    Version { revision: version.revision + 1, ..version }
}
