//! What comes from other devices.

use std::time::Duration;

use bytes::BytesMut;
use horizon_api::card::VerifiedCard;

use super::{Opened, Output, Sealer};
use crate::{
    At, Ends,
    handshake::{Answer, Refused, answer},
    message::{self, Message},
    peer::{Peer, Trouble},
    session::Session,
};

/// First messages of one device, which the gateway lets speak for its own addresses only. It repeats one after half a
/// second, and then less and less often.
const PER_DEVICE_S: u32 = 8;
/// First messages of all devices: a fifth of a core. No single device comes near.
const IN_ALL_S: u32 = 1_000;
/// So often is this end's own first message sent before the other end's is answered in its place: what nobody answers
/// may be refused there.
const OURS_TRIES: u32 = 2;
/// Packets of unknown keys make us begin no more often than this.
const PROMPT_EVERY: Duration = Duration::from_secs(1);

impl Sealer {
    /// Takes a message, and appends what was sealed in it.
    ///
    /// # Errors
    /// When it is not carried; it is counted at its device.
    pub fn open(
        &mut self,
        ends: Ends,
        body: &[u8],
        at: &mut At<'_>,
        out: &mut BytesMut,
    ) -> Result<Opened, Trouble> {
        let opened = match Message::parse(body) {
            Ok(Message::Data { receiver, counter, sealed }) => {
                self.take_data(ends, receiver, counter, sealed, at, out)
            }
            Ok(Message::Initiation { sender, offer, noise }) => {
                self.take_first(ends, sender, offer, noise, at).map(|()| Opened::Nothing)
            }
            Ok(Message::Response { sender, receiver, noise }) => {
                self.take_second(ends, [receiver, sender], noise, at).map(|()| Opened::Nothing)
            }
            Err(_) => Err(Trouble::Broken),
        };
        if let (Err(trouble), Some(peer)) = (&opened, self.peers.get_mut(&ends)) {
            peer.note(*trouble);
        }
        opened
    }

    fn take_data(
        &mut self,
        ends: Ends,
        receiver: u32,
        counter: u64,
        sealed: &[u8],
        at: &mut At<'_>,
        out: &mut BytesMut,
    ) -> Result<Opened, Trouble> {
        let start = out.len();
        let is_ours = self.indices.get(&receiver) == Some(&ends);
        let peer = self.peers.get_mut(&ends).filter(|_| is_ours);
        let Some((peer, true)) = peer.map(|peer| {
            let is_known = peer.session(receiver).is_some();
            (peer, is_known)
        }) else {
            self.prompt(ends, at);
            return Err(Trouble::Broken);
        };
        let Some(session) = peer.session(receiver) else { return Err(Trouble::Broken) };
        if session.is_over(at.now, &self.terms.limits) {
            return Err(Trouble::Broken);
        }
        session.open(counter, sealed, out)?;
        peer.used = at.now;
        peer.counts.opened += 1;
        if let Some(used) = peer.next.iter().position(|session| session.local == receiver) {
            let session = peer.next.remove(used);
            self.drop_next(ends);
            self.promote(ends, session);
        }
        Ok(if out.len() == start { Opened::Nothing } else { Opened::Packet })
    }

    /// The other end uses keys that this one has forgotten, as after a restart: it hears of others.
    fn prompt(&mut self, ends: Ends, at: &mut At<'_>) {
        if !self.has_room_for(ends) {
            return;
        }
        let peer = self.peers.entry(ends).or_insert_with(|| Peer::new(at.now));
        let is_fresh = |prompted| at.now.saturating_duration_since(prompted) < PROMPT_EVERY;
        if !peer.prompted.is_some_and(is_fresh) {
            peer.prompted = Some(at.now);
            self.begin(ends, at);
        }
    }

