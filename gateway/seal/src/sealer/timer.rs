//! What is due by time: messages that nobody answered, packets that waited, keys that ended.

use std::time::{Duration, Instant};

use super::{ABSENT, Output, Sealer};
use crate::{
    At, Ends,
    peer::{Again, Peer},
};

/// Nobody answers for so long: the next packet begins anew.
const GIVE_UP: Duration = Duration::from_secs(30);
/// After so many first messages without an answer the gateway is asked whether there is a newer card.
const TRIES_PER_CARD: u32 = 3;
/// A device that nothing was said to or by for so long is forgotten.
const IDLE: Duration = Duration::from_secs(600);

enum Due {
    Nothing,
    Ask,
    First,
    Forget,
}

impl Sealer {
    /// Does what is due. Called a few times a second.
    pub fn handle_timeout(&mut self, at: &mut At<'_>) {
        let all: Vec<_> = self.peers.keys().copied().collect();
        for ends in all {
            self.end_sessions(ends, at.now);
            let Some(peer) = self.peers.get_mut(&ends) else { continue };
            peer.drop_overdue(at.now, &mut self.held);
            match due(peer, at.now) {
                Due::Nothing => {}
                Due::Ask => {
                    peer.asking = peer.asking.map(|again| again.next(at.now));
                    self.put(Output::Ask(ends.peer));
                }
                Due::First => self.repeat_first(ends, at),
                Due::Forget => drop(self.peers.remove(&ends)),
            }
        }
    }

    fn repeat_first(&mut self, ends: Ends, at: &mut At<'_>) {
        let Some(peer) = self.peers.get_mut(&ends) else { return };
        let Some(outstanding) = peer.handshake.take() else { return };
        self.indices.remove(&outstanding.local);
        let is_needed = peer.has_waiting() || peer.current.is_some();
        if !is_needed || at.now.duration_since(outstanding.began) >= GIVE_UP {
            return;
        }
        if outstanding.again.tries % TRIES_PER_CARD == 0 && peer.asking.is_none() {
            // Perhaps the device has another key by now.
            peer.asking = Some(Again::first(at.now));
            self.put(Output::Ask(ends.peer));
        }
        let again = outstanding.again.next(at.now);
        self.send_first(ends, outstanding.began, again, at);
    }

    fn end_sessions(&mut self, ends: Ends, now: Instant) {
        let Some(peer) = self.peers.get_mut(&ends) else { return };
        let limits = &self.terms.limits;
        let ended = [
            peer.current.take_if(|session| session.is_over(now, limits)),
            peer.previous.take_if(|session| session.is_over(now, limits)),
        ];
        let unused = peer.next.extract_if(.., |session| session.is_over(now, limits));
        for session in ended.into_iter().flatten().chain(unused) {
            self.indices.remove(&session.local);
        }
    }
}

fn due(peer: &mut Peer, now: Instant) -> Due {
    if let Some(again) = peer.asking.filter(|again| now >= again.at) {
        if peer.has_waiting() {
            return Due::Ask;
        }
        // Nobody waits for it any more; the next packet asks again.
        if again.tries > 1 {
            peer.asking = None;
        }
        return if again.tries == 1 { Due::Ask } else { Due::Nothing };
    }
    if peer.handshake.as_ref().is_some_and(|outstanding| now >= outstanding.again.at) {
        return Due::First;
    }
    // Whoever scans the network fills no table with addresses that nobody has.
    let patience = if peer.is_unknown() { ABSENT } else { IDLE };
    let is_idle = now.saturating_duration_since(peer.used) >= patience;
    if is_idle && !peer.is_busy() && !peer.is_absent(now) { Due::Forget } else { Due::Nothing }
}
