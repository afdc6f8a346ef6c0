//! Joins consecutive packets of one flow into one super-packet, for one write to a TUN queue.
//!
//! A run keeps its first packet's headers; the others add their payload, gathered without a copy.
//! All but the last piece have the same size, because the kernel cuts by that size again, so a short packet ends the run.
//! A push does not: the super-packet pushes if any piece did (RFC 9293 §3.9.1.2 lets successive pushes be one), and its
//! sender ends every write with one. Nothing waits for more packets: the caller flushes when it has no more, so joining
//! adds no delay.

use super::split::checksum_offset;
use super::{Gso, TCP_ACK, TCP_ECE, TCP_PSH, UDP_CHECKSUM, VIRTIO_HEADER_LEN, VirtioHeader};
use crate::checksum::{checksum, fold, is_intact, sum};
use crate::packet::{Fragment, Packet, TCP, Transport, be16, be32, put16};
use bytes::{Buf, Bytes};

/// Pieces in a run: with virtio header and headers an I/O vector of 128 entries holds them.
pub const RUN_PACKETS_MAX: usize = 120;
/// A length in an IP header has 16 bits; some room is left for what kernels add. Linux cuts its own super-packets below
/// 65,216 bytes, so one that arrives whole leaves whole.
const RUN_BYTES_MAX: usize = 65_500;
/// IPv6 and the longest TCP header.
const HEADERS_MAX: usize = 100;

/// Takes the frames that a [`Coalescer`] makes.
pub trait FrameSink {
    /// Writes one frame: the virtio header, rebuilt IP and transport headers (empty for a lone packet), the parts.
    fn write(&mut self, header: &[u8; VIRTIO_HEADER_LEN], head: &[u8], parts: &[Bytes]);
}

/// What the pieces of a run have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    is_v6: bool,
    is_tcp: bool,
    lacks_checksum: bool,
    l4: usize,
    headers: usize,
}

/// The run that is being collected; its pieces are in [`Coalescer::pieces`].
#[derive(Debug, Clone, Copy)]
struct Run {
    shape: Shape,
    /// Payload of each piece but the last.
    size: usize,
    /// Length of the super-packet.
    total: usize,
    next_sequence: u32,
    /// Whether the first packet was found whole; checked when a second one comes.
    is_checked: bool,
    is_open: bool,
    is_pushed: bool,
}

/// Joins packets; see the module.
#[derive(Debug)]
pub struct Coalescer {
    pieces: Vec<Bytes>,
    run: Option<Run>,
    lone_header: [u8; VIRTIO_HEADER_LEN],
    joins_udp: bool,
}

impl Coalescer {
    /// Makes one; `joins_udp` says whether the kernel takes UDP super-packets (`TUN_F_USO4|6`, Linux 6.2).
    pub fn new(joins_udp: bool) -> Self {
        Self {
            pieces: Vec::with_capacity(RUN_PACKETS_MAX),
            run: None,
            lone_header: VirtioHeader::PLAIN.to_bytes(),
            joins_udp,
        }
    }

    /// Takes a packet (`bytes`, read as `packet`); writes what it cannot be joined to.
    ///
    /// `lacks_checksum`: its sender left the transport checksum out. A packet with a checksum is verified before it
    /// joins a run, so that one damaged before the tunnel is not made good.
    #[inline]
    pub fn push(&mut self, packet: &Packet, bytes: Bytes, lacks_checksum: bool, sink: &mut impl FrameSink) {
        let lacks_checksum = lacks_checksum
            && packet.fragment == Fragment::Whole
            && checksum_offset(packet.protocol).is_some();
        let shape = self.shape(packet, &bytes, lacks_checksum);
        if let Some(shape) = &shape
            && self.joins(shape, &bytes)
        {
            self.join(shape, bytes);
            return;
        }
        self.flush(sink);
        self.begin(packet, shape, bytes, lacks_checksum);
    }

