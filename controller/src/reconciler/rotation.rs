//! The rotation of the online key: made, announced to gateways, taken up, and the key before withdrawn.
//!
//! The ring of keys is one file, replaced whole: after a crash it is before or after a step, and the next step follows
//! from what it says. What the next key signed is believed wherever the key was announced.

use horizon_api::{
    assignment::Assignment,
    http::{ApiError, KeysAnswer},
    key::SecretKey,
    resource::{EndToEnd, ObjectKey, ResourceSpec},
    signing::Words,
    wire::{ALPN_CFG, ALPN_DEV},
};
use horizon_api_server::Refusal;
use horizon_node::{clock, quic, secret_file};
use serde_json::json;
use tracing::{error, info};

use super::{
    Reconciler,
    grants::GRANT_S,
    own_keys::done,
    verb::{audit, cannot_write},
};
use crate::identity::{
    LIFE_S, ROOT, StoredRing, forget, online_path,
    ring::{Hindrance, Readiness, Ring, Stage, Step},
};

/// A device asks for its next grant at half of the life of one, or a little later.
const MARGIN_S: i64 = 120;

impl Reconciler {
    /// Makes the next online key where the root key is here.
    pub(super) async fn rotate_online(&mut self, overlap_s: u32) -> Result<KeysAnswer, Refusal> {
        self.check_free()?;
        let root = self.identity.ring_file().root().map_err(|error| not_done(&error))?;
        let Some(root) = root else {
            let message = format!("the root key is not here: {ROOT} is kept elsewhere");
            let hint =
                "run `horizon-controller keys request`, carry its file to the root key, and the answer back";
            return Err(Refusal::Conflict(ApiError::new("NoRoot", message, hint)));
        };
        let online = self.next_online()?;
        let now_s = clock::unix_s();
        let request = self.ring().request(root.public(), online.public(), self.state.version.epoch, now_s);
        let words = request.sign(&root, now_s + LIFE_S).map_err(|error| not_done(&error.into()))?;
        self.announce(words, &online, overlap_s).await
    }

    /// Makes the next online key, and the text of the file that asks the root key for it.
    pub(super) async fn request_online(&mut self) -> Result<KeysAnswer, Refusal> {
        self.check_free()?;
        let online = self.next_online()?;
        let (root, epoch) = (self.identity.ring().document.root, self.state.version.epoch);
        let request = self.ring().request(root, online.public(), epoch, clock::unix_s());
        let entry = audit("request", "online", json!({ "key": online.public().to_string() }));
        self.store.note(entry).await.map_err(|error| {
            error!(%error, "the store takes no entry");
            cannot_write()
        })?;
        let message = format!(
            "the next online key is {}; it is nobody's until the root key {} has signed for it",
            online.public(),
            self.identity.root_fingerprint()
        );
        Ok(KeysAnswer { message, text: Some(request.to_text(&online)) })
    }

    /// Takes in what the root key signed elsewhere.
    pub(super) async fn install_online(&mut self, text: &str, overlap_s: u32) -> Result<KeysAnswer, Refusal> {
        self.check_free()?;
        let words = Words::from_text(text).map_err(|error| refused(&error.to_string()))?;
        let path = online_path(self.identity.data(), self.ring().next_serial());
        let seed = secret_file::load(&path).map_err(|error| not_done(&error.into()))?;
        let Some(seed) = seed else {
            return Err(refused(
                "this controller asked for no key: run `horizon-controller keys request` here",
            ));
        };
        self.announce(words, &SecretKey::from_seed(&seed), overlap_s).await
    }

    /// Ends the time of the key that is followed at once: it may be in the wrong hands. Where the next one is only
    /// announced, that signs as soon as gateways know it.
    pub(super) async fn withdraw_now(&mut self) -> Result<KeysAnswer, Refusal> {
        if !self.ring().is_rotating() {
            let message = "no key that was rotated away is believed any more";
            let hint = "`horizon-controller keys rotate online` begins a rotation";
            return Err(Refusal::Conflict(ApiError::new("NothingToWithdraw", message, hint)));
        }
        self.keep_ring(self.ring().hurried(clock::unix_s())).await.map_err(|error| not_done(&error))?;
        self.rotate_on().await;
        Ok(done(if self.ring().at(Stage::Next).is_some() {
            format!("the key before is withdrawn as soon as the next one signs, which {}", self.waits_for())
        } else if self.ring().at(Stage::Previous).is_some() {
            "the key before is withdrawn as soon as nothing in force is signed by it".to_owned()
        } else {
            "the key before is withdrawn; nodes that hear so believe it no more".to_owned()
        }))
    }

