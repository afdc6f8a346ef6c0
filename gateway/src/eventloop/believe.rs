//! Which of the controller's online keys are believed: on disk before the controller hears so, and never rolled back.

use anyhow::Context;
use horizon_api::{
    delegation::{Pin, Trust},
    signed::Signed,
};
use horizon_node::durable;
use tracing::{info, warn};

use super::EventLoop;
use crate::{disk::Delegations, running::Running};

impl EventLoop {
    /// Believes what the controller's root says by now; devices are judged by it from here on.
    ///
    /// # Errors
    /// When it cannot be kept, or when all of it was withdrawn by a later word that a device brought.
    pub(super) fn believe(&mut self, trust: Trust) -> anyhow::Result<()> {
        let trust = trust.raised(self.known_pin().map_or(0, |pin| pin.floor));
        anyhow::ensure!(
            trust.words().next().is_some(),
            "the root has withdrawn these keys of the controller"
        );
        if self.parts.believed.as_ref() == Some(&trust) {
            return Ok(());
        }
        let path = &self.parts.delegations;
        durable::write(path, &Delegations::new(&trust).to_bytes())
            .with_context(|| format!("write {}", path.display()))?;
        info!(
            keys = trust.words().count(),
            withdrawn_before = trust.pin().floor,
            "the controller's keys changed"
        );
        self.parts.believed = Some(trust);
        self.serve_or_retry();
        Ok(())
    }

    /// Takes in a word of the root that a device brings: the controller may be out of reach, or somebody with a key that
    /// was withdrawn in its place.
    pub(super) fn take_root_word(&mut self, word: &Signed) {
        let now_s = self.time_floor_ms() / 1000;
        let Some(known) = self.running.as_ref().map(|running| self.trust_of(running)) else { return };
        let trust = known.with_carried(word, now_s);
        if trust == known {
            return;
        }
        if let Err(error) = self.believe(trust) {
            warn!(reason = %format!("{error:#}"), "what a device brought of the controller's keys is not kept");
        }
        self.beat();
    }

    /// Returns what is known of the controller's keys by whatever runs, and what was heard since.
    pub(super) fn known_pin(&self) -> Option<Pin> {
        let running = self.running.as_ref().map(|running| self.pin_of(running));
        running.or_else(|| self.parts.believed.as_ref().map(Trust::pin))
    }

    /// Returns by whom grants are believed that come to a configuration.
    pub(super) fn trust_of(&self, running: &Running) -> Trust {
        match &self.parts.believed {
            Some(believed) => running.trust.merged(believed),
            None => running.trust.clone(),
        }
    }

    /// Returns the pin for what is carried here from the controller.
    pub(super) fn pin_of(&self, running: &Running) -> Pin {
        self.trust_of(running).pin()
    }
}
