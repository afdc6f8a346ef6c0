//! One device's end of all its sealed conversations in one network.

mod inbound;
mod timer;

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use horizon_api::{delegation::Trust, grant::SealScope, key::PublicKey, section::NetworkId};
use zeroize::Zeroizing;

use crate::{
    At, Ends,
    handshake::{Initiation, Refused, read_card},
    message,
    peer::{Again, Budget, Held, Outstanding, Peer, PeerStatus, Trouble},
    session::Session,
    suite::Suite,
};

/// Who this device is in the network, and whom it believes.
pub struct Terms {
    pub network: NetworkId,
    pub device: PublicKey,
    /// The secret half of the device's X25519 key.
    pub secret: Zeroizing<[u8; 32]>,
    /// The device's own card, as the controller signed it. Empty where there is none: then nobody believes this device.
    pub card: Vec<u8>,
    /// As the card says them.
    pub suites: Vec<Suite>,
    pub trust: Trust,
    /// Between which addresses packets are sealed.
    pub scope: SealScope,
    pub limits: Limits,
}

/// When keys are renewed, and when they end if that did not work.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub renew_after: Duration,
    pub renew_packets: u64,
    pub end_after: Duration,
    pub end_packets: u64,
}

impl Default for Limits {
    /// Packets are far below what AES-GCM bears with one key (2^23 of full length, RFC 9001 §B.1.1).
    fn default() -> Self {
        Self {
            renew_after: Duration::from_secs(120),
            renew_packets: 1 << 18,
            end_after: Duration::from_secs(240),
            end_packets: 1 << 22,
        }
    }
}

/// What became of a packet that was to be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// It was appended to the buffer.
    Done,
    /// It waits for keys, and comes out of [`Sealer::poll_output`].
    Held,
    Dropped(Trouble),
}

/// What became of a message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// What was sealed was appended to the buffer.
    Packet,
    /// It was about keys.
    Nothing,
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the gateway for the card of the device that has this address.
    Ask(IpAddr),
    /// A message to a device.
    Message { ends: Ends, body: Vec<u8> },
}

/// See the module.
pub struct Sealer {
    terms: Terms,
    /// What the gateway at the other end of the link says of its own addresses.
    gateway: Vec<IpAddr>,
    peers: BTreeMap<Ends, Peer>,
    /// Whose session or handshake has a local index.
    indices: BTreeMap<u32, Ends>,
    outputs: VecDeque<Output>,
    /// Revoked devices, and since when (unix seconds): only a later card is believed.
    gone: BTreeMap<PublicKey, i64>,
    budget: Budget,
    held: Held,
}

/// Devices that one device speaks with at a time.
const PEERS_MAX: usize = 4096;
/// What waits to be sent; the caller takes it after each input.
const OUTPUTS_MAX: usize = 1024;
const GONE_MAX: usize = 4096;
/// The gateway is not asked more often for a device that is not there.
const ABSENT: Duration = Duration::from_secs(3);
/// Keys that the other end has not used in this time may not have reached it.
const UNUSED: Duration = Duration::from_secs(1);