    /// Writes what was collected.
    #[inline]
    pub fn flush(&mut self, sink: &mut impl FrameSink) {
        let Some(first) = self.pieces.first() else { return };
        match self.run.take() {
            Some(run) if self.pieces.len() > 1 => {
                let mut headers = [0; HEADERS_MAX];
                let head = &mut headers[..run.shape.headers];
                head.copy_from_slice(&first[..run.shape.headers]);
                let virtio = run.rebuild(head);
                self.pieces[0].advance(run.shape.headers);
                sink.write(&virtio.to_bytes(), head, &self.pieces);
            }
            Some(_) | None => sink.write(&self.lone_header, &[], &self.pieces),
        }
        self.pieces.clear();
    }

    #[inline]
    fn begin(&mut self, packet: &Packet, shape: Option<Shape>, bytes: Bytes, lacks_checksum: bool) {
        let offset = checksum_offset(packet.protocol).filter(|_| lacks_checksum);
        let virtio = offset.map_or(VirtioHeader::PLAIN, |offset| VirtioHeader {
            needs_checksum: true,
            checksum_start: packet.l4_offset,
            checksum_offset: offset as u16,
            ..VirtioHeader::PLAIN
        });
        self.lone_header = virtio.to_bytes();
        self.run = shape.map(|shape| Run::begin(shape, &bytes));
        self.pieces.push(bytes);
    }

    #[inline]
    fn join(&mut self, shape: &Shape, mut bytes: Bytes) {
        let Some(run) = &mut self.run else { return };
        let payload = bytes.len() - shape.headers;
        run.total += payload;
        run.next_sequence = run.next_sequence.wrapping_add(payload as u32);
        run.is_pushed |= shape.is_tcp && bytes[shape.l4 + 13] & TCP_PSH != 0;
        run.is_open = payload == run.size;
        bytes.advance(shape.headers);
        self.pieces.push(bytes);
    }

    /// Reads whether a packet may be in a run at all.
    #[inline]
    fn shape(&self, packet: &Packet, bytes: &[u8], lacks_checksum: bool) -> Option<Shape> {
        let l4 = usize::from(packet.l4_offset);
        let is_v6 = packet.source.is_ipv6();
        // No options, no extension headers, no fragment; of the IPv4 flags only "don't fragment".
        let is_simple = packet.fragment == Fragment::Whole
            && if is_v6 { l4 == 40 } else { l4 == 20 && be16(bytes, 6) & 0xbfff == 0 };
        let headers = match packet.transport {
            Transport::Tcp { flags, .. } if flags & !(TCP_PSH | TCP_ECE) == TCP_ACK => {
                l4 + usize::from(bytes[l4 + 12] >> 4) * 4
            }
            // A checksum of zero is none (RFC 768); a super-packet would get one.
            Transport::Udp { .. }
                if self.joins_udp
                    && usize::from(be16(bytes, l4 + 4)) == bytes.len() - l4
                    && (lacks_checksum || be16(bytes, l4 + UDP_CHECKSUM) != 0) =>
            {
                l4 + 8
            }
            Transport::Tcp { .. } | Transport::Udp { .. } | Transport::Icmp { .. } | Transport::Opaque => {
                return None;
            }
        };
        let is_tcp = packet.protocol == TCP;
        (is_simple && bytes.len() > headers).then_some(Shape { is_v6, is_tcp, lacks_checksum, l4, headers })
    }

    /// Tells whether a packet goes on where the run ends.
    #[inline]
    fn joins(&mut self, shape: &Shape, bytes: &[u8]) -> bool {
        let count = self.pieces.len();
        let (Some(run), Some(first)) = (&mut self.run, self.pieces.first()) else { return false };
        let payload = bytes.len() - shape.headers;
        if !run.is_open
            || run.shape != *shape
            || payload > run.size
            || run.total + payload > RUN_BYTES_MAX
            || count >= RUN_PACKETS_MAX
            || !continues(shape, run, count, first, bytes)
            || !shape.is_intact(bytes)
        {
            return false;
        }
        if !run.is_checked {
            run.is_checked = true;
            run.is_open = shape.is_intact(first);
        }
        run.is_open
    }
}

