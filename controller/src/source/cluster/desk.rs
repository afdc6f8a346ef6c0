//! The one task between the cluster and the reconciler.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use horizon_api::resource::{Kind, ObjectKey};
use horizon_kube::{Cluster, Definition, Sight, Trouble};
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until},
};
use tracing::warn;

use super::{
    deed::{self, Deed},
    mirror::Mirror,
    secret_name,
    wish::Wishes,
};
use crate::{event::Event, fate::Fates, off_worker::off_worker};

/// What was seen and waits to be taken in.
const SIGHTS_MAX: usize = 1_024;
/// What one reader of a manifest takes in at once.
const BATCH_MAX: usize = 512;
/// Whoever applies many objects is waited for this long, and not for longer than that.
const QUIET: Duration = Duration::from_millis(100);
const QUIET_MAX: Duration = Duration::from_millis(500);
/// What is written at the same time.
const DEEDS_MAX: usize = 16;

/// The task's own parts.
pub struct Desk {
    cluster: Cluster,
    mirror: Mirror,
    wishes: Wishes,
    sights: mpsc::Receiver<(Kind, Sight)>,
    fates: mpsc::Receiver<Fates>,
    events: mpsc::Sender<Event>,
    watches: BTreeMap<Kind, AbortHandle>,
    watching: JoinSet<()>,
    seen: mpsc::Sender<(Kind, Sight)>,
    looks: JoinSet<(Kind, Result<Definition, Trouble>)>,
    /// Kinds that are being looked at, and kinds in trouble with when they are looked at again.
    looked_at: BTreeSet<Kind>,
    troubled: BTreeMap<Kind, Instant>,
    deeds: JoinSet<(ObjectKey, Result<(), Trouble>)>,
    /// When news began, and when it was added to last.
    news: Option<(Instant, Instant)>,
}

impl Desk {
    /// Begins to look at every kind.
    pub fn new(cluster: Cluster, fates: mpsc::Receiver<Fates>, events: mpsc::Sender<Event>) -> Self {
        let (seen, sights) = mpsc::channel(SIGHTS_MAX);
        let mut desk = Self {
            cluster,
            mirror: Mirror::default(),
            wishes: Wishes::default(),
            sights,
            fates,
            events,
            watches: BTreeMap::new(),
            watching: JoinSet::new(),
            seen,
            looks: JoinSet::new(),
            looked_at: BTreeSet::new(),
            troubled: BTreeMap::new(),
            deeds: JoinSet::new(),
            news: None,
        };
        Kind::ALL.into_iter().for_each(|kind| desk.watch(kind));
        desk
    }

    /// Lists a kind and watches it from there; an earlier watch of it ends.
    fn watch(&mut self, kind: Kind) {
        let (cluster, seen) = (self.cluster.clone(), self.seen.clone());
        let watch = self.watching.spawn(async move { cluster.watch(kind, seen).await });
        if let Some(earlier) = self.watches.insert(kind, watch) {
            earlier.abort();
        }
    }

