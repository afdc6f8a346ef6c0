//! Which of the controller's online keys are believed: on disk before the controller hears so, and never rolled back.

use anyhow::Context;
use horizon_api::delegation::{Pin, Trust};
use horizon_node::durable;
use tracing::info;

use super::EventLoop;
use crate::{disk::Delegations, running::Running};

impl EventLoop {
    /// Believes what the controller's root says by now; devices are judged by it from here on.
    pub(super) fn believe(&mut self, trust: Trust) -> anyhow::Result<()> {
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
