//! One link: a QUIC connection, its control stream, its queue, and what is counted of it.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use horizon_api::{
    key::PublicKey,
    traffic::{Counts, PassedReport},
};
use horizon_dataplane::{
    congestion::Room,
    datagram::{Reassembly, ReassemblyLimits},
    fair::{FairLimits, FairQueue},
    forwarder::{DeviceForwarder, LinkId},
    link::session::{DeviceSession, GatewaySession},
};
use horizon_node::{door::Place, negotiated::Negotiated};
use quinn_proto::{Connection, ConnectionEvent, ConnectionHandle, Transmit};

use crate::control::ControlStream;

pub(crate) struct Link {
    pub(crate) handle: ConnectionHandle,
    /// Never used again for another link, unlike the handle.
    pub(crate) id: LinkId,
    pub(crate) connection: Connection,
    pub(crate) control: ControlStream,
    pub(crate) end: End,
    /// Known when the handshake is done.
    pub(crate) peer: Option<PublicKey>,
    pub(crate) negotiated: Negotiated,
    pub(crate) queue: FairQueue,
    pub(crate) room: Option<Arc<Room>>,
    remote: SocketAddr,
    pub(crate) reassembly: Reassembly,
    /// Count of packets that went in parts.
    pub(crate) packet_id: u16,
    /// A batch that UDP would not take.
    pub(crate) blocked: Option<(Transmit, Vec<u8>)>,
    pub(crate) opened_at: Instant,
    /// Among those that wait to be accepted.
    pub(crate) place: Option<Place>,
    /// When its grant was last found expired, or first accepted.
    pub(crate) judged_at: Instant,
    /// Unix milliseconds of the acceptance.
    pub(crate) since_ms: i64,
    pub(crate) inbound_bytes: u64,
    pub(crate) outbound_bytes: u64,
    /// Device: names the link in its reports, and when the last one was sent. Gateway: the last one.
    pub(crate) number: u64,
    pub(crate) reported_at: Option<Instant>,
    pub(crate) reported: Option<PassedReport>,
    /// When a packet was first sent that nothing has answered yet, not even with an acknowledgement.
    unanswered_since: Option<Instant>,
    /// Closed by us or by the other end; kept until quinn-proto has said the last word.
    pub(crate) is_closing: bool,
    pub(crate) is_drained: bool,
}

/// Which end of the link we are.
pub(crate) enum End {
    /// The handshake is not done.
    Handshaking,
    Gateway(Box<GatewaySession>),
    Device(Box<DeviceSession>, Option<DeviceForwarder>),
}

/// Makes the id of a link: the count of links so far, and the endpoint's small number.
pub(crate) fn link_id(count: u32, handle: ConnectionHandle) -> LinkId {
    LinkId(u64::from(count) << 32 | handle.0 as u64)
}

/// Returns the endpoint's number of a link.
pub(crate) fn handle_of(id: LinkId) -> ConnectionHandle {
    ConnectionHandle((id.0 & 0xffff_ffff) as usize)
}

/// A peer that shakes hands and then says nothing is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// Under traffic a link that answers nothing for so long is dead: longer than any retransmission at a usual RTT.
const UNANSWERED_MAX: Duration = Duration::from_secs(3);

impl Link {
    pub(crate) fn new(id: LinkId, connection: Connection, now: Instant, seed: u64) -> Self {
        let (room, remote) = (Room::of(&connection), connection.remote_address());
        Self {
            handle: handle_of(id),
            id,
            connection,
            control: ControlStream::default(),
            end: End::Handshaking,
            peer: None,
            negotiated: Negotiated::default(),
            queue: FairQueue::new(FairLimits::default(), seed),
            room,
            remote,
            reassembly: Reassembly::new(ReassemblyLimits::default()),
            packet_id: 0,
            blocked: None,
            opened_at: now,
            place: None,
            judged_at: now,
            since_ms: 0,
            inbound_bytes: 0,
            outbound_bytes: 0,
            number: seed,
            reported_at: None,
            reported: None,
            unanswered_since: None,
            is_closing: false,
            is_drained: false,
        }
    }

    pub(crate) fn is_accepted(&self) -> bool {
        match &self.end {
            End::Handshaking => false,
            End::Gateway(session) => session.admitted().is_some(),
            End::Device(session, _) => session.accept().is_some(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { inbound_bytes: self.inbound_bytes, outbound_bytes: self.outbound_bytes }
    }

    /// Says whether the path takes more.
    pub(crate) fn has_room(&self) -> bool {
        self.room.as_ref().is_none_or(|room| room.is_open())
    }

    /// A path of its own has a controller of its own: asked for again when the other end moved.
    pub(crate) fn follow_path(&mut self) {
        let remote = self.connection.remote_address();
        if self.remote != remote {
            self.remote = remote;
            self.room = Room::of(&self.connection);
        }
    }

    pub(crate) fn can_send(&mut self) -> bool {
        let has_room = self.has_room();
        !self.is_closing && self.blocked.is_none() && self.queue.can_pop(has_room)
    }

    /// Handles an event of the handshake, and keeps what was agreed on by it.
    pub(crate) fn shake_hands(&mut self, event: ConnectionEvent) {
        self.negotiated.during(|| self.connection.handle_event(event));
    }

    pub(crate) fn saw_inbound(&mut self) {
        self.unanswered_since = None;
    }

    /// Packets only: nobody answers an acknowledgement, and the idle timeout sees to keep-alives.
    pub(crate) fn saw_outbound(&mut self, now: Instant) {
        self.unanswered_since.get_or_insert(now);
    }

    /// Says whether the link should be given up, and why.
    pub(crate) fn overdue(&self, now: Instant) -> Option<&'static str> {
        if self.is_closing {
            return None;
        }
        if !self.is_accepted() && now.duration_since(self.opened_at) > PATIENCE {
            return Some("the handshake took too long");
        }
        let is_silent = self.unanswered_since.is_some_and(|since| now.duration_since(since) > UNANSWERED_MAX);
        (is_silent && matches!(self.end, End::Device(..))).then_some("the gateway does not answer")
    }
}
