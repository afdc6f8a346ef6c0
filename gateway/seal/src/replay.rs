//! Which packets of a session came already: a window behind the highest counter (RFC 6479's idea of moving by words).

/// Counters behind the highest that are still told apart. A gateway's queue reorders a few hundred packets at most.
pub(crate) const WINDOW: u64 = 4096;
const WORD: u64 = 64;
/// One word more than the window: the word that is being filled.
const WORDS: usize = (WINDOW / WORD) as usize + 1;

/// The window. It moves only by [`Window::take`], which is called for packets whose seal was found intact.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The counter after the highest that came.
    next: u64,
    words: [u64; WORDS],
}

impl Window {
    pub(crate) const fn new() -> Self {
        Self { next: 0, words: [0; WORDS] }
    }

    /// Says whether a packet with this counter may still be taken.
    pub(crate) fn is_open_for(&self, counter: u64) -> bool {
        if counter >= self.next {
            return true;
        }
        self.next - counter <= WINDOW && self.words[word(counter)] & bit(counter) == 0
    }

    /// Takes a counter. Returns whether it was open.
    pub(crate) fn take(&mut self, counter: u64) -> bool {
        if !self.is_open_for(counter) {
            return false;
        }
        if counter >= self.next {
            self.move_to(counter);
        }
        self.words[word(counter)] |= bit(counter);
        true
    }

    fn move_to(&mut self, counter: u64) {
        let from = if self.next == 0 { 0 } else { (self.next - 1) / WORD + 1 };
        let to = counter / WORD;
        let first = from.max(to.saturating_sub(WORDS as u64 - 1));
        for index in first..=to {
            self.words[(index % WORDS as u64) as usize] = 0;
        }
        self.next = counter.saturating_add(1);
    }
}

fn word(counter: u64) -> usize {
    ((counter / WORD) % WORDS as u64) as usize
}

fn bit(counter: u64) -> u64 {
    1 << (counter % WORD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_came_does_not_come_again_in_any_order() {
        let mut window = Window::new();

        for counter in [0, 1, 5, 3, 4_000, 2, 4_095, 70] {
            assert!(window.take(counter), "{counter}");
            assert!(!window.take(counter), "{counter} again");
        }
    }

    #[test]
    fn what_is_behind_the_window_is_refused_and_what_is_in_it_is_not() {
        let mut window = Window::new();
        assert!(window.take(10_000));

        assert!(!window.is_open_for(10_000 - WINDOW));
        assert!(window.take(10_001 - WINDOW));
        assert!(window.take(u64::MAX - 1));
        assert!(!window.take(10_001));
    }

    #[test]
    fn it_agrees_with_a_list_of_all_that_came() {
        let (mut window, mut came, mut highest) = (Window::new(), BTreeSet::new(), 0u64);
        let mut state = 0x2545_f491_4f6c_dd1d_u64;

        for _ in 0..200_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let step = state % 6_000;
            let counter = (highest + 300).saturating_sub(step);
            let is_new = counter + WINDOW > highest && !came.contains(&counter);

            assert_eq!(window.take(counter), is_new, "{counter} of {highest}");
            came.insert(counter);
            highest = highest.max(counter);
        }
    }
}
