//! The Lease that one controller of a cluster holds. Beside it stand the lock of the data folder and the epoch.

use std::time::{Duration, Instant};

use anyhow::bail;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, api::PostParams};
use tracing::{info, warn};

use crate::{
    Cluster, MANAGER, Trouble,
    lease::{Candidate, Turn, Wait, Word},
};

/// How long a holder's word is good.
const GOOD_FOR: Duration = Duration::from_secs(15);
/// How often it is renewed, and how often others look.
const RENEW: Duration = Duration::from_secs(5);
/// How long a start waits for an API server that does not answer. Then what was in force is served without it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The turn of this process.
pub struct Fence {
    api: Api<Lease>,
    candidate: Candidate,
    began: Instant,
}

/// How the turn began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// Nobody held it, or whoever did stopped in order.
    InOrder,
    /// Whoever held it ended without a word, and may not know that its turn is over.
    TakenOver,
    /// The API server does not answer: whose turn it is, nobody knows.
    Unasked,
}

impl Cluster {
    /// Waits for the turn of this process. `me` must be nobody else's name.
    ///
    /// # Errors
    /// When the service account lacks a right.
    pub async fn fence(&self, me: String) -> anyhow::Result<(Fence, Fenced)> {
        let api = Api::namespaced(self.client.clone(), &self.home);
        let mut fence = Fence { api, candidate: Candidate::new(me), began: Instant::now() };
        let mut told = String::new();
        let mut wait = Wait::default();
        loop {
            match fence.turn().await {
                Ok(Turn::Mine { was_given_back: true }) => return Ok((fence, Fenced::InOrder)),
                Ok(Turn::Mine { was_given_back: false }) => return Ok((fence, Fenced::TakenOver)),
                Ok(Turn::Theirs { holder }) => {
                    wait.handle_another();
                    if told != holder {
                        info!(%holder, "another controller holds the Lease of this cluster: waiting for its turn to end");
                        told = holder;
                    }
                }
                Err(trouble) if trouble.is_passing() => {
                    if wait.handle_silence(fence.began.elapsed(), PATIENCE) {
                        warn!(%trouble, "the cluster is not reached: what was in force is served without it");
                        return Ok((fence, Fenced::Unasked));
                    }
                }
                // Somebody was faster; the next look says who.
                Err(Trouble::Conflict(_)) => wait.handle_another(),
                Err(trouble) => bail!(
                    "the Lease {MANAGER} of namespace {} cannot be held: {trouble}; install manifests/kubernetes, which give the right",
                    self.home
                ),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

impl Fence {
    /// Renews until it is another one's turn. An API server that is away ends no turn: the lock of the data folder and
    /// the epoch stand without it.
    ///
    /// # Errors
    /// Always: whose turn it is now.
    pub async fn hold(&mut self) -> anyhow::Error {
        let mut is_away = false;
        loop {
            tokio::time::sleep(RENEW).await;
            match self.turn().await {
                Ok(Turn::Mine { .. }) => is_away = false,
                Ok(Turn::Theirs { holder }) => {
                    return anyhow::anyhow!(
                        "{holder} holds the Lease of this cluster now: only one controller may run"
                    );
                }
                Err(trouble) => {
                    if !is_away {
                        warn!(%trouble, "the Lease of this cluster cannot be renewed; it is tried again");
                    }
                    is_away = true;
                }
            }
        }
    }

    /// Gives the turn back, so that the next one need not wait.
    pub async fn give_back(self) {
        if !self.candidate.is_held() {
            return;
        }
        let given = async {
            let mut lease = Cluster::answer(self.api.get(MANAGER)).await?;
            let is_ours = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref())
                == Some(self.candidate.me());
            if is_ours && let Some(spec) = &mut lease.spec {
                spec.holder_identity = Some(String::new());
                self.replace(&lease).await?;
            }
            Ok::<_, Trouble>(())
        };
        if let Err(trouble) = given.await {
            warn!(%trouble, "the Lease of this cluster is not given back: the next controller waits for its end");
        }
    }

    /// Looks whose turn it is, and takes or renews it if it is ours.
    async fn turn(&mut self) -> Result<Turn, Trouble> {
        let found = Cluster::answer(self.api.get_opt(MANAGER)).await?;
        let said = found.as_ref().map(word);
        let turn = self.candidate.handle(said.as_ref(), self.began.elapsed());
        let Turn::Mine { was_given_back } = turn else { return Ok(turn) };
        let now = MicroTime(Timestamp::now());
        match found {
            None => self.make(now).await?,
            Some(mut lease) => {
                let spec = lease.spec.get_or_insert_default();
                if spec.holder_identity.as_deref() != Some(self.candidate.me()) {
                    spec.holder_identity = Some(self.candidate.me().to_owned());
                    spec.acquire_time = Some(now.clone());
                    spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
                }
                spec.lease_duration_seconds = Some(seconds(GOOD_FOR));
                spec.renew_time = Some(now);
                self.replace(&lease).await?;
            }
        }
        self.candidate.handle_taken();
        Ok(Turn::Mine { was_given_back })
    }

    async fn make(&self, now: MicroTime) -> Result<(), Trouble> {
        let lease = Lease {
            metadata: ObjectMeta { name: Some(MANAGER.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.candidate.me().to_owned()),
                lease_duration_seconds: Some(seconds(GOOD_FOR)),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        };
        Cluster::answer(self.api.create(&PostParams::default(), &lease)).await.map(drop)
    }

    /// Replaces what was read, and nothing newer.
    async fn replace(&self, lease: &Lease) -> Result<(), Trouble> {
        Cluster::answer(self.api.replace(MANAGER, &PostParams::default(), lease)).await.map(drop)
    }
}

fn word(lease: &Lease) -> Word {
    let spec = lease.spec.clone().unwrap_or_default();
    let good_for = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Word {
        holder: spec.holder_identity.unwrap_or_default(),
        renewed: spec.renew_time.map(|MicroTime(at)| at.to_string()).unwrap_or_default(),
        good_for: good_for.map_or(GOOD_FOR, Duration::from_secs),
    }
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}
