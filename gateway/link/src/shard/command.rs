//! What others ask of a shard.

use std::sync::Arc;

use horizon_api::{
    key::{PublicKey, SecretKey},
    signed::Signed,
    traffic::{TRAFFIC_REPORTS, TrafficReport},
    wire::link::{Accept, FromDevice},
};
use horizon_dataplane::link::session::DeviceSession;
use tracing::error;

use super::{LAST_WORDS, REPORT_EVERY, Shard};
use crate::{
    Command, Dial, LinkEvent, Role, Serving,
    link::{End, handle_of},
    orders::Order,
    settings,
};

impl Shard {
    pub(super) fn handle_commands(&mut self) {
        while let Some(order) = self.inbox.next() {
            match order {
                Order::Do(Command::Serve(serving)) => self.serve(serving),
                Order::Do(Command::Dial(dial)) => self.dial(*dial),
                Order::Do(Command::Renew { grant, delegation, seal }) => {
                    let card = seal.as_ref().map(|terms| terms.card.clone()).unwrap_or_default();
                    self.take_seal_terms(seal);
                    self.tell_uplink(&FromDevice::Renew { grant, delegation: Some(delegation), card });
                }
                Order::Do(Command::Seal(seal)) => self.take_seal_terms(seal),
                Order::Do(Command::Rekey(key)) => self.rekey(*key),
                Order::Do(Command::News(news)) => self.tell_uplink(&FromDevice::News(*news)),
                Order::Do(Command::HangUp { reason }) => self.hang_up(&reason),
                Order::Stop(reason) => self.begin_stop(&reason),
            }
        }
    }

    /// Every packet is judged by the new policy from here on; every link by the new configuration, the revoked first.
    fn serve(&mut self, serving: Arc<Serving>) {
        let revoked: Vec<_> = self
            .table
            .iter()
            .filter(|link| link.peer.is_some_and(|peer| serving.admission.config.revoked.contains(&peer)))
            .map(|link| link.handle)
            .collect();
        let before = self.serving.as_ref().map(|serving| &serving.admission.config.revoked);
        let is_new = |key: &&PublicKey| before.is_some_and(|before| !before.contains(key));
        let gone: Vec<_> = serving.admission.config.revoked.iter().filter(is_new).copied().collect();
        self.clock.raise(&serving.time_floor);
        self.serving = Some(serving);
        for handle in revoked {
            self.judge(handle);
        }
        if !gone.is_empty() {
            self.tell_gone(&gone);
        }
        self.to_judge = self.table.handles().into();
    }

    /// A gateway answers new links with the key; a device dials the next one with it. Links that are there stay.
    fn rekey(&mut self, key: SecretKey) {
        match self.role {
            Role::Device => self.next_key = Some(key),
            Role::Gateway => match settings::server(&key) {
                Ok(server) => {
                    self.server = Some(Arc::new(server));
                    self.endpoint.set_server_config(self.server.clone());
                    self.key = key;
                }
                Err(reason) => error!(%reason, "links are answered with the key before"),
            },
        }
    }

    fn dial(&mut self, dial: Dial) {
        self.hang_up("another link is made");
        if let Some(key) = self.next_key.take() {
            self.key = key;
        }
        self.take_seal_terms(dial.seal);
        let connected = settings::client(&self.key, dial.gateway).and_then(|config| {
            self.endpoint.connect(self.clock.now, config, dial.remote, "horizon").map_err(|e| e.to_string())
        });
        match connected {
            Ok((handle, connection)) => {
                let link = self.adopt(handle, connection);
                link.end = End::Device(Box::<DeviceSession>::default(), None);
                self.uplink = Some(link.id);
                self.hello = Some(FromDevice::Hello(dial.hello));
            }
            Err(reason) => self.emit(LinkEvent::Down { refusal: None, reason }),
        }
    }

    fn hang_up(&mut self, reason: &str) {
        self.tell_uplink(&FromDevice::Close { reason: reason.to_owned() });
        let Some(handle) = self.uplink.take().map(handle_of) else { return };
        if let Some(mut link) = self.table.take(handle) {
            self.flush_before_close(&mut link);
            self.table.put(link);
        }
        self.close(handle, reason);
    }

    pub(super) fn tell_uplink(&mut self, message: &FromDevice) {
        let Some(link) = self.uplink.and_then(|id| self.table.by_id(id)) else { return };
        let handle = link.handle;
        if link.is_accepted() && link.control.send(&mut link.connection, message).is_ok() {
            self.table.mark(handle);
        }
    }

    /// Device: signs what was counted of the link, for a gateway that passes it on.
    pub(super) fn report_traffic(&mut self) {
        let Some(link) = self.uplink.and_then(|id| self.table.by_id(id)) else { return };
        let is_due = link.reported_at.is_none_or(|at| self.clock.now.duration_since(at) >= REPORT_EVERY);
        let End::Device(session, _) = &link.end else { return };
        let takes = |accept: &Accept| accept.features.iter().any(|feature| feature == TRAFFIC_REPORTS);
        let Some(gateway) = link.peer.filter(|_| is_due && session.accept().is_some_and(takes)) else {
            return;
        };
        link.reported_at = Some(self.clock.now);
        let report = TrafficReport { gateway, link: link.number, counts: link.counts() };
        self.tell_uplink(&FromDevice::Report(Signed::new(&report, &self.key)));
    }

    fn begin_stop(&mut self, reason: &str) {
        self.stop = Some(self.clock.now + LAST_WORDS);
        for handle in self.table.handles() {
            self.close(handle, reason);
        }
    }
}