/// Same addresses, ports, traffic class, hop limit and options; for TCP also the next sequence number, the same
/// acknowledgement and window.
#[inline]
fn continues(shape: &Shape, run: &Run, count: usize, first: &[u8], next: &[u8]) -> bool {
    let same = |from: usize, to: usize| first[from..to] == next[from..to];
    let ip = if shape.is_v6 {
        same(0, 4) && same(6, 40)
    } else {
        let is_atomic = next[6] & 0x40 != 0;
        let expected = be16(first, 4).wrapping_add(count as u16);
        same(0, 2) && same(6, 10) && same(12, 20) && (is_atomic || be16(next, 4) == expected)
    };
    let l4 = shape.l4;
    ip && same(l4, l4 + 4)
        && (!shape.is_tcp
            || (be32(next, l4 + 4) == run.next_sequence
                && same(l4 + 8, l4 + 13)
                && (first[l4 + 13] ^ next[l4 + 13]) & !TCP_PSH == 0
                && same(l4 + 14, l4 + 16)
                && same(l4 + 18, shape.headers)))
}

impl Shape {
    /// Tells whether the checksums of a packet of this shape add up.
    #[inline]
    fn is_intact(&self, bytes: &[u8]) -> bool {
        (self.is_v6 || is_intact(&bytes[..20], 0))
            && (self.lacks_checksum
                || is_intact(&bytes[self.l4..], self.pseudo(bytes, bytes.len() - self.l4)))
    }

    #[inline]
    fn pseudo(&self, bytes: &[u8], length: usize) -> u64 {
        let (protocol, addresses) = if self.is_v6 { (bytes[6], 8..40) } else { (bytes[9], 12..20) };
        sum(&bytes[addresses], u64::from(protocol) + length as u64)
    }
}

impl Run {
    #[inline]
    fn begin(shape: Shape, bytes: &[u8]) -> Self {
        let size = bytes.len() - shape.headers;
        let is_pushed = shape.is_tcp && bytes[shape.l4 + 13] & TCP_PSH != 0;
        let sequence = if shape.is_tcp { be32(bytes, shape.l4 + 4) } else { 0 };
        Self {
            shape,
            size,
            total: bytes.len(),
            next_sequence: sequence.wrapping_add(size as u32),
            is_checked: false,
            is_open: true,
            is_pushed,
        }
    }

    /// Turns the first packet's headers into those of the super-packet.
    fn rebuild(&self, head: &mut [u8]) -> VirtioHeader {
        let shape = &self.shape;
        let l4_len = self.total - shape.l4;
        if shape.is_v6 {
            put16(head, 4, l4_len as u16);
        } else {
            put16(head, 2, self.total as u16);
            put16(head, 10, 0);
            let value = checksum(&head[..20], 0);
            put16(head, 10, value);
        }
        if !shape.is_tcp {
            put16(head, shape.l4 + 4, l4_len as u16);
        } else if self.is_pushed {
            head[shape.l4 + 13] |= TCP_PSH;
        }
        let protocol = if shape.is_v6 { head[6] } else { head[9] };
        let offset = checksum_offset(protocol).unwrap_or(UDP_CHECKSUM);
        let pseudo = fold(shape.pseudo(head, l4_len));
        put16(head, shape.l4 + offset, pseudo);
        VirtioHeader {
            needs_checksum: true,
            gso: match (shape.is_tcp, shape.is_v6) {
                (true, false) => Gso::TcpV4,
                (true, true) => Gso::TcpV6,
                (false, _) => Gso::Udp,
            },
            ecn: false,
            header_len: shape.headers as u16,
            segment_size: self.size as u16,
            checksum_start: shape.l4 as u16,
            checksum_offset: offset as u16,
        }
    }
}