impl Sealer {
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            gateway: Vec::new(),
            peers: BTreeMap::new(),
            indices: BTreeMap::new(),
            outputs: VecDeque::new(),
            gone: BTreeMap::new(),
            budget: Budget::default(),
            held: Held::default(),
        }
    }

    /// Takes a newer card or trust. Keys in use stay, as long as this device's own key does.
    pub fn handle_terms(&mut self, terms: Terms, at: &mut At<'_>) {
        let is_same = self.terms.network == terms.network
            && self.terms.device == terms.device
            && self.terms.suites == terms.suites
            && self.terms.secret == terms.secret;
        if !is_same {
            self.drop_held();
            let former = std::mem::replace(self, Self::new(terms));
            (self.gateway, self.gone, self.held) = (former.gateway, former.gone, former.held);
            return;
        }
        let is_other_trust = self.terms.trust != terms.trust;
        self.terms = terms;
        if is_other_trust {
            self.forget_cards(at);
        }
    }

    /// Takes what the gateway says of its own addresses: no other gateway's is reached through it, so that an address that
    /// is a device's since the terms were made is one, as long as this gateway does not claim it.
    pub fn handle_gateway(&mut self, addresses: &[IpAddr]) {
        self.gateway = addresses.to_vec();
    }

    /// Seals a packet and appends the message, or keeps it until there are keys.
    pub fn seal(&mut self, ends: Ends, plain: &[u8], at: &mut At<'_>, out: &mut BytesMut) -> Sealed {
        if plain.len() > message::PLAIN_BYTES_MAX {
            return Sealed::Dropped(Trouble::TooLong);
        }
        if !self.has_room_for(ends) {
            return Sealed::Dropped(Trouble::Waited);
        }
        let peer = self.peers.entry(ends).or_insert_with(|| Peer::new(at.now));
        peer.used = at.now;
        let limits = &self.terms.limits;
        if let Some(session) = peer.current.as_mut().filter(|session| !session.is_over(at.now, limits)) {
            if let Err(trouble) = session.seal(plain, out) {
                return Sealed::Dropped(trouble);
            }
            peer.counts.sealed += 1;
            if session.is_due(at.now, limits) {
                self.begin(ends, at);
            }
            return Sealed::Done;
        }
        if peer.is_absent(at.now) {
            return Sealed::Dropped(Trouble::Absent);
        }
        peer.hold(at.now, plain, &mut self.held);
        self.begin(ends, at);
        Sealed::Held
    }

    /// Takes a card that the gateway handed over.
    pub fn handle_card(&mut self, bytes: &[u8], asked: IpAddr, at: &mut At<'_>) {
        let waiting: Vec<_> = self.asking_for(asked).collect();
        if waiting.is_empty() {
            return;
        }
        let read = read_card(&self.terms, &self.terms.network, bytes, at.unix_s);
        let read = read.and_then(|card| {
            let is_gone =
                self.gone.get(&card.card().device).is_some_and(|since| card.card().issued_at <= *since);
            match card.card().addresses.contains(&asked) {
                _ if is_gone => Err(Refused::Gone),
                true => Ok(card),
                false => Err(Refused::ForeignCard),
            }
        });
        for ends in waiting {
            let Some(peer) = self.peers.get_mut(&ends) else { continue };
            match &read {
                Ok(card) => {
                    peer.asking = None;
                    let former = peer.take_card(card.clone());
                    let is_other = former.is_none_or(|former| former.word() != card.word());
                    if let Some(outstanding) = peer.handshake.take_if(|_| is_other) {
                        self.indices.remove(&outstanding.local);
                    }
                    self.begin(ends, at);
                }
                // The gateway is asked again later; a genuine one may come.
                Err(refused) => drop(peer.refuse(refused.clone())),
            }
        }
    }

    /// The gateway has no card for an address.
    pub fn handle_no_card(&mut self, asked: IpAddr, now: Instant) {
        for ends in self.asking_for(asked).collect::<Vec<_>>() {
            if let Some(peer) = self.peers.get_mut(&ends) {
                peer.asking = None;
                peer.absent_until = Some(now + ABSENT);
                peer.drop_all(&mut self.held);
                if let Some(outstanding) = peer.handshake.take() {
                    self.indices.remove(&outstanding.local);
                }
            }
        }
    }

    /// A device was revoked: nothing is sealed for it any more, and nothing of it is opened.
    pub fn handle_gone(&mut self, device: &PublicKey, at: &At<'_>) {
        if self.gone.len() >= GONE_MAX {
            self.gone.pop_first();
        }
        self.gone.insert(*device, at.unix_s);
        let is_of = |peer: &Peer| peer.owner.as_ref().is_some_and(|owner| owner.device == *device);
        for (ends, peer) in self.peers.iter_mut().filter(|(_, peer)| is_of(peer)) {
            peer.drop_all(&mut self.held);
            let counts = std::mem::take(&mut peer.counts);
            *peer = Peer::new(at.now);
            peer.counts = counts;
            peer.absent_until = Some(at.now + ABSENT);
            peer.refusal = Some(Refused::Gone);
            self.indices.retain(|_, of| of != ends);
        }
    }

    /// Drops what waits for keys.
    pub fn drop_held(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.drop_all(&mut self.held));
    }

    /// Returns how many packets waited for keys in vain since it was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.held.dropped)
    }

    /// Takes what is to be sent next. Drain it after each input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Says whether packets to or from an address of the network are sealed.
    pub fn covers(&self, address: IpAddr) -> bool {
        let scope = &self.terms.scope;
        scope.covers(address) || (scope.gateways.contains(&address) && !self.gateway.contains(&address))
    }

    pub fn statuses(&self, now: Instant) -> Vec<PeerStatus> {
        self.peers.iter().map(|(ends, peer)| peer.status(*ends, now)).collect()
    }

    fn has_room_for(&self, ends: Ends) -> bool {
        self.peers.len() < PEERS_MAX || self.peers.contains_key(&ends)
    }

    fn asking_for(&self, asked: IpAddr) -> impl Iterator<Item = Ends> {
        let is_asked = move |ends: &Ends, peer: &Peer| ends.peer == asked && peer.asking.is_some();
        self.peers.iter().filter(move |(ends, peer)| is_asked(ends, peer)).map(|(ends, _)| *ends)
    }

    /// Begins to agree on keys, unless that has begun.
    fn begin(&mut self, ends: Ends, at: &mut At<'_>) {
        let Some(peer) = self.peers.get_mut(&ends) else { return };
        let is_heard_of = peer.next.iter().any(|session| session.age(at.now) < UNUSED);
        let is_on_its_way = peer.handshake.is_some() || peer.asking.is_some() || is_heard_of;
        if is_on_its_way || peer.is_absent(at.now) {
            return;
        }
        let is_good = peer.card.as_ref().is_some_and(|card| card.card().expires_at > at.unix_s);
        if !is_good {
            peer.card = None;
            peer.asking = Some(Again::first(at.now));
            return self.put(Output::Ask(ends.peer));
        }
        self.send_first(ends, at.now, Again::first(at.now), at);
    }

    /// Sends a first message. `began` is when the first of its kind was.
    fn send_first(&mut self, ends: Ends, began: Instant, again: Again, at: &mut At<'_>) {
        let local = self.free_index(at);
        let Some(peer) = self.peers.get_mut(&ends) else { return };
        let Some(card) = &peer.card else { return };
        match Initiation::begin(&self.terms, card, (at.random)()) {
            Ok((initiation, noise)) => {
                let former = peer.handshake.replace(Outstanding {
                    initiation: Box::new(initiation),
                    local,
                    began,
                    again,
                });
                if let Some(former) = former {
                    self.indices.remove(&former.local);
                }
                self.indices.insert(local, ends);
                let offer = Suite::names(&self.terms.suites);
                self.put(Output::Message { ends, body: message::initiation(local, &offer, &noise) });
            }
            Err(refused) => {
                peer.refuse(refused);
                peer.absent_until = Some(at.now + ABSENT);
                peer.drop_all(&mut self.held);
            }
        }
    }

    /// Others are believed from here on: each card is asked for again before the next keys are agreed on.
    fn forget_cards(&mut self, at: &mut At<'_>) {
        let mut asked_anew = Vec::new();
        for (ends, peer) in &mut self.peers {
            peer.card = None;
            if let Some(outstanding) = peer.handshake.take() {
                self.indices.remove(&outstanding.local);
                asked_anew.push(*ends);
            }
        }
        for ends in asked_anew {
            self.begin(ends, at);
        }
    }

    /// Uses keys from here on, and sends what waited for them.
    fn promote(&mut self, ends: Ends, session: Session) {
        let Some(peer) = self.peers.get_mut(&ends) else { return };
        let replaced = std::mem::replace(&mut peer.previous, peer.current.replace(session));
        if let Some(replaced) = replaced {
            self.indices.remove(&replaced.local);
        }
        let Some(peer) = self.peers.get_mut(&ends) else { return };
        peer.counts.handshakes += 1;
        let waiting: Vec<_> = peer.release(&mut self.held).collect();
        for plain in waiting {
            self.send(ends, &plain);
        }
    }

    /// Seals with the keys in use, for [`Sealer::poll_output`].
    fn send(&mut self, ends: Ends, plain: &[u8]) {
        let Some(peer) = self.peers.get_mut(&ends) else { return };
        let Some(session) = &mut peer.current else { return };
        let mut body = BytesMut::new();
        if session.seal(plain, &mut body).is_ok() {
            peer.counts.sealed += 1;
            self.put(Output::Message { ends, body: body.to_vec() });
        } else {
            self.held.dropped += 1;
        }
    }

    fn put(&mut self, output: Output) {
        // What is lost here is sent again by its own timer, or by whoever sent the packet.
        if self.outputs.len() < OUTPUTS_MAX {
            self.outputs.push_back(output);
        }
    }

    /// Indices are not guessed, so that nobody beside the path can aim at one.
    fn free_index(&self, at: &mut At<'_>) -> u32 {
        loop {
            let [a, b, c, d, ..] = (at.random)();
            let index = u32::from_le_bytes([a, b, c, d]);
            if !self.indices.contains_key(&index) {
                return index;
            }
        }
    }
}

#[cfg(test)]
mod tests;
