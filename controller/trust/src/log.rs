//! The newest challenges of one server, and what they come to.

use std::{collections::VecDeque, time::Duration};

/// How many challenges of a server are kept: some hours.
pub const KEPT: usize = 256;

/// A challenge as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unix milliseconds: when it was over.
    pub at_ms: i64,
    pub latency: Duration,
    /// What is wrong with the answer.
    pub failure: Option<String>,
}

/// Challenges of one server, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log(VecDeque<Entry>);

/// What the log comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub challenges: usize,
    pub answered: usize,
    /// Of the answers that were good.
    pub latency_p50: Duration,
    pub latency_max: Duration,
}

impl Log {
    /// Takes entries from the oldest on.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut log = Self::default();
        entries.into_iter().for_each(|entry| log.add(entry));
        log
    }

    pub fn add(&mut self, entry: Entry) {
        self.0.push_back(entry);
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// Returns the entries, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().rev()
    }

    pub fn figures(&self) -> Figures {
        let mut latencies: Vec<_> =
            self.0.iter().filter(|entry| entry.failure.is_none()).map(|entry| entry.latency).collect();
        latencies.sort_unstable();
        Figures {
            challenges: self.0.len(),
            answered: latencies.len(),
            latency_p50: latencies.get(latencies.len() / 2).copied().unwrap_or_default(),
            latency_max: latencies.last().copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at_ms: i64, ms: u64, failure: Option<&str>) -> Entry {
        Entry { at_ms, latency: Duration::from_millis(ms), failure: failure.map(str::to_owned) }
    }

    #[test]
    fn figures_are_of_what_is_kept_and_latencies_of_good_answers() {
        let log = Log::new([
            entry(1, 5, None),
            entry(2, 9, None),
            entry(3, 10_000, Some("silent")),
            entry(4, 1, None),
        ]);

        let Figures { challenges, answered, latency_p50, latency_max } = log.figures();

        assert_eq!((challenges, answered), (4, 3));
        assert_eq!((latency_p50.as_millis(), latency_max.as_millis()), (5, 9));
        assert_eq!(Log::default().figures(), Figures::default());
    }

    #[test]
    fn the_oldest_goes() {
        let kept = i64::try_from(KEPT).expect("small");
        let log = Log::new((0..kept + 10).map(|at| entry(at, 1, None)));

        assert_eq!(log.figures().challenges, KEPT);
        assert_eq!(log.newest().next().map(|entry| entry.at_ms), Some(kept + 9));
        assert_eq!(log.newest().last().map(|entry| entry.at_ms), Some(10));
    }
}
