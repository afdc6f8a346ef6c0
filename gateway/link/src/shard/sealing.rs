//! Device: what is sealed for other devices on its way out, and opened on its way in.

use std::net::IpAddr;

use bytes::{BufMut, BytesMut};
use horizon_api::{
    card::CARDS,
    wire::link::{Accept, FromDevice, ToDevice},
};
use horizon_dataplane::{
    datagram::Segment,
    drop_reason::{DropReason, Drops},
    envelope,
    fair::Frame,
    forwarder::Reject,
    link::session::CardAnswer,
    packet::Packet,
};
use horizon_node::random;
use horizon_seal::{At, Ends, Opened, Output, Sealed, Sealer, Terms, Trouble, sealed_len};

use super::{Relay, Shard, clock::Clock};
use crate::link::{End, Link, handle_of};

/// Room for packets that are sealed or opened, cut from one piece.
const POOL_BYTES: usize = 1 << 20;
/// The longest packet that comes in one datagram or in parts, and what stands around it.
const PACKET_BYTES: usize = 66_000;

const _: () = assert!(horizon_seal::OVERHEAD == envelope::SEAL_BYTES as usize);

/// What seals on the way to a link.
pub(super) struct Sealing<'a> {
    pub(super) sealer: &'a mut Sealer,
    pub(super) pool: &'a mut BytesMut,
    /// Packets for devices that are not there: whoever sent them is told.
    pub(super) absent: &'a mut Vec<Segment>,
    pub(super) clock: &'a Clock,
}

impl Sealing<'_> {
    /// Returns what is sent in place of a packet: sealed, if it is for a device; nothing, while there are no keys.
    pub(super) fn seal(&mut self, segment: Segment, drops: &mut Drops) -> Option<Segment> {
        let Ok(packet) = Packet::parse(segment.packet()) else {
            drops.count(DropReason::Malformed);
            return None;
        };
        // What comes from the sealer itself; the kernel's own packets of this protocol do not get here.
        if packet.protocol == envelope::PROTOCOL || !self.sealer.covers(packet.destination) {
            return Some(segment);
        }
        let plain = segment.flagged();
        reserve(self.pool, plain.len());
        envelope::begin(self.pool, packet.source, packet.destination, sealed_len(plain.len()));
        let ends = Ends { own: packet.source, peer: packet.destination };
        let mut random = random::bytes;
        let at = &mut At { now: self.clock.now, unix_s: self.clock.moment().unix_s, random: &mut random };
        match self.sealer.seal(ends, plain, at, self.pool) {
            Sealed::Done => Some(Segment::from_framed(self.pool.split().freeze())),
            Sealed::Held => {
                self.pool.clear();
                None
            }
            Sealed::Dropped(Trouble::Absent) => {
                self.pool.clear();
                self.absent.push(segment);
                None
            }
            Sealed::Dropped(trouble) => {
                self.pool.clear();
                drops.count(reason_of(trouble));
                None
            }
        }
    }
}

impl Shard {
    /// Takes the terms of sealing, or none.
    pub(super) fn take_seal_terms(&mut self, terms: Option<Box<Terms>>) {
        match (terms, &mut self.sealer) {
            (Some(terms), Some(sealer)) => {
                let mut random = random::bytes;
                let unix_s = self.clock.moment().unix_s;
                sealer.handle_terms(*terms, &mut At { now: self.clock.now, unix_s, random: &mut random });
                self.flush_sealer();
            }
            (Some(terms), None) => {
                let mut sealer = Sealer::new(*terms);
                let uplink = self.uplink.and_then(|id| self.table.by_id(id));
                if let Some(End::Device(session, _)) = uplink.map(|link| &link.end)
                    && let Some(accept) = session.accept()
                {
                    sealer.handle_gateway(&accept.gateway);
                }
                self.sealer = Some(sealer);
            }
            (None, Some(sealer)) => {
                sealer.drop_held();
                self.flush_sealer();
                self.sealer = None;
            }
            (None, None) => {}
        }
    }

