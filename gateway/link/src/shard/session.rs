//! What is said on links: handshakes that end, control messages, judgements, and the end of links.

use std::sync::Arc;

use horizon_api::{
    key::PublicKey,
    signed::Signed,
    traffic::PassedReport,
    wire::{
        Refusal,
        link::{Accept, FromDevice, ToDevice},
    },
};
use horizon_dataplane::{
    forwarder::DeviceForwarder,
    link::session::{DeviceStep, GatewaySession, GatewayStep},
};
use quinn_proto::{ConnectionError, ConnectionHandle, Event, TransportErrorCode};

use super::{JUDGE_AGAIN, JUDGE_PER_TURN, Shard};
use crate::{
    LinkEvent,
    control::ControlError,
    link::{End, Link, handle_of},
    status::LinkStatus,
};

impl Shard {
    /// Drains what quinn-proto has to tell of a link.
    pub(super) fn handle_events(&mut self, link: &mut Link) {
        loop {
            while let Some(event) = link.connection.poll_endpoint_events() {
                if event.is_drained() {
                    link.is_drained = true;
                }
                if let Some(event) = self.endpoint.handle_event(link.handle, event) {
                    link.connection.handle_event(event);
                }
            }
            let Some(event) = link.connection.poll() else { return };
            match event {
                Event::Connected => self.handshake_done(link),
                Event::ConnectionLost { reason } => {
                    let reason = said_of(&reason);
                    self.hear_last_words(link);
                    if !link.is_closing {
                        link.is_closing = true;
                        self.link_ended(link, None, &reason);
                    }
                }
                Event::HandshakeDataReady
                | Event::Stream(_)
                | Event::DatagramReceived
                | Event::DatagramsUnblocked => {}
            }
        }
    }

    /// What a gateway says before it closes may arrive together with the close: it says why.
    fn hear_last_words(&mut self, link: &mut Link) {
        if !link.is_closing && link.peer.is_some() && matches!(link.end, End::Device(..)) {
            // A stream that ends here says no more than that the connection did.
            let _ = self.follow_gateway(link);
        }
    }

    fn handshake_done(&mut self, link: &mut Link) {
        let Some(peer) = peer_of(link) else {
            return self.close_link(link, None, "the other end showed no key");
        };
        link.peer = Some(peer);
        match &link.end {
            End::Handshaking => {
                let is_post_quantum = link.negotiated.is_post_quantum();
                link.end = End::Gateway(Box::new(GatewaySession::new(peer, is_post_quantum)));
            }
            End::Device(..) => {
                link.control.open(&mut link.connection);
                if let Some(hello) = self.hello.take()
                    && let Err(error) = link.control.send(&mut link.connection, &hello)
                {
                    self.close_link(link, None, &error.to_string());
                }
            }
            End::Gateway(_) => {}
        }
    }

    /// Reads and answers control messages, and sends what waits.
    pub(super) fn handle_control(&mut self, link: &mut Link) {
        if link.is_closing || link.peer.is_none() {
            return;
        }
        let done = match link.end {
            End::Handshaking => Ok(()),
            End::Gateway(_) => self.serve_device(link),
            End::Device(..) => self.follow_gateway(link),
        };
        let done = done.and_then(|()| link.control.flush(&mut link.connection));
        if let Err(error) = done {
            self.close_link(link, None, &error.to_string());
        }
    }

    fn serve_device(&mut self, link: &mut Link) -> Result<(), ControlError> {
        while let Some(message) = link.control.next(&mut link.connection)? {
            let (Some(serving), End::Gateway(session)) = (self.serving.clone(), &mut link.end) else { break };
            let (admission, now_ms) = (&serving.admission, self.clock.unix_ms);
            let word = root_word(&message).filter(|word| admission.is_news(word, now_ms)).cloned();
            let step = session.handle_message(message, admission, now_ms);
            if let Some(word) = word {
                self.emit(LinkEvent::RootWord(Box::new(word)));
            }
            self.take_step(link, step)?;
            if link.is_closing {
                break;
            }
        }
        Ok(())
    }

