//! What is offered to one gateway: exactly one unacknowledged assignment, newest wins.

use horizon_api::section::ContentHash;

/// The state of one gateway's offers. Constant memory, however slow the gateway is.
#[derive(Debug, Default)]
pub struct Offer {
    wanted: Option<ContentHash>,
    in_flight: Option<ContentHash>,
    running: Option<ContentHash>,
    refused: Option<ContentHash>,
}

impl Offer {
    /// Begins with what the gateway says it runs.
    pub fn new(running: Option<ContentHash>) -> Self {
        Self { running, ..Self::default() }
    }

    /// There is a newer assignment (or none for this gateway).
    pub fn handle_wanted(&mut self, assignment: Option<ContentHash>) {
        self.wanted = assignment;
    }

    /// The gateway runs it.
    pub fn handle_ack(&mut self, assignment: ContentHash) {
        self.in_flight = None;
        self.running = Some(assignment);
        self.refused = None;
    }

    /// The gateway keeps the old one: the same is not offered again.
    pub fn handle_nack(&mut self) {
        self.refused = self.in_flight.take();
    }

    /// A heartbeat says what runs. What differs is offered again, unless an answer is still to come.
    pub fn handle_running(&mut self, assignment: Option<ContentHash>) {
        self.running = assignment;
    }

    /// Returns the assignment to send now, if any.
    pub fn poll_send(&mut self) -> Option<ContentHash> {
        let wanted = self.wanted?;
        if self.in_flight.is_some() || self.running == Some(wanted) || self.refused == Some(wanted) {
            return None;
        }
        self.in_flight = Some(wanted);
        Some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u8) -> ContentHash {
        ContentHash::of(&[n])
    }

    #[test]
    fn a_gateway_that_runs_it_already_is_left_alone() {
        let mut offer = Offer::new(Some(hash(1)));
        offer.handle_wanted(Some(hash(1)));

        assert_eq!(offer.poll_send(), None);
    }

    #[test]
    fn one_is_in_flight_and_the_newest_is_next() {
        let mut offer = Offer::new(None);
        offer.handle_wanted(Some(hash(1)));
        assert_eq!(offer.poll_send(), Some(hash(1)));

        offer.handle_wanted(Some(hash(2)));
        offer.handle_wanted(Some(hash(3)));
        assert_eq!(offer.poll_send(), None);

        offer.handle_ack(hash(1));
        assert_eq!(offer.poll_send(), Some(hash(3)));
    }

    #[test]
    fn what_was_refused_is_not_sent_again_until_it_changes() {
        let mut offer = Offer::new(Some(hash(1)));
        offer.handle_wanted(Some(hash(2)));
        assert_eq!(offer.poll_send(), Some(hash(2)));

        offer.handle_nack();
        assert_eq!(offer.poll_send(), None);

        offer.handle_wanted(Some(hash(3)));
        assert_eq!(offer.poll_send(), Some(hash(3)));
    }

    #[test]
    fn a_heartbeat_that_differs_is_offered_again() {
        let mut offer = Offer::new(Some(hash(2)));
        offer.handle_wanted(Some(hash(2)));
        assert_eq!(offer.poll_send(), None);

        offer.handle_running(Some(hash(1)));

        assert_eq!(offer.poll_send(), Some(hash(2)));
    }
}