    fn take_first(
        &mut self,
        ends: Ends,
        sender: u32,
        offer: Vec<String>,
        noise: &[u8],
        at: &mut At<'_>,
    ) -> Result<(), Trouble> {
        if !self.has_room_for(ends) {
            return Err(Trouble::Waited);
        }
        let peer = self.peers.entry(ends).or_insert_with(|| Peer::new(at.now));
        // Its own first: whoever sends many takes nobody else's place.
        if !peer.budget.take(at.now, PER_DEVICE_S) || !self.budget.take(at.now, IN_ALL_S) {
            return Err(peer.refuse(Refused::TooMany));
        }
        let read = answer(&self.terms, offer, noise, at.unix_s, (at.random)());
        let read = read.and_then(|answer| match &answer.card {
            card if self
                .gone
                .get(&card.card().device)
                .is_some_and(|since| card.card().issued_at <= *since) =>
            {
                Err(Refused::Gone)
            }
            card if !card.card().addresses.contains(&ends.peer) => Err(Refused::ForeignCard),
            _ => Ok(answer),
        });
        let answer = match read {
            Ok(answer) if peer.is_first(noise) => answer,
            Ok(_) => return Err(peer.refuse(Refused::Repeated)),
            Err(refused) => return Err(peer.refuse(refused)),
        };
        if self.is_ours_first(ends, &answer.card) {
            return Ok(());
        }
        self.answer_first(ends, sender, answer, at);
        Ok(())
    }

    /// Both began at once: the lower key's handshake is the one that both go on with, unless it was made for a key that
    /// the other end does not have any more, or is not answered.
    fn is_ours_first(&self, ends: Ends, theirs: &VerifiedCard) -> bool {
        let outstanding = self.peers.get(&ends).and_then(|peer| peer.handshake.as_ref());
        outstanding.is_some_and(|outstanding| {
            outstanding.initiation.remote == theirs.word().key
                && outstanding.again.tries <= OURS_TRIES
                && self.terms.device < theirs.card().device
        })
    }

    fn answer_first(&mut self, ends: Ends, sender: u32, answer: Answer, at: &mut At<'_>) {
        let local = self.free_index(at);
        let Some(peer) = self.peers.get_mut(&ends) else { return };
        let Answer { card, suite, transport, noise } = answer;
        peer.used = at.now;
        peer.asking = None;
        peer.absent_until = None;
        // A first message of long ago brings no older key back.
        let is_newest = |known: &VerifiedCard| {
            known.card().device != card.card().device || known.card().issued_at <= card.card().issued_at
        };
        if peer.card.as_ref().is_none_or(is_newest) {
            peer.take_card(card);
        }
        let session = Session::new(transport, suite, [local, sender], false, at.now);
        let former = [
            peer.handshake.take().map(|outstanding| outstanding.local),
            peer.expect(session).map(|session| session.local),
        ];
        for index in former.into_iter().flatten() {
            self.indices.remove(&index);
        }
        self.indices.insert(local, ends);
        self.put(Output::Message { ends, body: message::response(local, sender, &noise) });
    }

    fn drop_next(&mut self, ends: Ends) {
        let Some(peer) = self.peers.get_mut(&ends) else { return };
        for unused in peer.next.drain(..) {
            self.indices.remove(&unused.local);
        }
    }

    fn take_second(
        &mut self,
        ends: Ends,
        [local, remote]: [u32; 2],
        noise: &[u8],
        at: &mut At<'_>,
    ) -> Result<(), Trouble> {
        let is_ours = self.indices.get(&local) == Some(&ends);
        let peer = self.peers.get_mut(&ends).filter(|_| is_ours).ok_or(Trouble::Broken)?;
        let outstanding = peer.handshake.take_if(|outstanding| outstanding.local == local);
        let Some(mut outstanding) = outstanding else { return Err(Trouble::Broken) };
        let suite = outstanding.initiation.suite;
        match outstanding.initiation.finish(noise) {
            Ok(transport) => {
                let session = Session::new(transport, suite, [local, remote], true, at.now);
                // What the other end has of us from before is worth nothing to it now.
                let has_waiting = peer.has_waiting();
                self.drop_next(ends);
                self.promote(ends, session);
                if !has_waiting {
                    // The other end uses the keys when it has seen that this one does.
                    self.send(ends, &[]);
                }
                Ok(())
            }
            Err(initiation) => {
                outstanding.initiation = initiation;
                peer.handshake = Some(outstanding);
                Err(Trouble::Broken)
            }
        }
    }
}
