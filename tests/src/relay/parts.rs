//! Packets that are longer than a datagram: links carry them in parts, and who reads along joins those.

use std::collections::BTreeMap;

use bytes::Bytes;
use quinn::Connection;

/// Bytes in front of a packet: the channel and the flags.
pub(super) const HEADER: usize = 2;
/// And of a part: its packet's number and its place in it.
const PART_HEADER: usize = 5;
const PART: u8 = 2;
const LAST: u8 = 0x80;
/// Packets of which parts are missing; those of one that was lost stay.
const WAITING_MAX: usize = 64;

/// Puts packets together again.
#[derive(Default)]
pub(super) struct Joiner {
    waiting: BTreeMap<u16, Parts>,
}

#[derive(Default)]
struct Parts {
    parts: BTreeMap<u8, Vec<u8>>,
    last: Option<u8>,
}

impl Joiner {
    /// Takes a datagram of the channel of packets; returns the flags and the bytes of a packet that is whole by it.
    pub(super) fn push(&mut self, datagram: &[u8]) -> Option<(u8, Vec<u8>)> {
        let flags = *datagram.get(1).filter(|_| datagram[0] == 0)?;
        if flags & PART == 0 {
            return Some((flags, datagram[HEADER..].to_vec()));
        }
        let &[_, _, high, low, place] = datagram.first_chunk::<PART_HEADER>()?;
        let number = u16::from_be_bytes([high, low]);
        if self.waiting.len() >= WAITING_MAX && !self.waiting.contains_key(&number) {
            self.waiting.pop_first();
        }
        let waiting = self.waiting.entry(number).or_default();
        waiting.parts.insert(place & !LAST, datagram[PART_HEADER..].to_vec());
        if place & LAST != 0 {
            waiting.last = Some(place & !LAST);
        }
        let is_whole = waiting.last.is_some_and(|last| waiting.parts.len() == usize::from(last) + 1);
        if !is_whole {
            return None;
        }
        let whole = self.waiting.remove(&number)?;
        Some((flags & !PART, whole.parts.into_values().flatten().collect()))
    }
}

/// Sends a packet, in parts where it is longer than this path takes.
pub(super) fn send(to: &Connection, flags: u8, packet: &[u8], number: u16) {
    let room = to.max_datagram_size().unwrap_or_default().saturating_sub(PART_HEADER);
    if room == 0 {
        return;
    }
    // What a path does not take is lost, as on any other.
    if packet.len() <= room {
        drop(to.send_datagram(Bytes::from([&[0, flags], packet].concat())));
        return;
    }
    let mut chunks = packet.chunks(room).zip(0u8..).peekable();
    let [high, low] = number.to_be_bytes();
    while let Some((chunk, index)) = chunks.next() {
        let place = index | if chunks.peek().is_none() { LAST } else { 0 };
        drop(to.send_datagram(Bytes::from([&[0, flags | PART, high, low, place], chunk].concat())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_whole_when_no_part_is_missing() {
        let mut joiner = Joiner::default();

        assert_eq!(joiner.push(&[0, 1, 7, 7]), Some((1, vec![7, 7])));
        assert_eq!(joiner.push(&[0, 3, 0, 9, 0x81, 3, 4]), None);
        assert_eq!(joiner.push(&[0, 3, 0, 8, 0, 5]), None);
        assert_eq!(joiner.push(&[0, 3, 0, 9, 0, 1, 2]), Some((1, vec![1, 2, 3, 4])));
        assert_eq!(joiner.push(&[1, 0, 1, 2]), None, "no packet at all");
    }
}