    /// Device: takes which of the network's gateways is at the other end of the link.
    pub(super) fn take_gateway(&mut self, accept: &Accept) {
        if let Some(sealer) = &mut self.sealer {
            sealer.handle_gateway(&accept.gateway);
        }
    }

    /// Opens a packet from another device, if it is sealed as it must be.
    pub(super) fn open_sealed(&mut self, outer: &Packet, segment: &Segment) -> Option<(Packet, Segment)> {
        let sealer = self.sealer.as_mut()?;
        let Some(body) = envelope::body(outer, segment.packet()) else {
            self.drops.count(DropReason::NotSealed);
            return None;
        };
        reserve(&mut self.pools.sealed, body.len());
        // The channel; the flags are in what was sealed.
        self.pools.sealed.put_u8(0);
        let ends = Ends { own: outer.destination, peer: outer.source };
        let mut random = random::bytes;
        let at = &mut At { now: self.clock.now, unix_s: self.clock.moment().unix_s, random: &mut random };
        match sealer.open(ends, body, at, &mut self.pools.sealed) {
            Ok(Opened::Packet) => {}
            Ok(Opened::Nothing) => {
                self.pools.sealed.clear();
                return None;
            }
            Err(trouble) => {
                self.pools.sealed.clear();
                self.drops.count(reason_of(trouble));
                return None;
            }
        }
        let segment = Segment::from_framed(self.pools.sealed.split().freeze());
        let inner = Packet::parse(segment.packet()).ok();
        // A device speaks for itself only, inside as well.
        let speaks_for_itself = |inner: &Packet| {
            (inner.source, inner.destination) == (outer.source, outer.destination)
                && inner.protocol != envelope::PROTOCOL
        };
        let Some(inner) = inner.filter(speaks_for_itself) else {
            self.drops.count(DropReason::Malformed);
            return None;
        };
        Some((inner, segment))
    }

    /// Says whether packets to or from this address are sealed.
    pub(super) fn is_sealed(&self, address: IpAddr) -> bool {
        self.sealer.as_ref().is_some_and(|sealer| sealer.covers(address))
    }

    /// Sends what the sealer wants sent.
    pub(super) fn flush_sealer(&mut self) {
        while let Some(output) = self.sealer.as_mut().and_then(Sealer::poll_output) {
            match output {
                Output::Ask(address) => self.ask_for_card(address),
                Output::Message { ends, body } => self.send_sealed(ends, &body),
            }
        }
        let dropped = self.sealer.as_mut().map_or(0, Sealer::take_dropped);
        self.drops.count_many(DropReason::SealWaited, dropped);
    }

    /// Tells whoever sent packets to devices that are not there.
    pub(super) fn reject_absent(&mut self) {
        for segment in std::mem::take(&mut self.pools.absent) {
            if let Ok(packet) = Packet::parse(segment.packet()) {
                self.reject_to_tun(Reject::Unreachable, &packet, segment.packet());
            }
        }
    }

    pub(super) fn sweep_sealer(&mut self) {
        let Some(sealer) = &mut self.sealer else { return };
        let mut random = random::bytes;
        let at = &mut At { now: self.clock.now, unix_s: self.clock.moment().unix_s, random: &mut random };
        sealer.handle_timeout(at);
        self.flush_sealer();
    }

    /// Device: takes what the gateway says of others' cards.
    pub(super) fn take_card(&mut self, answer: &CardAnswer) {
        let Some(sealer) = &mut self.sealer else { return };
        let mut random = random::bytes;
        let at = &mut At { now: self.clock.now, unix_s: self.clock.moment().unix_s, random: &mut random };
        match answer {
            CardAnswer::Card { address, card } => sealer.handle_card(card, *address, at),
            CardAnswer::None { address } => sealer.handle_no_card(*address, at.now),
            CardAnswer::Gone { device } => sealer.handle_gone(device, at),
        }
    }

