//! Cuts a frame from a TUN queue into packets, each with our datagram header in front and ready to send.

use super::{Gso, TCP_CHECKSUM, TCP_CWR, TCP_FIN, TCP_PSH, UDP_CHECKSUM, VIRTIO_HEADER_LEN, VirtioHeader};
use crate::checksum::{checksum, fold, sum};
use crate::datagram::{HEADROOM, Segment, ip_header};
use crate::packet::{Fragment, Packet, ParseError, TCP, UDP, be16, be32, put16};
use bytes::BytesMut;

/// Allocated at once when the pool is used up: 16 super-packets.
const POOL_BYTES: usize = 1 << 20;

/// Says why a frame cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Shorter than its headers.
    #[error("frame is cut off")]
    Truncated,
    /// A way to cut that was not asked for.
    #[error("unknown segmentation type {0}")]
    UnknownGso(u8),
    /// The virtio header does not fit the packet.
    #[error("virtio header contradicts the packet")]
    Contradiction,
    /// The packet is not one.
    #[error("packet cannot be read")]
    Packet(#[from] ParseError),
}

/// Cuts `frame` (virtio header and packet) and gives each packet to `out`, in order.
///
/// With `trust_inner_checksum` the TCP or UDP checksum is left out and the datagram says so: the AEAD covers the
/// packet on its way, and it saves 150 ns a packet.
pub fn split(
    frame: &[u8],
    pool: &mut BytesMut,
    trust_inner_checksum: bool,
    out: impl FnMut(Segment),
) -> Result<(), SplitError> {
    let header = VirtioHeader::parse(frame)?;
    let packet = &frame[VIRTIO_HEADER_LEN..];
    match header.gso {
        Gso::None => plain(&header, packet, pool, trust_inner_checksum, out),
        Gso::TcpV4 | Gso::TcpV6 | Gso::Udp => {
            Template::new(&header, packet)?.cut(pool, trust_inner_checksum, out);
            Ok(())
        }
    }
}

/// One ordinary packet: at most its checksum is missing.
fn plain(
    header: &VirtioHeader,
    packet: &[u8],
    pool: &mut BytesMut,
    trust: bool,
    mut out: impl FnMut(Segment),
) -> Result<(), SplitError> {
    let start = usize::from(header.checksum_start);
    let at = start + usize::from(header.checksum_offset);
    if packet.is_empty() {
        return Err(SplitError::Truncated);
    }
    if header.needs_checksum && at + 2 > packet.len() {
        return Err(SplitError::Contradiction);
    }
    let leave_out = header.needs_checksum && trust && receiver_finds_checksum(header, packet)?;
    reserve(pool, packet.len() + HEADROOM);
    pool.extend_from_slice(&ip_header(leave_out));
    pool.extend_from_slice(packet);
    if header.needs_checksum && !leave_out {
        // The field holds the pseudo-header's sum, so that summing from the transport header on gives all.
        let bytes = &mut pool[HEADROOM..];
        let value = checksum(&bytes[start..], 0);
        put16(bytes, at, if value == 0 { 0xffff } else { value });
    }
    out(Segment::from_framed(pool.split().freeze()));
    Ok(())
}

/// The receiver reads from the packet where the checksum is; that must be where our kernel says.
fn receiver_finds_checksum(header: &VirtioHeader, packet: &[u8]) -> Result<bool, SplitError> {
    let parsed = Packet::parse(packet)?;
    Ok(parsed.fragment == Fragment::Whole
        && parsed.l4_offset == header.checksum_start
        && checksum_offset(parsed.protocol) == Some(usize::from(header.checksum_offset)))
}

/// Returns where the checksum is in the transport header, for the protocols whose checksum may be left out.
#[inline]
pub(super) const fn checksum_offset(protocol: u8) -> Option<usize> {
    match protocol {
        TCP => Some(TCP_CHECKSUM),
        UDP => Some(UDP_CHECKSUM),
        _ => None,
    }
}

#[inline]
fn reserve(pool: &mut BytesMut, bytes: usize) {
    if pool.capacity() - pool.len() < bytes {
        pool.reserve(bytes.max(POOL_BYTES));
    }
}

/// Sums an IPv4 header with zeros for length, identification and checksum.
fn fixed_sum(header: &[u8]) -> u64 {
    let varying = u64::from(be16(header, 2)) + u64::from(be16(header, 4)) + u64::from(be16(header, 10));
    // Three times zero in ones' complement, so that nothing goes below it.
    sum(header, 0) + 3 * u64::from(u16::MAX) - varying
}

