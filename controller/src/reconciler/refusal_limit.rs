//! Which refusals become rows: strangers can cause them as fast as they can connect, and each row costs a sync of the
//! disk and pushes an older event out.
//!
//! A source's first few of a kind in a minute are recorded, the others are counted; the counts are told when the
//! minute is over. Memory is bounded by the rows of a minute.

use std::{collections::BTreeMap, net::IpAddr};

use horizon_node::door::host_of;

/// Refusals are counted over this time.
const WINDOW_MS: i64 = 60_000;
/// Enough to see what somebody tries.
const ROWS_PER_SOURCE: u32 = 5;
/// All sources together: the table of events lasts for half a day at this pace.
const ROWS_MAX: u32 = 120;

/// The refusals of one window.
#[derive(Debug, Default)]
pub(super) struct RefusalLimit {
    started_at_ms: i64,
    rows: u32,
    tallies: BTreeMap<Source, Tally>,
    /// Refused when all rows of the window were taken.
    elsewhere: u64,
}

/// Refusals that were counted and not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suppressed {
    /// `None`: from many.
    pub(super) remote: Option<IpAddr>,
    /// Empty: for many reasons.
    pub(super) reason: String,
    pub(super) count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Source {
    remote: Option<IpAddr>,
    reason: String,
}

#[derive(Debug, Default)]
struct Tally {
    recorded: u32,
    suppressed: u64,
}

impl RefusalLimit {
    /// Says whether a refusal is to be recorded, and counts it otherwise.
    pub(super) fn handle_refusal(&mut self, remote: Option<IpAddr>, reason: &str, now_ms: i64) -> bool {
        if self.is_empty() {
            self.started_at_ms = now_ms;
        }
        let source = Source { remote: remote.map(host_of), reason: reason.to_owned() };
        let recorded = self.tallies.get(&source).map_or(0, |tally| tally.recorded);
        if recorded == 0 && self.rows >= ROWS_MAX {
            self.elsewhere += 1;
            return false;
        }
        let tally = self.tallies.entry(source).or_default();
        if recorded >= ROWS_PER_SOURCE || self.rows >= ROWS_MAX {
            tally.suppressed += 1;
            return false;
        }
        tally.recorded += 1;
        self.rows += 1;
        true
    }

    /// Returns what was counted and not recorded, once the window is over.
    pub(super) fn poll_suppressed(&mut self, now_ms: i64) -> Vec<Suppressed> {
        // A clock that was set back must not keep a window open.
        let is_open = (self.started_at_ms..self.started_at_ms + WINDOW_MS).contains(&now_ms);
        if self.is_empty() || is_open {
            return vec![];
        }
        let ended = std::mem::take(self);
        let counted = ended.tallies.into_iter().filter(|(_, tally)| tally.suppressed > 0);
        let named = counted.map(|(source, tally)| Suppressed {
            remote: source.remote,
            reason: source.reason,
            count: tally.suppressed,
        });
        let others = Suppressed { remote: None, reason: String::new(), count: ended.elsewhere };
        named.chain((others.count > 0).then_some(others)).collect()
    }

    fn is_empty(&self) -> bool {
        self.tallies.is_empty() && self.elsewhere == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(number: u32) -> Option<IpAddr> {
        Some(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into())
    }

    #[test]
    fn first_refusals_of_a_source_are_recorded_and_the_others_counted() {
        let mut limit = RefusalLimit::default();

        let recorded = (0..100).filter(|_| limit.handle_refusal(from(1), "UnknownKey", 1_000)).count();
        let of_other_reason = limit.handle_refusal(from(1), "KeyExpired", 1_000);
        let of_other_source = limit.handle_refusal(from(2), "UnknownKey", 1_000);
        let during = limit.poll_suppressed(60_999);
        let after = limit.poll_suppressed(61_000);

        assert_eq!((recorded, of_other_reason, of_other_source), (5, true, true));
        assert_eq!(during, []);
        assert_eq!(after, [Suppressed { remote: from(1), reason: "UnknownKey".into(), count: 95 }]);
        assert!(limit.handle_refusal(from(1), "UnknownKey", 61_000));
    }

    #[test]
    fn many_sources_share_a_bound_of_rows_and_of_memory() {
        let mut limit = RefusalLimit::default();

        let recorded =
            (0..100_000).filter(|number| limit.handle_refusal(from(*number), "UnknownKey", 0)).count();

        assert_eq!(recorded, 120);
        assert_eq!(limit.tallies.len(), 120);
        let suppressed = limit.poll_suppressed(WINDOW_MS);
        assert_eq!(suppressed, [Suppressed { remote: None, reason: String::new(), count: 99_880 }]);
    }

    #[test]
    fn addresses_of_one_network_are_one_source() {
        let mut limit = RefusalLimit::default();
        let address = |host: u128| Some(std::net::Ipv6Addr::from_bits((0x2001_0db8 << 96) + host).into());

        let recorded = (0..50).filter(|host| limit.handle_refusal(address(*host), "UnknownKey", 0)).count();

        assert_eq!(recorded, 5);
    }

    #[test]
    fn clock_that_is_set_back_ends_the_window() {
        let mut limit = RefusalLimit::default();
        limit.handle_refusal(from(1), "UnknownKey", 1_000_000);

        limit.poll_suppressed(5);

        assert!(limit.is_empty());
    }
}
