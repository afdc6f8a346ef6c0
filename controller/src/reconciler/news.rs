//! Whom this controller keeps out, for devices to carry to gateways that cannot ask it.

use horizon_api::{
    news::{CarriedNews, RevocationNews},
    signed::Signed,
    wire::Refusal,
};

use super::Reconciler;
use crate::event::RefreshRequest;

impl Reconciler {
    /// Only a device that may connect carries anything.
    pub(super) fn news(&self, request: &RefreshRequest) -> Result<Vec<CarriedNews>, Refusal> {
        self.device_in_force(&request.device)?;
        let parts = RevocationNews::parts(self.state.version, &self.state.compiled.revoked).into_iter();
        let delegation = &self.identity.ring().ring.current().word;
        let carried = |part| CarriedNews {
            delegation: delegation.clone(),
            news: Signed::new(&part, self.identity.online()),
        };
        Ok(parts.map(carried).collect())
    }
}
