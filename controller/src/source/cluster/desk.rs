//! The one task between the cluster and the reconciler.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use horizon_api::resource::{Kind, ObjectKey};
use horizon_kube::{Cluster, Definition, Sight, Trouble};
use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until},
};
use tracing::warn;

use super::{
    deed::{self, Deed},
    mirror::Mirror,
    wish::Wishes,
};
use crate::{
    event::{Event, MadeToken},
    fate::Words,
    off_worker::off_worker,
};

/// What was seen and waits to be taken in.
const SIGHTS_MAX: usize = 1_024;
/// What one reader of a manifest takes in at once.
const BATCH_MAX: usize = 512;
/// Whoever applies many objects is waited for this long, and not for longer than that.
const QUIET: Duration = Duration::from_millis(100);
const QUIET_MAX: Duration = Duration::from_millis(500);
/// What is written at the same time.
const DEEDS_MAX: usize = 16;
/// How long an API server has that does not answer at first, before what was in force is served without it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Events that are told at once, and how soon there may be another one: a first start is no news of ten thousand objects.
const EVENTS_MAX: u32 = 100;
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// The task's own parts.
pub struct Desk {
    cluster: Cluster,
    mirror: Mirror,
    wishes: Wishes,
    sights: mpsc::Receiver<(Kind, u32, Sight)>,
    words: mpsc::Receiver<Words>,
    events: mpsc::Sender<Event>,
    /// The watch of each kind, and its number.
    watches: BTreeMap<Kind, (u32, AbortHandle)>,
    watching: JoinSet<()>,
    seen: mpsc::Sender<(Kind, u32, Sight)>,
    looks: JoinSet<(Kind, Result<Definition, Trouble>)>,
    /// Kinds that are being looked at, and kinds in trouble with when they are looked at again.
    looked_at: BTreeSet<Kind>,
    troubled: BTreeMap<Kind, Instant>,
    deeds: JoinSet<Done>,
    began: Instant,
    /// How many events may be told, and since when.
    events_left: (u32, Instant),
    /// When news began, and when it was added to last.
    news: Option<(Instant, Instant)>,
}

/// A deed that is done, and the status that was written by it, of the object with this uid.
struct Done {
    key: ObjectKey,
    status: Option<(String, Value)>,
    outcome: Result<(), Trouble>,
}

impl Desk {
    /// Begins to look at every kind.
    pub fn new(cluster: Cluster, words: mpsc::Receiver<Words>, events: mpsc::Sender<Event>) -> Self {
        let (seen, sights) = mpsc::channel(SIGHTS_MAX);
        let mut desk = Self {
            cluster,
            mirror: Mirror::default(),
            wishes: Wishes::default(),
            sights,
            words,
            events,
            watches: BTreeMap::new(),
            watching: JoinSet::new(),
            seen,
            looks: JoinSet::new(),
            looked_at: BTreeSet::new(),
            troubled: BTreeMap::new(),
            deeds: JoinSet::new(),
            began: Instant::now(),
            events_left: (EVENTS_MAX, Instant::now()),
            news: None,
        };
        Kind::ALL.into_iter().for_each(|kind| desk.watch(kind));
        desk
    }

    /// Lists a kind and watches it from there. An earlier watch of it ends, and what it saw last is not heard any more.
    fn watch(&mut self, kind: Kind) {
        let earlier = self.watches.remove(&kind);
        let number = earlier.map_or(0, |(number, watch)| {
            watch.abort();
            number + 1
        });
        let (cluster, seen) = (self.cluster.clone(), self.seen.clone());
        let watch = self.watching.spawn(async move { cluster.watch(kind, number, seen).await });
        self.watches.insert(kind, (number, watch));
    }