    /// Goes on with a rotation as far as it may go now.
    pub(super) async fn rotate_on(&mut self) {
        while let Some(step) = self.ring().due(self.readiness(), clock::unix_s()) {
            let taken = match step {
                Step::Switch => self.switch_online().await,
                Step::Withdraw => self.withdraw_previous().await,
            };
            if let Err(error) = taken {
                return error!(reason = %format!("{error:#}"), "the rotation of the online key waits");
            }
        }
    }

    /// Returns the connected servers whose gateways do not believe yet what they were told.
    pub(super) fn gateways_behind(&self) -> Vec<String> {
        let servers = self.state.compiled.effective.servers.iter();
        let is_behind = |key| {
            let gateway = self.state.gateway_of(key).filter(|gateway| gateway.is_connected());
            gateway.is_some_and(|gateway| gateway.believes != Some(self.delegations.name))
        };
        servers.filter(|(_, server)| is_behind(server.public_key)).map(|(key, _)| name(key)).collect()
    }

    async fn announce(
        &mut self,
        words: Words,
        online: &SecretKey,
        overlap_s: u32,
    ) -> Result<KeysAnswer, Refusal> {
        let public = online.public();
        let own = self.identity.ring_file().expected(self.identity.ring().document.root, clock::unix_s());
        let ring = self.ring().announce(words, public, own, i64::from(overlap_s));
        let ring = ring.map_err(|error| refused(&error.to_string()))?;
        let entry = audit("rotate", "online", json!({ "key": public.to_string(), "overlap_s": overlap_s }));
        self.store.note(entry).await.map_err(|error| {
            error!(%error, "the store takes no entry");
            cannot_write()
        })?;
        self.keep_ring(ring).await.map_err(|error| not_done(&error))?;
        info!(key = %public.short(), "the next online key is announced");
        self.publish_delegations();
        self.rotate_on().await;
        let how = if self.ring().at(Stage::Next).is_some() {
            let after = format!("the key before is believed for {overlap_s} s after that");
            format!("it does not sign yet and {}; {after}", self.waits_for())
        } else if self.ring().at(Stage::Previous).is_some() {
            format!("it signs; the key before is believed for {overlap_s} s more")
        } else {
            "it signs, and the key before is withdrawn".to_owned()
        };
        let before = self.ring().keys().iter().rev().nth(1);
        Ok(done(format!(
            "the online key {public} follows {}: {how}; back the data folder up",
            before.map_or_else(String::new, |key| key.public.to_string())
        )))
    }

    /// Says what keeps the next key from signing.
    fn waits_for(&self) -> String {
        let hindrances = self.ring().hindrances(self.readiness(), clock::unix_s()).into_iter();
        let reasons: Vec<_> = hindrances
            .map(|hindrance| match hindrance {
                Hindrance::GatewaysBehind { left_s } => {
                    let behind = self.gateways_behind().join(", ");
                    format!("waits until {behind} believe it, for {left_s} s at most")
                }
                Hindrance::DevicesUntold { left_s } => {
                    format!("waits for {left_s} s, in which devices that seal packets hear of it")
                }
                Hindrance::Provisional => {
                    "waits until the change that is to be confirmed is, or is taken back".to_owned()
                }
            })
            .collect();
        if reasons.is_empty() {
            "could not be taken up; see the log".to_owned()
        } else {
            reasons.join(" and ")
        }
    }

