//! Datagrams from UDP, and the handshakes that begin with them.

use bytes::BytesMut;
use quinn_proto::{DatagramEvent, Incoming, Transmit};

use super::Shard;

/// Receives in one turn; each brings up to 512 KiB.
const RECEIVES_PER_TURN: usize = 4;
/// Above so many links that are not accepted yet, a new one must first prove its address (a Retry, RFC 9000 §8.1.2).
const HANDSHAKES_UNPROVEN_MAX: usize = 64;
/// Above so many it must wait: an idle link costs about 48 KiB.
const LINKS_MAX: usize = 10_000;

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
                    link.connection.handle_event(event);
                    if link.peer.is_none()
                        && let Some(group) = horizon_node::key_exchange::take_last()
                    {
                        link.key_exchange = group;
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
        let unaccepted = self.table.iter().filter(|link| !link.is_accepted()).count();
        if self.stop.is_some() || self.serving.is_none() || self.table.len() >= LINKS_MAX {
            let transmit = self.endpoint.refuse(incoming, response);
            return self.respond(&transmit, response);
        }
        if unaccepted >= HANDSHAKES_UNPROVEN_MAX && incoming.may_retry() {
            if let Ok(transmit) = self.endpoint.retry(incoming, response) {
                self.respond(&transmit, response);
            }
            return;
        }
        match self.endpoint.accept(incoming, self.clock.now, response, self.server.clone()) {
            Ok((handle, connection)) => {
                let link = self.adopt(handle, connection);
                if let Some(group) = horizon_node::key_exchange::take_last() {
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
