//! Datagrams from UDP, and the handshakes that begin with them.

use bytes::BytesMut;
use horizon_node::{
    door::{Crowd, DoorLimits, Place, Turned},
    negotiated::Negotiated,
};
use quinn_proto::{DatagramEvent, Incoming, Transmit};

use super::Shard;

/// Receives in one turn; each brings up to 512 KiB.
const RECEIVES_PER_TURN: usize = 4;

/// Links in all: an idle one costs about 48 KiB.
const LINKS_MAX: usize = 10_000;
/// Of one host as many as an office behind one NAT has devices that come back at once. Above 64 that wait, a new one
/// must first prove its address (a Retry, RFC 9000 §8.1.2).
pub(super) const DOOR: DoorLimits =
    DoorLimits { waiting: Crowd { all: 4096, of_one: 256 }, unproven: Crowd { all: 64, of_one: 64 } };

impl Shard {
    /// Takes what UDP has, a bounded number of times. Returns whether there was something.
    pub(super) fn receive(&mut self) -> bool {
        let mut received = false;
        for _ in 0..RECEIVES_PER_TURN {
            // `WouldBlock`, or an error of one destination (ICMP): nothing to do for either.
            let Ok(count) = self.udp.receive() else { break };
            received |= count > 0;
            for index in 0..count {
                let (mut all, meta) = self.udp.take_message(index);
                let stride = meta.stride.max(1);
                while !all.is_empty() {
                    let datagram = all.split_to(stride.min(all.len()));
                    self.handle_datagram(&meta, datagram);
                }
            }
        }
        received
    }

    fn handle_datagram(&mut self, meta: &quinn_udp::RecvMeta, datagram: BytesMut) {
        let ecn = meta.ecn.and_then(|ecn| quinn_proto::EcnCodepoint::from_bits(ecn as u8));
        let mut response = std::mem::take(&mut self.pools.response);
        response.clear();
        let event =
            self.endpoint.handle(self.clock.now, meta.addr, meta.dst_ip, ecn, datagram, &mut response);
        match event {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(link) = self.table.get_mut(handle) {
                    link.saw_inbound();
                    if link.peer.is_some() {
                        link.connection.handle_event(event);
                    } else {
                        link.shake_hands(event);
                    }
                    self.table.mark(handle);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.take_incoming(incoming, &mut response),
            Some(DatagramEvent::Response(transmit)) => self.respond(&transmit, &response),
            None => {}
        }
        self.pools.response = response;
    }

    fn take_incoming(&mut self, incoming: Incoming, response: &mut Vec<u8>) {
        response.clear();
        if self.stop.is_some() || self.serving.is_none() || self.table.len() >= LINKS_MAX {
            return self.refuse(incoming, response);
        }
        match self.door.knock(incoming.remote_address().ip(), incoming.remote_address_validated()) {
            Ok(place) => self.accept(incoming, place, response),
            Err(Turned::Prove) => {
                // It cannot fail: an address that is not proven may be asked for its proof.
                if let Ok(transmit) = self.endpoint.retry(incoming, response) {
                    self.respond(&transmit, response);
                }
            }
            Err(Turned::Refuse) => self.refuse(incoming, response),
        }
    }

    fn refuse(&mut self, incoming: Incoming, response: &mut Vec<u8>) {
        let transmit = self.endpoint.refuse(incoming, response);
        self.respond(&transmit, response);
    }

    fn accept(&mut self, incoming: Incoming, place: Place, response: &mut Vec<u8>) {
        let mut negotiated = Negotiated::default();
        let (now, server) = (self.clock.now, self.server.clone());
        let accept = || self.endpoint.accept(incoming, now, response, server).map_err(Box::new);
        match negotiated.during(accept) {
            Ok((handle, connection)) => {
                let link = self.adopt(handle, connection);
                link.place = Some(place);
                link.negotiated = negotiated;
            }
            Err(error) => {
                if let Some(transmit) = error.response {
                    self.respond(&transmit, response);
                }
            }
        }
    }

    /// Answers without a link: if UDP would block, the other end asks again.
    fn respond(&mut self, transmit: &Transmit, response: &[u8]) {
        drop(self.udp.send(transmit, response));
    }
}