    /// Runs until the reconciler is gone, or a part of this breaks, which is in the log then.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let (tell_at, due_at) = (self.tell_at(), self.wishes.next_due());
            let look_at = self.troubled.values().min().copied();
            let patient_until = Some(self.began + PATIENCE).filter(|_| self.is_patient());
            tokio::select! {
                count = self.sights.recv_many(&mut batch, BATCH_MAX) => {
                    debug_assert!(count > 0, "this end has a sender itself");
                    self.see(std::mem::take(&mut batch));
                }
                words = self.words.recv() => match words {
                    Some(words) => self.wishes.handle_words(words),
                    None => return,
                },
                Some(ended) = self.watching.join_next() => {
                    // One that was ended on purpose has a successor; any other end is a fault.
                    if ended.is_err_and(|error| error.is_panic()) {
                        return;
                    }
                }
                Some(looked) = self.looks.join_next() => match looked {
                    Ok((kind, look)) => self.end_look(kind, look),
                    Err(_) => return,
                },
                Some(done) = self.deeds.join_next() => match done {
                    Ok(done) => self.end_deed(done),
                    Err(_) => return,
                },
                () = until(patient_until), if patient_until.is_some() => self.note_news(),
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

    fn see(&mut self, sights: Vec<(Kind, u32, Sight)>) {
        let (mirror, watches) = (&mut self.mirror, &self.watches);
        let is_heard = |(kind, number, _): &(Kind, u32, Sight)| {
            watches.get(kind).is_some_and(|(newest, _)| newest == number)
        };
        let heard = sights.into_iter().filter(is_heard);
        // Every object is parsed as a manifest.
        off_worker(|| heard.for_each(|(kind, _, sight)| mirror.handle_sight(kind, sight)));
        self.note_news();
    }

    fn is_patient(&self) -> bool {
        self.began.elapsed() < PATIENCE
    }

    fn end_deed(&mut self, done: Done) {
        let Done { key, status, outcome } = done;
        if let (Ok(()), Some((uid, status))) = (&outcome, status) {
            self.mirror.set_status(&key, &uid, status);
        }
        self.wishes.handle_done(&key, outcome, Instant::now());
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
        self.news =
            self.mirror.has_news(self.is_patient()).then(|| (self.news.map_or(now, |(began, _)| began), now));
    }

    fn tell_at(&self) -> Option<Instant> {
        self.news.map(|(began, last)| (last + QUIET).min(began + QUIET_MAX))
    }

    /// Tells the reconciler what is new, and says whether it is there.
    async fn tell(&mut self) -> bool {
        self.news = None;
        let is_patient = self.is_patient();
        let mirror = &mut self.mirror;
        let scan = off_worker(|| mirror.take_news(is_patient));
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
            let Some((key, mut deed)) = deed else { return };
            if let Deed::Status { event, .. } = &mut deed
                && event.is_some()
                && !self.may_tell()
            {
                *event = None;
            }
            let hand = Hand { cluster: self.cluster.clone(), events: self.events.clone() };
            self.deeds.spawn(async move { hand.carry_out(key, deed).await });
        }
    }

    fn may_tell(&mut self) -> bool {
        let (left, since) = self.events_left;
        let more = u32::try_from(since.elapsed().as_secs() / EVENT_EVERY.as_secs()).unwrap_or(u32::MAX);
        let left = left.saturating_add(more).min(EVENTS_MAX);
        let since = if more > 0 { Instant::now() } else { since };
        self.events_left = (left.saturating_sub(1), since);
        left > 0
    }
}

/// What carries a deed out.
struct Hand {
    cluster: Cluster,
    events: mpsc::Sender<Event>,
}

impl Hand {
    async fn carry_out(&self, key: ObjectKey, deed: Deed) -> Done {
        let (status, outcome) = match deed {
            Deed::Status { uid, status, event } => {
                let outcome = self.write_status(&key, &uid, &status, event).await;
                (Some((uid, status)), outcome)
            }
            Deed::Create(object) => (None, self.cluster.create(&key, object).await),
            Deed::Token => (None, self.make_token(&key).await),
            Deed::Tell(event) => (None, self.cluster.tell(event).await),
        };
        Done { key, status, outcome }
    }

    async fn write_status(
        &self,
        key: &ObjectKey,
        uid: &str,
        status: &Value,
        event: Option<Value>,
    ) -> Result<(), Trouble> {
        self.cluster.write_status(key, uid, status).await?;
        if let Some(event) = event
            && let Err(trouble) = self.cluster.tell(event).await
        {
            // The status says the same, and lasts.
            warn!(object = %key, %trouble, "an event is not written");
        }
        Ok(())
    }

    /// The token is good once it is in its secret.
    async fn make_token(&self, key: &ObjectKey) -> Result<(), Trouble> {
        let stopped = || Trouble::Away("the controller stops".into());
        let (reply, made) = oneshot::channel();
        self.events.send(Event::MakeToken(key.clone(), reply)).await.map_err(|_| stopped())?;
        let Some(made) = made.await.map_err(|_| stopped())? else { return Ok(()) };
        let uid = made.object.clone();
        let secret = deed::secret(key, &uid, made.join.token.reveal(), &made.join.reveal());
        let written = match self.cluster.make_secret(secret).await {
            Ok(()) => self.keep_token(key, made).await,
            refused => refused,
        };
        if let Err(trouble) = &written {
            drop(self.cluster.tell(deed::no_secret(key, &uid, &trouble.to_string(), Timestamp::now())).await);
        }
        written
    }

    async fn keep_token(&self, key: &ObjectKey, made: MadeToken) -> Result<(), Trouble> {
        let stopped = || Trouble::Away("the controller stops".into());
        let (reply, taken) = oneshot::channel();
        let event = Event::TokenWritten(key.clone(), made, reply);
        self.events.send(event).await.map_err(|_| stopped())?;
        taken.await.map_err(|_| stopped())?.map_err(Trouble::Conflict)
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