/// The headers that all segments of a super-packet share, and what differs.
struct Template<'a> {
    headers: &'a [u8],
    payload: &'a [u8],
    size: usize,
    l4: usize,
    is_v6: bool,
    is_tcp: bool,
    checksum_at: usize,
    /// The pseudo-header's sum but for the length.
    pseudo: u64,
    /// The sum of an IPv4 header but for what differs: length, identification and the checksum itself.
    ip_sum: u64,
    /// IPv4 identification of the first segment.
    identification: u16,
    sequence: u32,
}

impl<'a> Template<'a> {
    fn new(header: &VirtioHeader, packet: &'a [u8]) -> Result<Self, SplitError> {
        let parsed = Packet::parse(packet)?;
        let (protocol, is_v6) = match header.gso {
            Gso::TcpV4 => (TCP, false),
            Gso::TcpV6 => (TCP, true),
            Gso::Udp | Gso::None => (UDP, parsed.source.is_ipv6()),
        };
        let l4 = usize::from(parsed.l4_offset);
        let offset = checksum_offset(protocol).ok_or(SplitError::Contradiction)?;
        let fits = parsed.protocol == protocol
            && parsed.source.is_ipv6() == is_v6
            && parsed.fragment == Fragment::Whole
            && header.segment_size > 0
            && usize::from(header.checksum_start) == l4
            && usize::from(header.checksum_offset) == offset;
        if !fits {
            return Err(SplitError::Contradiction);
        }
        let is_tcp = protocol == TCP;
        let headers_len = if is_tcp { l4 + usize::from(packet[l4 + 12] >> 4) * 4 } else { l4 + 8 };
        let (headers, payload) = packet.split_at_checked(headers_len).ok_or(SplitError::Truncated)?;
        let addresses = if is_v6 { 8..40 } else { 12..20 };
        Ok(Self {
            headers,
            payload,
            size: usize::from(header.segment_size),
            l4,
            is_v6,
            is_tcp,
            checksum_at: l4 + offset,
            pseudo: sum(&headers[addresses], u64::from(protocol)),
            ip_sum: if is_v6 { 0 } else { fixed_sum(&headers[..l4]) },
            identification: be16(headers, 4),
            sequence: be32(headers, l4 + 4),
        })
    }

    fn cut(&self, pool: &mut BytesMut, trust: bool, mut out: impl FnMut(Segment)) {
        let count = self.payload.len().div_ceil(self.size).max(1);
        reserve(pool, self.payload.len() + count * (self.headers.len() + HEADROOM));
        let start = ip_header(trust);
        for index in 0..count {
            let from = index * self.size;
            let to = (from + self.size).min(self.payload.len());
            pool.extend_from_slice(&start);
            pool.extend_from_slice(self.headers);
            pool.extend_from_slice(&self.payload[from..to]);
            let bytes = &mut pool[HEADROOM..];
            self.finish_ip(bytes, index);
            self.finish_transport(bytes, from, index + 1 == count);
            self.finish_checksum(bytes, trust);
            out(Segment::from_framed(pool.split().freeze()));
        }
    }

    #[inline]
    fn finish_ip(&self, bytes: &mut [u8], index: usize) {
        let length = bytes.len();
        if self.is_v6 {
            put16(bytes, 4, (length - 40) as u16);
            return;
        }
        // Not summed over the bytes: loads that span what was just stored in pieces stall, and cost a tenth of all this.
        let identification = self.identification.wrapping_add(index as u16);
        put16(bytes, 2, length as u16);
        put16(bytes, 4, identification);
        put16(bytes, 10, !fold(self.ip_sum + length as u64 + u64::from(identification)));
    }

    #[inline]
    fn finish_transport(&self, bytes: &mut [u8], from: usize, is_last: bool) {
        let l4 = self.l4;
        if !self.is_tcp {
            let length = bytes.len() - l4;
            put16(bytes, l4 + 4, length as u16);
            return;
        }
        let sequence = self.sequence.wrapping_add(from as u32);
        bytes[l4 + 4..l4 + 8].copy_from_slice(&sequence.to_be_bytes());
        if !is_last {
            bytes[l4 + 13] &= !(TCP_FIN | TCP_PSH);
        }
        // RFC 3168 §6.1.2: the answer to one mark is one CWR.
        if from > 0 {
            bytes[l4 + 13] &= !TCP_CWR;
        }
    }

    #[inline]
    fn finish_checksum(&self, bytes: &mut [u8], trust: bool) {
        let pseudo = self.pseudo + (bytes.len() - self.l4) as u64;
        if trust {
            // What a kernel expects in a field that is still to be filled in: the pseudo-header's sum, not inverted.
            put16(bytes, self.checksum_at, fold(pseudo));
            return;
        }
        put16(bytes, self.checksum_at, 0);
        let value = checksum(&bytes[self.l4..], pseudo);
        // Zero would mean "none" (RFC 768), and adds the same as its complement.
        put16(bytes, self.checksum_at, if value == 0 { 0xffff } else { value });
    }
}
