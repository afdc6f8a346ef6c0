//! The delegation while the controller runs: renewed in time, and told of when it cannot be.

use horizon_node::clock;
use tracing::{error, info, warn};

use super::Reconciler;

impl Reconciler {
    /// Looks at the delegation, which is renewed when it is due, and publishes another one to all who connect.
    pub(super) async fn renew_delegation(&mut self) {
        let file = self.identity.delegations().clone();
        let looked = tokio::task::spawn_blocking(move || file.current(clock::unix_s())).await;
        match looked.map_err(anyhow::Error::from).flatten() {
            Ok(delegation) => {
                let is_another = delegation.signed != self.identity.delegation().signed;
                self.identity.adopt(delegation);
                if is_another {
                    info!(not_after = self.identity.delegation().document.not_after, "delegation renewed");
                    self.publish_snapshot();
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

    pub(super) fn warn_of_delegation(&mut self) {
        let warning = self.identity.delegation().warning(clock::unix_s());
        if let Some(reason) = &warning {
            warn!(%reason, "delegation ends soon");
        }
        self.state.delegation_warning = warning;
    }
}
