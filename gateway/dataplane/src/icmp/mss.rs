//! Lowers the MSS that a TCP SYN offers to what the way carries, so that no segment has to be refused later.

use crate::checksum::update;
use crate::packet::{Fragment, Packet, Transport, be16, put16};

const SYN: u8 = 0x02;
const TCP_HEADER_LEN: usize = 20;
const OPTION_END: u8 = 0;
const OPTION_NOTHING: u8 = 1;
const OPTION_MSS: u8 = 2;

/// What the checksum field of a packet holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// All of it.
    Full,
    /// The pseudo-header's part, which options do not change.
    Partial,
}

/// Lowers the MSS of a SYN (`bytes`, read as `packet`) for a way of `mtu` bytes; tells whether it changed something.
///
/// A SYN without the option stays as it is: its default of 536 or 1220 bytes fits everywhere (RFC 9293 §3.7.1).
pub fn clamp_mss(bytes: &mut [u8], packet: &Packet, mtu: u16, held: Checksum) -> bool {
    let Transport::Tcp { flags, .. } = packet.transport else { return false };
    if flags & SYN == 0 || packet.fragment != Fragment::Whole {
        return false;
    }
    let l4 = usize::from(packet.l4_offset);
    let Some(at) = find_mss(bytes, l4) else { return false };
    let headers = if packet.source.is_ipv4() { 40 } else { 60 };
    let (old, limit) = (be16(bytes, at), mtu.saturating_sub(headers));
    if old <= limit {
        return false;
    }
    put16(bytes, at, limit);
    if held == Checksum::Full {
        let checksum_at = l4 + 16;
        let sum = shifted_update(be16(bytes, checksum_at), (at - l4) % 2 == 1, old, limit);
        put16(bytes, checksum_at, sum);
    }
    true
}

/// A word at an odd offset lies in two words of the sum: its bytes count the other way round.
const fn shifted_update(sum: u16, is_odd: bool, old: u16, new: u16) -> u16 {
    if is_odd { update(sum, old.swap_bytes(), new.swap_bytes()) } else { update(sum, old, new) }
}

/// Returns where the value of the MSS option is.
fn find_mss(bytes: &[u8], l4: usize) -> Option<usize> {
    let header_len = usize::from(bytes.get(l4 + 12)? >> 4) * 4;
    let end = l4 + header_len;
    let mut at = l4 + TCP_HEADER_LEN;
    while at < end {
        match *bytes.get(at)? {
            OPTION_END => return None,
            OPTION_NOTHING => at += 1,
            kind => {
                let length = usize::from(*bytes.get(at + 1)?);
                if length < 2 || at + length > end.min(bytes.len()) {
                    return None;
                }
                if kind == OPTION_MSS && length == 4 {
                    return Some(at + 2);
                }
                at += length;
            }
        }
    }
    None
}
