//! Datagrams from UDP, and the handshakes that begin with them.

use bytes::BytesMut;
use horizon_node::key_exchange;
use quinn_proto::{DatagramEvent, Incoming, Transmit};

use super::Shard;
use crate::doorstep::Answer;

/// Receives in one turn; each brings up to 512 KiB.
const RECEIVES_PER_TURN: usize = 4;

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
        let from = incoming.remote_address().ip();
        let is_closed = self.stop.is_some() || self.serving.is_none();
        match self.doorstep.answer(from, self.table.len(), incoming.may_retry()) {
            Answer::Accept if !is_closed => self.accept(incoming, response),
            Answer::Retry if !is_closed => {
                if let Ok(transmit) = self.endpoint.retry(incoming, response) {
                    self.respond(&transmit, response);
                }
            }
            Answer::Accept | Answer::Retry | Answer::Refuse => {
                let transmit = self.endpoint.refuse(incoming, response);
                self.respond(&transmit, response);
            }
        }
    }

    fn accept(&mut self, incoming: Incoming, response: &mut Vec<u8>) {
        self.doorstep.begin(incoming.remote_address().ip());
        // A note that an aborted handshake left is not this one's.
        drop(key_exchange::take_last());
        match self.endpoint.accept(incoming, self.clock.now, response, self.server.clone()) {
            Ok((handle, connection)) => {
                let link = self.adopt(handle, connection);
                if let Some(group) = key_exchange::take_last() {
                    link.key_exchange = group;
                }
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