    /// Gateway: what is answered to a device that asks for another's card. It hears of none with which it may not speak.
    pub(super) fn card_of(&mut self, asker: &Link, address: IpAddr) -> ToDevice {
        let is_known = self.is_known_to(asker, address);
        let owner = self.addresses.link_of(address).filter(|_| is_known);
        let card = owner.and_then(|id| self.table.by_id(id)).and_then(|link| match &link.end {
            End::Gateway(session) => session.card().map(<[u8]>::to_vec),
            End::Device(..) | End::Handshaking => None,
        });
        match card {
            Some(card) => ToDevice::Card { address, card },
            None => ToDevice::NoCard { address },
        }
    }

    fn is_known_to(&self, asker: &Link, address: IpAddr) -> bool {
        let (Some(serving), End::Gateway(session)) = (&self.serving, &asker.end) else { return false };
        let Some(admitted) = session.admitted() else { return false };
        let unix_s = self.clock.moment().unix_s;
        let forwarder = &serving.forwarder;
        forwarder.may_seal(&admitted.network, &admitted.addresses, address, &self.addresses, unix_s)
    }

    /// Gateway: tells all who brought a card that others are revoked.
    pub(super) fn tell_gone(&mut self, devices: &[horizon_api::key::PublicKey]) {
        for handle in self.table.handles() {
            let Some(mut link) = self.table.take(handle) else { continue };
            if let End::Gateway(session) = &link.end
                && session.card().is_some()
                && !link.is_closing
            {
                for device in devices.iter().take(GONE_MAX) {
                    // Who does not read its control stream is closed by the next word that is for it.
                    let _ = link.control.send(&mut link.connection, &ToDevice::Gone { device: *device });
                }
            }
            self.table.put(link);
            self.table.mark(handle);
        }
    }

    fn ask_for_card(&mut self, address: IpAddr) {
        let link = self.uplink.and_then(|id| self.table.by_id(id));
        let knows_cards = |accept: &Accept| accept.features.iter().any(|feature| feature == CARDS);
        let can_ask = link.is_some_and(|link| match &link.end {
            End::Device(session, _) => session.accept().is_some_and(knows_cards),
            End::Gateway(_) | End::Handshaking => false,
        });
        if can_ask {
            self.tell_uplink(&FromDevice::AskCard { address });
        } else if let Some(sealer) = &mut self.sealer {
            sealer.handle_no_card(address, self.clock.now);
        }
    }

    fn send_sealed(&mut self, ends: Ends, body: &[u8]) {
        let Some(to) = self.uplink else { return self.drops.count(DropReason::LinkDown) };
        let mut bytes = BytesMut::new();
        envelope::begin(&mut bytes, ends.own, ends.peer, body.len());
        bytes.extend_from_slice(body);
        let segment = Segment::from_framed(bytes.freeze());
        let Ok(packet) = Packet::parse(segment.packet()) else {
            return self.drops.count(DropReason::Malformed);
        };
        self.queue(Relay { to, packet, frame: Frame::Segment(segment) });
        self.table.mark(handle_of(to));
    }
}

/// Revocations that are told at once; more of them end with their cards.
const GONE_MAX: usize = 256;

fn reserve(pool: &mut BytesMut, bytes: usize) {
    pool.clear();
    let bytes = bytes.min(PACKET_BYTES) + 128;
    if pool.capacity() < bytes {
        pool.reserve(POOL_BYTES);
    }
}

fn reason_of(trouble: Trouble) -> DropReason {
    match trouble {
        Trouble::Replayed => DropReason::SealReplayed,
        Trouble::Broken | Trouble::Refused => DropReason::SealBroken,
        Trouble::Waited => DropReason::SealWaited,
        Trouble::Absent => Reject::Unreachable.drop_reason(),
        Trouble::TooLong => DropReason::TooBig,
    }
}