    fn take_step(&mut self, link: &mut Link, step: GatewayStep) -> Result<(), ControlError> {
        match step {
            GatewayStep::Nothing => Ok(()),
            GatewayStep::Admitted(message) => {
                self.admit(link);
                link.control.send(&mut link.connection, &message)
            }
            GatewayStep::Reported(report) => {
                link.reported = Some(PassedReport { report, counts: link.counts() });
                Ok(())
            }
            GatewayStep::Asked(address) => {
                let answer = self.card_of(link, address);
                link.control.send(&mut link.connection, &answer)
            }
            GatewayStep::News(news) => {
                self.emit(LinkEvent::News(news));
                Ok(())
            }
            GatewayStep::End(message, refusal) => {
                // The word reaches the device with the last flight; the close frame repeats its sentence.
                let _ = link.control.send(&mut link.connection, &message);
                self.flush_before_close(link);
                let reason = refusal.message.clone();
                self.close_link(link, Some(refusal), &reason);
                Ok(())
            }
            GatewayStep::Left { reason } => {
                self.close_link(link, None, &reason);
                Ok(())
            }
        }
    }

    /// Gives the device's addresses to its link. The newest link of an address has it.
    fn admit(&mut self, link: &mut Link) {
        let End::Gateway(session) = &link.end else { return };
        let Some(admitted) = session.admitted() else { return };
        let former: Vec<_> = admitted
            .addresses
            .iter()
            .filter_map(|address| self.addresses.link_of(*address))
            .filter(|former| *former != link.id)
            .collect();
        let identity = Arc::new(admitted.identity.clone());
        self.addresses.insert(link.id, &admitted.network, &identity, &admitted.addresses);
        let is_first = link.since_ms == 0;
        let event = LinkEvent::Admitted {
            device: admitted.device,
            name: admitted.identity.device.to_string(),
            remote: link.connection.remote_address(),
        };
        if is_first {
            link.since_ms = self.clock.unix_ms;
            link.judged_at = self.clock.now;
            link.place = None;
            self.emit(event);
        }
        for former in former {
            self.replace(handle_of(former));
        }
    }

    fn replace(&mut self, handle: ConnectionHandle) {
        let Some(mut link) = self.table.take(handle) else { return };
        if !link.is_closing
            && let End::Gateway(session) = &mut link.end
        {
            let step = session.handle_replaced();
            if let Err(error) = self.take_step(&mut link, step) {
                self.close_link(&mut link, None, &error.to_string());
            }
        }
        self.table.put(link);
        self.table.mark(handle);
    }

    fn follow_gateway(&mut self, link: &mut Link) -> Result<(), ControlError> {
        while let Some(message) = link.control.next::<ToDevice>(&mut link.connection)? {
            let End::Device(session, forwarder) = &mut link.end else { break };
            match session.handle_message(message) {
                DeviceStep::Up(accept) => {
                    *forwarder = Some(forwarder_of(&accept));
                    self.take_gateway(&accept);
                    link.since_ms = self.clock.unix_ms;
                    let negotiated = link.negotiated.clone();
                    self.emit(LinkEvent::Up { accept, negotiated });
                }
                DeviceStep::Changed(accept) => {
                    *forwarder = Some(forwarder_of(&accept));
                    self.take_gateway(&accept);
                    self.emit(LinkEvent::Changed(accept));
                }
                DeviceStep::Refused(refusal) => {
                    link.is_closing = true;
                    self.uplink = None;
                    self.emit(LinkEvent::Refused(refusal));
                    link.connection.close(self.clock.now, 0u32.into(), Vec::new().into());
                }
                DeviceStep::Card(answer) => self.take_card(&answer),
                DeviceStep::Closed { refusal, reason } => self.close_link(link, refusal, &reason),
            }
            if link.is_closing {
                break;
            }
        }
        Ok(())
    }

    /// Tells the world that a link is over, once.
    pub(super) fn link_ended(&mut self, link: &mut Link, refusal: Option<Refusal>, reason: &str) {
        let remote = link.connection.remote_address();
        match &link.end {
            End::Device(..) => {
                if self.uplink == Some(link.id) {
                    self.uplink = None;
                    self.emit(LinkEvent::Down { refusal, reason: reason.to_owned() });
                }
            }
            End::Gateway(session) => {
                let name = session.admitted().map(|admitted| admitted.identity.device.clone());
                self.addresses.remove(link.id);
                match (refusal, link.peer) {
                    (Some(refusal), Some(device)) => self.emit(LinkEvent::Turned { device, remote, refusal }),
                    (None, Some(device)) if link.since_ms > 0 => {
                        let (name, reason) = (name.unwrap_or_default().to_string(), reason.to_owned());
                        self.emit(LinkEvent::Left { device, name, reason });
                    }
                    (None | Some(_), _) => {}
                }
            }
            End::Handshaking => {}
        }
        link.queue.clear(&mut self.drops);
    }