    /// Runs until the reconciler is gone.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let (tell_at, due_at) = (self.tell_at(), self.wishes.next_due());
            let look_at = self.troubled.values().min().copied();
            tokio::select! {
                count = self.sights.recv_many(&mut batch, BATCH_MAX) => {
                    debug_assert!(count > 0, "this end has a sender itself");
                    self.see(std::mem::take(&mut batch));
                }
                fates = self.fates.recv() => match fates {
                    Some(fates) => self.wishes.handle_fates(fates),
                    None => return,
                },
                Some(ended) = self.watching.join_next() => {
                    // One that was ended on purpose has a successor; any other end is a fault.
                    if ended.is_err_and(|error| error.is_panic()) {
                        return;
                    }
                }
                Some(Ok((kind, look))) = self.looks.join_next(), if !self.looks.is_empty() => {
                    self.end_look(kind, look);
                }
                Some(Ok((key, outcome))) = self.deeds.join_next(), if !self.deeds.is_empty() => {
                    self.wishes.handle_done(&key, outcome, Instant::now());
                }
                () = until(tell_at), if tell_at.is_some() => {
                    if !self.tell().await {
                        return;
                    }
                }
                () = until(due_at), if due_at.is_some() => {}
                () = until(look_at), if look_at.is_some() => {}
            }
            self.look();
            self.write();
        }
    }

    fn see(&mut self, sights: Vec<(Kind, Sight)>) {
        let mirror = &mut self.mirror;
        // Every object is parsed as a manifest.
        off_worker(|| sights.into_iter().for_each(|(kind, sight)| mirror.handle_sight(kind, sight)));
        self.note_news();
    }

    fn end_look(&mut self, kind: Kind, look: Result<Definition, Trouble>) {
        self.looked_at.remove(&kind);
        if self.mirror.handle_look(kind, look) {
            self.watch(kind);
        }
        if self.mirror.is_in_trouble(kind) {
            self.troubled.insert(kind, Instant::now() + Cluster::PAUSE);
        }
        self.note_news();
    }

    fn note_news(&mut self) {
        let now = Instant::now();
        self.news = self.mirror.has_news().then(|| (self.news.map_or(now, |(began, _)| began), now));
    }

    fn tell_at(&self) -> Option<Instant> {
        self.news.map(|(began, last)| (last + QUIET).min(began + QUIET_MAX))
    }

    /// Tells the reconciler what is new, and says whether it is there.
    async fn tell(&mut self) -> bool {
        self.news = None;
        let mirror = &mut self.mirror;
        let scan = off_worker(|| mirror.take_news());
        self.events.send(Event::Cluster(scan)).await.is_ok()
    }

    /// Looks at what is in doubt: at once when that is new, and again after a pause when it is in trouble.
    fn look(&mut self) {
        let now = Instant::now();
        let is_due = |kind: &Kind| {
            !self.looked_at.contains(kind) && self.troubled.get(kind).is_none_or(|at| *at <= now)
        };
        let doubted: Vec<Kind> = self.mirror.in_doubt().filter(is_due).collect();
        for kind in doubted {
            self.troubled.remove(&kind);
            self.looked_at.insert(kind);
            self.mirror.begin_look(kind);
            let cluster = self.cluster.clone();
            self.looks.spawn(async move { (kind, cluster.look(kind).await) });
        }
    }

    fn write(&mut self) {
        while self.deeds.len() < DEEDS_MAX {
            let deed = self.wishes.poll_deed(&self.mirror, Instant::now(), Timestamp::now());
            let Some((key, deed)) = deed else { return };
            let hand = Hand { cluster: self.cluster.clone(), events: self.events.clone() };
            self.deeds.spawn(async move {
                let outcome = hand.carry_out(&key, deed).await;
                (key, outcome)
            });
        }
    }
}

/// What carries a deed out.
struct Hand {
    cluster: Cluster,
    events: mpsc::Sender<Event>,
}

impl Hand {
    async fn carry_out(&self, key: &ObjectKey, deed: Deed) -> Result<(), Trouble> {
        match deed {
            Deed::Status { uid, status, event } => {
                self.cluster.write_status(key, &uid, &status).await?;
                if let Some(event) = event
                    && let Err(trouble) = self.cluster.tell(event).await
                {
                    // The status says the same, and lasts.
                    warn!(object = %key, %trouble, "an event is not written");
                }
                Ok(())
            }
            Deed::Create(object) => self.cluster.create(key, object).await,
            Deed::Token { uid } => self.make_token(key, &uid).await,
        }
    }

    /// The token is good once it is in its secret: who reads the secret before has one that is replaced.
    async fn make_token(&self, key: &ObjectKey, uid: &str) -> Result<(), Trouble> {
        let away = |_| Trouble::Away("the controller stops".into());
        let (reply, made) = oneshot::channel();
        self.events
            .send(Event::MakeToken(key.clone(), reply))
            .await
            .map_err(|_| Trouble::Away("the controller stops".into()))?;
        let Some(made) = made.await.map_err(away)? else { return Ok(()) };
        let secret = deed::secret(key, uid, made.join.token.reveal(), &made.join.reveal());
        let written = self.cluster.write_secret(&key.namespace, &secret_name(key), secret).await;
        if let Err(trouble) = written {
            let now = Timestamp::now();
            let suffix = format!("{:x}", now.as_nanosecond());
            drop(self.cluster.tell(deed::no_secret(key, uid, &trouble.to_string(), &suffix, now)).await);
            return Err(trouble);
        }
        let (reply, taken) = oneshot::channel();
        let event = Event::TokenWritten(key.clone(), made, reply);
        self.events.send(event).await.map_err(|_| Trouble::Away("the controller stops".into()))?;
        taken.await.map_err(away)?.map_err(Trouble::Away)
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
