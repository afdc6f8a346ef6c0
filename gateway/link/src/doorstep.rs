//! Who may begin a handshake: so much is bounded before anybody has shown a key that we know.

use std::{collections::HashMap, net::IpAddr};

/// Above so many links that are not accepted yet, a new one must first prove its address (a Retry, RFC 9000 §8.1.2).
const UNPROVEN_MAX: usize = 64;
/// Of one address, with room for an office behind one NAT whose devices all come back at once.
const FROM_ONE_ADDRESS_MAX: u32 = 256;
/// Links in all: an idle one costs about 48 KiB.
const LINKS_MAX: usize = 10_000;

/// What becomes of a first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accept,
    /// Ask for proof of the address.
    Retry,
    Refuse,
}

/// Counts the links that are not accepted yet. Between two recounts the count only grows, so it errs to the safe side.
#[derive(Debug, Default)]
pub(crate) struct Doorstep {
    waiting: usize,
    by_address: HashMap<IpAddr, u32>,
}

impl Doorstep {
    /// Decides about a first packet; `links` is how many there are in all, `can_retry` whether its address is unproven.
    pub(crate) fn answer(&self, from: IpAddr, links: usize, can_retry: bool) -> Answer {
        let of_address = self.by_address.get(&from).copied().unwrap_or(0);
        if links >= LINKS_MAX || of_address >= FROM_ONE_ADDRESS_MAX {
            Answer::Refuse
        } else if self.waiting >= UNPROVEN_MAX && can_retry {
            Answer::Retry
        } else {
            Answer::Accept
        }
    }

    /// A handshake begins.
    pub(crate) fn begin(&mut self, from: IpAddr) {
        self.waiting += 1;
        *self.by_address.entry(from).or_default() += 1;
    }

    /// Takes the addresses of all links that are still not accepted.
    pub(crate) fn recount(&mut self, waiting: impl Iterator<Item = IpAddr>) {
        self.waiting = 0;
        self.by_address.clear();
        for address in waiting {
            self.begin(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn many_that_wait_make_newcomers_prove_their_address() {
        let mut doorstep = Doorstep::default();
        for _ in 0..UNPROVEN_MAX {
            assert_eq!(doorstep.answer(A, 0, true), Answer::Accept);
            doorstep.begin(A);
        }
        assert_eq!(doorstep.answer(B, 0, true), Answer::Retry);
        assert_eq!(doorstep.answer(B, 0, false), Answer::Accept);
        doorstep.recount([A].into_iter());
        assert_eq!(doorstep.answer(B, 0, true), Answer::Accept);
    }

    #[test]
    fn one_address_does_not_take_the_whole_doorstep() {
        let mut doorstep = Doorstep::default();
        (0..FROM_ONE_ADDRESS_MAX).for_each(|_| doorstep.begin(A));
        assert_eq!(doorstep.answer(A, 0, false), Answer::Refuse);
        assert_eq!(doorstep.answer(B, 0, false), Answer::Accept);
        assert_eq!(doorstep.answer(B, LINKS_MAX, false), Answer::Refuse);
    }
}
