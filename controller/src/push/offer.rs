//! What is offered to one gateway: exactly one unacknowledged assignment, newest wins.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use horizon_api::section::ContentHash;

use crate::snapshot::GatewaySnapshot;

/// The state of one gateway's offers. Constant memory, however slow the gateway is: what is in force, and the one
/// that waits for its answer, whole, because the gateway asks for its sections meanwhile.
#[derive(Debug, Default)]
pub struct Offer {
    wanted: Option<Arc<GatewaySnapshot>>,
    in_flight: Option<Arc<GatewaySnapshot>>,
    running: Option<ContentHash>,
    refused: Option<(ContentHash, Instant)>,
}

/// What a gateway refused is offered again after so long: its host may take it by then, and until it does, the gateway
/// runs something old.
const OFFER_AGAIN: Duration = Duration::from_secs(30);

impl Offer {
    /// Begins with what the gateway says it runs.
    pub fn new(running: Option<ContentHash>) -> Self {
        Self { running, ..Self::default() }
    }

    /// This is what the gateway must run.
    pub fn handle_wanted(&mut self, wanted: Arc<GatewaySnapshot>) {
        self.wanted = Some(wanted);
    }

    /// The gateway runs it.
    pub fn handle_ack(&mut self, assignment: ContentHash) {
        self.in_flight = None;
        self.running = Some(assignment);
        self.refused = None;
    }

    /// The gateway keeps the old one: the same is not offered again at once.
    pub fn handle_nack(&mut self, now: Instant) {
        self.refused = self.in_flight.take().map(|refused| (refused.hash, now));
    }

    /// A heartbeat says what runs. What differs is offered again, unless an answer is still to come.
    pub fn handle_running(&mut self, assignment: Option<ContentHash>) {
        self.running = assignment;
    }

    /// Returns what to send now, if anything. Ask again with every heartbeat: what was refused comes due.
    pub fn poll_send(&mut self, now: Instant) -> Option<Arc<GatewaySnapshot>> {
        let wanted = self.wanted.as_ref()?;
        let is_refused = self
            .refused
            .is_some_and(|(hash, at)| hash == wanted.hash && now.saturating_duration_since(at) < OFFER_AGAIN);
        if self.in_flight.is_some() || self.running == Some(wanted.hash) || is_refused {
            return None;
        }
        self.in_flight = Some(Arc::clone(wanted));
        self.in_flight.clone()
    }

    /// Says whether the gateway has an assignment to answer.
    pub fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Returns a section of the assignment that waits for its answer, and of no other: a gateway cannot read
    /// another's configuration.
    pub fn section(&self, hash: &ContentHash) -> Option<Arc<[u8]>> {
        self.in_flight.as_ref()?.sections.get(hash).cloned()
    }
}

#[cfg(test)]
mod tests {
    use horizon_api::{
        assignment::Assignment,
        key::SecretKey,
        section::{EncodedSection, Section},
    };

    use super::*;

    /// Returns an assignment of one section.
    fn snapshot(n: u8) -> Arc<GatewaySnapshot> {
        let key = SecretKey::from_seed(&[n; 32]);
        let EncodedSection { header, bytes } = Section::Revocations(vec![key.public()]).encode();
        let sections = [(header.hash, Arc::from(bytes))].into();
        let (gateway, sections_named) = (key.public(), vec![header]);
        let assignment = Assignment {
            epoch: 1,
            revision: u64::from(n),
            gateway,
            sections: sections_named,
            provisional: None,
        };
        let assignment = assignment.sign(&key);
        let hash = ContentHash::from_bytes(assignment.hash());
        Arc::new(GatewaySnapshot { assignment, hash, sections })
    }

    fn hash(n: u8) -> ContentHash {
        snapshot(n).hash
    }

    fn sent(offer: &mut Offer) -> Option<ContentHash> {
        offer.poll_send(Instant::now()).map(|snapshot| snapshot.hash)
    }

    #[test]
    fn a_gateway_that_runs_it_already_is_left_alone() {
        let mut offer = Offer::new(Some(hash(1)));
        offer.handle_wanted(snapshot(1));

        assert_eq!(sent(&mut offer), None);
    }

    #[test]
    fn one_is_in_flight_and_the_newest_is_next() {
        let mut offer = Offer::new(None);
        offer.handle_wanted(snapshot(1));
        assert_eq!(sent(&mut offer), Some(hash(1)));

        offer.handle_wanted(snapshot(2));
        offer.handle_wanted(snapshot(3));
        assert_eq!(sent(&mut offer), None);

        offer.handle_ack(hash(1));
        assert_eq!(sent(&mut offer), Some(hash(3)));
    }

    #[test]
    fn sections_of_what_is_in_flight_are_there_until_its_answer() {
        let (first, second) = (snapshot(1), snapshot(2));
        let section_of = |snapshot: &GatewaySnapshot| *snapshot.sections.keys().next().expect("one");
        let mut offer = Offer::new(None);
        offer.handle_wanted(Arc::clone(&first));
        assert_eq!(sent(&mut offer), Some(first.hash));

        offer.handle_wanted(Arc::clone(&second));
        assert!(offer.section(&section_of(&first)).is_some());
        assert!(offer.section(&section_of(&second)).is_none());

        offer.handle_ack(first.hash);
        assert_eq!(sent(&mut offer), Some(second.hash));
        assert!(offer.section(&section_of(&first)).is_none());
        assert!(offer.section(&section_of(&second)).is_some());
    }

    #[test]
    fn what_was_refused_is_not_sent_again_at_once_unless_it_changes() {
        let mut offer = Offer::new(Some(hash(1)));
        offer.handle_wanted(snapshot(2));
        assert_eq!(sent(&mut offer), Some(hash(2)));

        offer.handle_nack(Instant::now());
        assert_eq!(sent(&mut offer), None);

        offer.handle_wanted(snapshot(3));
        assert_eq!(sent(&mut offer), Some(hash(3)));
    }

    #[test]
    fn what_was_refused_is_sent_again_after_a_while() {
        let start = Instant::now();
        let mut offer = Offer::new(Some(hash(1)));
        offer.handle_wanted(snapshot(2));
        assert!(offer.poll_send(start).is_some());
        offer.handle_nack(start);

        assert!(offer.poll_send(start + OFFER_AGAIN / 2).is_none());
        assert!(offer.poll_send(start + OFFER_AGAIN).is_some());

        offer.handle_nack(start + OFFER_AGAIN);
        assert!(offer.poll_send(start + OFFER_AGAIN * 3 / 2).is_none(), "it was refused again");
    }

    #[test]
    fn a_heartbeat_that_differs_is_offered_again() {
        let mut offer = Offer::new(Some(hash(2)));
        offer.handle_wanted(snapshot(2));
        assert_eq!(sent(&mut offer), None);

        offer.handle_running(Some(hash(1)));

        assert_eq!(sent(&mut offer), Some(hash(2)));
    }
}