    async fn switch_online(&mut self) -> anyhow::Result<()> {
        let ring = self.ring().switched(clock::unix_s());
        let current = ring.current().clone();
        let path = online_path(self.identity.data(), current.serial);
        let seed = secret_file::load(&path)?;
        let online =
            seed.map(|seed| SecretKey::from_seed(&seed)).filter(|key| key.public() == current.public);
        let online = online.ok_or_else(|| {
            anyhow::anyhow!("{} is missing or another key's: restore it from a backup", path.display())
        })?;
        let stored = self.store_ring(ring).await?;
        if let Some(endpoint) = &self.endpoint {
            quic::answer_with(endpoint, &online, &[ALPN_CFG, ALPN_DEV])?;
        }
        self.identity.adopt_online(stored, online);
        info!(key = %current.public.short(), "the next online key signs");
        self.publish_delegations();
        self.warn_of_delegation();
        // Everything that is in force is signed anew.
        self.recompile_or_log("rotation").await;
        self.view_is_due = true;
        Ok(())
    }

    async fn withdraw_previous(&mut self) -> anyhow::Result<()> {
        let previous = self.ring().at(Stage::Previous).map(|key| (key.serial, key.public));
        self.keep_ring(self.ring().withdrawn(clock::unix_s())).await?;
        if let Some((serial, public)) = previous {
            info!(key = %public.short(), "the online key before is withdrawn");
            forget(self.identity.data(), serial);
        }
        self.publish_delegations();
        Ok(())
    }

    fn readiness(&self) -> Readiness {
        let online = self.identity.online().public();
        let is_current =
            |assignment: &horizon_api::signed::Signed| assignment.verify::<Assignment>(&online).is_ok();
        let is_withdrawal_near = self.ring().at(Stage::Previous).is_some();
        let mut assignments = self.state.assignments.values();
        Readiness {
            gateways_behind: self.gateways_behind().len(),
            // A signature costs 40 µs: looked at only where it matters.
            is_signed_by_current: is_withdrawal_near
                && assignments.all(|assigned| is_current(&assigned.snapshot.assignment)),
            announced_s: if self.has_sealed_networks() { GRANT_S / 2 + MARGIN_S } else { 0 },
            is_provisional: self.state.guard.provisional().is_some(),
        }
    }

    /// Whether devices show each other what the online key signed: each must know the next key before.
    fn has_sealed_networks(&self) -> bool {
        self.state.committed.values().any(
            |object| matches!(&object.spec, ResourceSpec::Network(spec) if spec.e2e == EndToEnd::Required),
        )
    }

    /// One rotation at a time.
    fn check_free(&self) -> Result<(), Refusal> {
        if !self.ring().is_rotating() {
            return Ok(());
        }
        let message = "a rotation of the online key is under way";
        let hint = "look at it with `horizon-controller keys list`; `horizon-controller keys withdraw` ends the time of the key that is followed at once";
        Err(Refusal::Conflict(ApiError::new("Rotating", message, hint)))
    }

    /// Returns the key that would be next; one that was asked for and never installed is used.
    fn next_online(&self) -> Result<SecretKey, Refusal> {
        let path = online_path(self.identity.data(), self.ring().next_serial());
        secret_file::node_key(&path).map_err(|error| not_done(&error.into()))
    }

    async fn keep_ring(&mut self, ring: Ring) -> anyhow::Result<()> {
        let stored = self.store_ring(ring).await?;
        self.identity.adopt(stored);
        self.view_is_due = true;
        Ok(())
    }

    async fn store_ring(&self, ring: Ring) -> anyhow::Result<StoredRing> {
        let file = self.identity.ring_file().clone();
        tokio::task::spawn_blocking(move || file.store(ring)).await?
    }

    fn ring(&self) -> &Ring {
        &self.identity.ring().ring
    }
}

fn name(server: &ObjectKey) -> String {
    format!("Server/{}", server.name)
}

fn refused(message: &str) -> Refusal {
    let hint = "nothing was changed";
    Refusal::Conflict(ApiError::new("NotInstalled", message, hint))
}

fn not_done(error: &anyhow::Error) -> Refusal {
    let message = format!("{error:#}");
    error!(reason = %message, "the online key is not rotated");
    Refusal::Conflict(ApiError::new("NotWritten", message, "see the controller's log; nothing was changed"))
}
