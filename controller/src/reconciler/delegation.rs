//! The delegation while the controller runs: renewed in time, and told of when it cannot be.

use std::sync::Arc;

use horizon_node::clock;
use tracing::{error, info, warn};

use super::Reconciler;
use crate::snapshot::Delegations;

impl Reconciler {
    /// Looks at the delegation, which is renewed when it is due, and publishes another one to all who connect.
    pub(super) async fn renew_delegation(&mut self) {
        let file = self.identity.ring_file().clone();
        let (ring, online) = (self.identity.ring().ring.clone(), self.identity.online().public());
        let look = move || file.current(Some(ring), online, clock::unix_s());
        let looked = tokio::task::spawn_blocking(look).await;
        match looked.map_err(anyhow::Error::from).flatten() {
            Ok(ring) => {
                let is_another = ring.ring != self.identity.ring().ring;
                self.identity.adopt(ring);
                if is_another {
                    info!(not_after = self.identity.ring().document.not_after, "delegation renewed");
                    self.publish_delegations();
                }
                self.warn_of_delegation();
            }
            Err(error) => {
                let reason = format!("{error:#}");
                error!(%reason, "the delegation cannot be renewed");
                self.state.delegation_warning = Some(reason);
            }
        }
        self.view_is_due = true;
    }

    /// Tells everybody who connects, and every gateway that is connected, what the root says by now.
    pub(super) fn publish_delegations(&mut self) {
        self.delegations = Arc::new(Delegations::new(self.identity.ring().words()));
        self.publish_snapshot();
    }

    pub(super) fn warn_of_delegation(&mut self) {
        let warning = self.identity.ring().warning(clock::unix_s());
        if let Some(reason) = &warning {
            warn!(%reason, "delegation ends soon");
        }
        self.state.delegation_warning = warning;
    }
}
