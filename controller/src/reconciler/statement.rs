//! What devices state of themselves: kept as they said it last, and passed on in their grants. Self-reported.

use std::sync::Arc;

use horizon_api::{key::PublicKey, verdict::Posture, wire::Evidence};
use tracing::error;

use super::{Reconciler, enrol, state::State};
use crate::store::Statement;

impl Reconciler {
    /// Takes in what a device states now. One that states nothing any more is not believed what it said before.
    pub(super) async fn note_statement(&mut self, device: &PublicKey, evidence: Option<&Evidence>) {
        let posture = evidence.and_then(|evidence| evidence.posture.clone()).map(bounded);
        if !self.state.is_news(device, posture.as_ref()) {
            return;
        }
        let mut devices = self.state.compiled.effective.devices.iter();
        let owner = devices.find(|(_, known)| known.public_key == Some(*device)).map(|(key, _)| key);
        let Some(uid) = owner.and_then(|owner| self.state.ledger.get(owner)).map(|uid| uid.uid.to_string())
        else {
            return;
        };
        let evidence = Evidence { posture: posture.clone(), ..evidence.cloned().unwrap_or_default() };
        let statement = Statement { owner: uid, evidence: enrol::evidence_json(&evidence) };
        if let Err(error) = self.store.state(statement).await {
            // It is said again at the next refresh.
            error!(%error, "what a device states is not stored");
        }
        self.state.take_posture(device, posture);
        self.view_is_due = true;
    }
}

impl State {
    fn is_news(&self, device: &PublicKey, posture: Option<&Posture>) -> bool {
        self.facts.postures.get(device).map(Arc::as_ref) != posture
    }

    /// Nothing that is compiled depends on it but the identity of the one device.
    fn take_posture(&mut self, device: &PublicKey, posture: Option<Posture>) {
        let devices = self.compiled.effective.devices.values_mut();
        for known in devices.filter(|known| known.public_key == Some(*device)) {
            known.identity.posture = posture.clone().map(Box::new);
        }
        match posture {
            Some(posture) => drop(self.facts.postures.insert(*device, Arc::new(posture))),
            None => drop(self.facts.postures.remove(device)),
        }
    }
}

/// What a device says is kept for long, and goes into every grant.
pub(super) fn bounded(posture: Posture) -> Posture {
    const CHARS_MAX: usize = 64;
    let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect();
    let Posture { os, os_version, kernel, architecture, agent, disk } = posture;
    Posture {
        os: short(&os),
        os_version: short(&os_version),
        kernel: short(&kernel),
        architecture: short(&architecture),
        agent: short(&agent),
        disk,
    }
}
