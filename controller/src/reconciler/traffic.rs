//! What both ends of links counted is compared; a difference is a security event.

use horizon_api::{key::PublicKey, resource::ObjectKey, traffic::PassedReport};
use horizon_trust::traffic::Difference;
use serde_json::json;

use super::Reconciler;
use crate::{event::GatewayReport, event::ReportKind, store::Severity};

impl Reconciler {
    /// Looks at what devices said of their links, which the gateway passed on beside its own word.
    pub(super) async fn compare_traffic(&mut self, server: &ObjectKey, report: &GatewayReport) {
        let ReportKind::Heartbeat(heartbeat) = &report.kind else { return };
        let passed = heartbeat.links.iter().filter_map(|link| Some((link.device, link.reported.as_ref()?)));
        // A device names the key that answered when it made its link.
        let gateway = self.state.names_of(server, report.gateway);
        let compare = |(device, passed): (PublicKey, &PassedReport)| {
            Some((device, self.state.traffic.handle_report(&gateway, device, passed)?))
        };
        let differences: Vec<_> = passed.filter_map(compare).collect();
        for (device, difference) in differences {
            self.tell_difference(server, device, difference).await;
        }
    }

    async fn tell_difference(&mut self, server: &ObjectKey, device: PublicKey, difference: Difference) {
        let devices = &self.state.compiled.effective.devices;
        let known = devices.iter().find(|(_, known)| known.public_key == Some(device));
        let name = known.map_or_else(|| device.short(), |(key, _)| key.to_string());
        let severity = if difference.is_false() { Severity::High } else { Severity::Low };
        let detail = json!({ "reason": format!("{name}: {}", difference.sentence()), "device": name });
        self.record("TrafficDiffers", severity, server.to_string(), None, detail).await;
    }
}
