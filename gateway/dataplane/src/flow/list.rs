//! Lists through the entries of a flow table, one a class, the longest silent first.

use super::entry::{Class, Entry};

/// No entry.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Lists {
    ends: [(u32, u32); Class::ALL.len()],
}

impl Lists {
    pub(super) const fn new() -> Self {
        Self { ends: [(NONE, NONE); Class::ALL.len()] }
    }

    /// Returns the entry that was silent for longest.
    #[inline]
    pub(super) const fn first(&self, class: Class) -> Option<u32> {
        match self.ends[class as usize].0 {
            NONE => None,
            place => Some(place),
        }
    }

    /// Puts an entry at the end of the list of its class.
    #[inline]
    pub(super) fn push(&mut self, entries: &mut [Entry], place: u32) {
        let entry = &mut entries[place as usize];
        let (first, last) = &mut self.ends[entry.listed as usize];
        entry.before = *last;
        entry.after = NONE;
        match *last {
            NONE => *first = place,
            before => entries[before as usize].after = place,
        }
        *last = place;
    }

    /// Takes an entry out of the list that it is in.
    #[inline]
    pub(super) fn remove(&mut self, entries: &mut [Entry], place: u32) {
        let Entry { listed, before, after, .. } = entries[place as usize];
        let (first, last) = &mut self.ends[listed as usize];
        match before {
            NONE => *first = after,
            before => entries[before as usize].after = after,
        }
        match after {
            NONE => *last = before,
            after => entries[after as usize].before = before,
        }
    }
}
