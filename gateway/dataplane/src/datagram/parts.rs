//! Sends a packet that is too large for the path's datagrams in several.

use super::{CHANNEL_IP, FLAG_NO_CHECKSUM, FLAG_PART, LAST_PART, PART_HEADROOM, Segment};
use crate::drop_reason::DropReason;
use bytes::{BufMut, Bytes, BytesMut};

/// Parts of a packet at most: 9000 bytes fit over the smallest path that QUIC allows.
pub const PARTS_MAX: usize = 8;

/// Cuts a packet into datagrams of at most `datagram_max` bytes, about equal in size, and gives them to `out`.
///
/// `packet_id` is the link's count of such packets.
pub fn parts(
    segment: &Segment,
    datagram_max: usize,
    packet_id: u16,
    pool: &mut BytesMut,
    mut out: impl FnMut(Bytes),
) -> Result<(), DropReason> {
    let packet = segment.packet();
    let room = datagram_max.saturating_sub(PART_HEADROOM);
    if room == 0 || packet.len() > room * PARTS_MAX {
        return Err(DropReason::TooBig);
    }
    let count = packet.len().div_ceil(room).max(1);
    let size = packet.len().div_ceil(count).max(1);
    let flags = FLAG_PART | if segment.lacks_checksum() { FLAG_NO_CHECKSUM } else { 0 };
    pool.reserve(packet.len() + count * PART_HEADROOM);
    let mut chunks = packet.chunks(size).zip(0u8..).peekable();
    while let Some((chunk, index)) = chunks.next() {
        let place = index | if chunks.peek().is_none() { LAST_PART } else { 0 };
        let [high, low] = packet_id.to_be_bytes();
        pool.put_slice(&[CHANNEL_IP, flags, high, low, place]);
        pool.put_slice(chunk);
        out(pool.split().freeze());
    }
    Ok(())
}
