//! The controller's own keys: which there are, and their rotation.

use std::collections::BTreeMap;

use horizon_api::http::{ApiError, KeyState, KeysAnswer, KeysRequest, OnlineKeyView, OwnKey, OwnKeys};
use horizon_api_server::Refusal;
use serde_json::json;
use tracing::{error, info};

use super::{
    Reconciler,
    state::State,
    verb::{audit, cannot_write},
};
use crate::identity::{
    can_sign_epochs, pepper,
    ring::{OnlineKey, Stage},
};

impl Reconciler {
    /// Returns which keys there are, and nothing that is secret of them.
    pub(super) fn own_keys(&self) -> OwnKeys {
        let ring = self.identity.ring();
        OwnKeys {
            root: self.identity.root_fingerprint().to_string(),
            is_root_here: can_sign_epochs(self.identity.data()),
            online: self.identity.online().public().to_string(),
            delegation_ends_at: ms(ring.document.not_after),
            online_keys: ring.ring.keys().iter().map(|key| self.online_key(key)).collect(),
            gateways: self.state.gateways_with_a_next_key(),
            peppers: u32::try_from(self.identity.pepper().layers()).unwrap_or(u32::MAX),
        }
    }

    fn online_key(&self, key: &OnlineKey) -> OnlineKeyView {
        let (state, since, until) = match key.stage() {
            Stage::Next => (KeyState::Next, Some(key.made_at), None),
            Stage::Current => (KeyState::Current, key.signs_since, None),
            Stage::Previous => (KeyState::Previous, key.signs_since, key.ends_at),
            Stage::Withdrawn => (KeyState::Withdrawn, key.withdrawn_at, None),
        };
        let waits_for = if state == KeyState::Next { self.gateways_behind() } else { vec![] };
        let (key, since) = (key.public.to_string(), ms(since.unwrap_or(0)));
        OnlineKeyView { key, state, since, until: until.map(ms), waits_for }
    }

    pub(super) async fn keys(&mut self, request: KeysRequest) -> Result<KeysAnswer, Refusal> {
        self.check_read()?;
        match request {
            KeysRequest::Rotate(OwnKey::Pepper) => self.rotate_pepper().await,
            KeysRequest::Rotate(OwnKey::Online { overlap_s }) => self.rotate_online(overlap_s).await,
            KeysRequest::Request => self.request_online().await,
            KeysRequest::Install { text, overlap_s } => self.install_online(&text, overlap_s).await,
            KeysRequest::Withdraw => self.withdraw_now().await,
        }
    }

    /// Lays another pepper over every digest: who has a token goes on with it, and who has an earlier copy of the
    /// database and its peppers has nothing that fits.
    async fn rotate_pepper(&mut self) -> Result<KeysAnswer, Refusal> {
        if self.state.guard.provisional().is_some() {
            // What is put back if nobody confirms it holds digests as well.
            let message = "a change waits for its confirmation";
            let hint = "confirm it, or wait until it is taken back; then rotate";
            return Err(Refusal::Conflict(ApiError::new("AlreadyArmed", message, hint)));
        }
        let pepper = self.identity.pepper().clone();
        let (data, next) = (self.identity.data().to_owned(), pepper.clone());
        let made = tokio::task::spawn_blocking(move || next.next(&data)).await;
        let layer = made.map_err(anyhow::Error::from).flatten().map_err(|error| {
            let message = format!("{error:#}");
            error!(reason = %message, "no pepper is made");
            Refusal::Conflict(ApiError::new("NotWritten", message, "see the controller's log"))
        })?;
        let before = pepper.layers();
        let entry = audit("rotate", "pepper", json!({ "peppers": before + 1 }));
        let over = layer.clone();
        let under = move |digest: &[u8]| Some(pepper::under(&over, digest.try_into().ok()?));
        let alone = pepper.alone().await;
        let laid = self.store.lay_pepper(i64::try_from(before).unwrap_or(i64::MAX), under, entry).await;
        laid.map_err(|error| {
            error!(%error, "the store takes no other pepper");
            cannot_write()
        })?;
        pepper.add(layer.clone());
        drop(alone);
        self.state.lay_pepper(|digest| Some(pepper::under(&layer, digest.try_into().ok()?).to_vec()));
        info!(peppers = before + 1, "another pepper lies over the digests of tokens");
        Ok(done(format!(
            "{} peppers lie over the digests of tokens; back the data folder up, for the database is of no use without its files",
            before + 1
        )))
    }
}

pub(super) fn done(message: String) -> KeysAnswer {
    KeysAnswer { message, text: None }
}

/// Unix milliseconds of unix seconds.
fn ms(at_s: i64) -> u64 {
    u64::try_from(at_s.saturating_mul(1000)).unwrap_or(0)
}

impl State {
    /// Does to what is in memory what was done to the store.
    fn lay_pepper(&mut self, under: impl Fn(&[u8]) -> Option<Vec<u8>>) {
        for digest in self.digests.values_mut() {
            *digest = under(digest).unwrap_or_default();
        }
        let uses = std::mem::take(&mut self.token_uses).into_iter();
        self.token_uses = uses.filter_map(|(digest, uses)| Some((under(&digest)?, uses))).collect();
        let tokens = std::mem::take(&mut self.tokens).into_iter();
        let tokens: BTreeMap<_, _> =
            tokens.filter_map(|(digest, key)| Some((under(&digest)?, key))).collect();
        self.tokens = tokens;
        self.enrolments.values_mut().for_each(|enrolment| enrolment.lay_pepper(&under));
    }
}