    /// Judges a few of the links that wait for it.
    pub(super) fn judge_some(&mut self) {
        for _ in 0..JUDGE_PER_TURN {
            let Some(handle) = self.to_judge.pop_front() else { return };
            self.judge(handle);
        }
    }

    /// Puts the links whose grant has run out by now into the row of those that are judged.
    pub(super) fn judge_expired(&mut self) {
        let (now, now_s) = (self.clock.now, self.clock.moment().unix_s);
        let expired = self.table.iter().filter(|link| match &link.end {
            End::Gateway(session) => {
                session.admitted().is_some_and(|admitted| admitted.grant_expires_at < now_s)
                    && now.duration_since(link.judged_at) >= JUDGE_AGAIN
            }
            End::Handshaking | End::Device(..) => false,
        });
        let expired: Vec<_> = expired.map(|link| link.handle).collect();
        for handle in expired {
            if let Some(link) = self.table.get_mut(handle) {
                link.judged_at = now;
            }
            self.to_judge.push_back(handle);
        }
    }

    pub(super) fn judge(&mut self, handle: ConnectionHandle) {
        let Some(serving) = self.serving.clone() else { return };
        let Some(mut link) = self.table.take(handle) else { return };
        if !link.is_closing
            && let End::Gateway(session) = &mut link.end
        {
            let step = session.handle_change(&serving.admission, self.clock.unix_ms);
            if let Err(error) = self.take_step(&mut link, step) {
                self.close_link(&mut link, None, &error.to_string());
            }
        }
        self.table.put(link);
        self.table.mark(handle);
    }
}

fn forwarder_of(accept: &Accept) -> DeviceForwarder {
    let addresses = accept.addresses.iter().map(ipnet::IpNet::addr).collect();
    DeviceForwarder::new(addresses, accept.routes.clone())
}

/// Says in words why a link ended, where the library's own are about its inside.
fn said_of(reason: &ConnectionError) -> String {
    if let ConnectionError::TransportError(error) = reason
        && error.code == TransportErrorCode::crypto(FOREIGN_KEY)
    {
        return "whoever answers has another key than the controller's list says".to_owned();
    }
    reason.to_string()
}

/// What TLS says of a key that is not the expected one: `access_denied` (RFC 8446 §6).
const FOREIGN_KEY: u8 = 49;

/// Returns what a device brings of what the root says.
fn root_word(message: &FromDevice) -> Option<&Signed> {
    match message {
        FromDevice::Hello(hello) => hello.delegation.as_ref(),
        FromDevice::Renew { delegation, .. } => delegation.as_ref(),
        FromDevice::News(_)
        | FromDevice::Report(_)
        | FromDevice::AskCard { .. }
        | FromDevice::Close { .. } => None,
    }
}

fn peer_of(link: &Link) -> Option<PublicKey> {
    let identity = link.connection.crypto_session().peer_identity()?;
    let certificates = identity.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok()?;
    PublicKey::from_spki(certificates.first()?).ok()
}

/// Describes an accepted link.
pub(super) fn status_of(link: &Link) -> Option<LinkStatus> {
    let peer = link.peer.filter(|_| link.is_accepted() && !link.is_closing)?;
    let (name, user, network, is_in_grace) = match &link.end {
        End::Gateway(session) => {
            let admitted = session.admitted()?;
            let identity = &admitted.identity;
            (
                identity.device.to_string(),
                identity.user.to_string(),
                &admitted.network,
                admitted.accept.is_in_grace,
            )
        }
        End::Device(session, _) => {
            let accept = session.accept()?;
            (accept.server.clone(), String::new(), &accept.network, accept.is_in_grace)
        }
        End::Handshaking => return None,
    };
    Some(LinkStatus {
        peer,
        name,
        user,
        network: network.clone(),
        remote: link.connection.remote_address(),
        since_ms: link.since_ms,
        inbound_bytes: link.inbound_bytes,
        outbound_bytes: link.outbound_bytes,
        rtt_us: u64::try_from(link.connection.rtt().as_micros()).unwrap_or(u64::MAX),
        path_mtu: link.connection.current_mtu(),
        negotiated: link.negotiated.clone(),
        is_in_grace,
        reported: link.reported.clone(),
    })
}
