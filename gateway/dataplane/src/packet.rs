//! What one IP packet says about itself, read once and checked against the bytes that are there.
//!
//! A super-packet (up to 64 KiB of one flow) reads like any packet.
//! What is not understood stays what it is: an unknown protocol is that number without ports, never "any".

mod ipv4;
mod ipv6;
mod transport;

pub use transport::Transport;

use std::net::IpAddr;

/// Protocol number of ICMP for IPv4.
pub const ICMP: u8 = 1;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of ICMP for IPv6.
pub const ICMPV6: u8 = 58;

/// Describes one IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Who sent it, as it says.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// The protocol behind the IP header and all extension headers.
    pub protocol: u8,
    /// Ports, or type and identifier, where they are known.
    pub transport: Transport,
    /// Whether it is whole.
    pub fragment: Fragment,
    /// Where the transport header begins.
    pub l4_offset: u16,
    /// Its length in bytes, as its header says and as it is.
    pub length: u32,
}

/// Says which piece of a packet this is; the number is the identification that its pieces share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// All of it.
    Whole,
    /// The first piece, with the transport header.
    First(u32),
    /// A later piece: no ports.
    Later(u32),
}

/// Says why bytes are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Neither IPv4 nor IPv6.
    #[error("unknown IP version")]
    Version,
    /// A header reaches beyond the end.
    #[error("header is cut off")]
    Truncated,
    /// The length that the header states is not the length that arrived.
    #[error("stated length differs from the bytes that arrived")]
    Length,
    /// A field of a header has a value that it cannot have.
    #[error("header field out of range")]
    Field,
    /// More extension headers than any honest sender uses.
    #[error("too many extension headers")]
    TooManyHeaders,
    /// The packet asks to be sent elsewhere than its destination says.
    #[error("source routing")]
    SourceRoute,
}

/// How much of a packet must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Exactly what its header states.
    Whole,
    /// At least the ports: a quotation in an ICMP error.
    Quoted,
}

impl Packet {
    /// Reads a packet; `bytes` is all of it and nothing more.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::read(bytes, Extent::Whole)
    }

    /// Reads the beginning of a packet that an ICMP error quotes.
    pub fn parse_quoted(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::read(bytes, Extent::Quoted)
    }

    /// Returns the ports of a TCP or UDP packet, source first.
    #[inline]
    pub const fn ports(&self) -> Option<(u16, u16)> {
        match self.transport {
            Transport::Tcp { source, destination, .. } | Transport::Udp { source, destination } => {
                Some((source, destination))
            }
            Transport::Icmp { .. } | Transport::Opaque => None,
        }
    }

    /// Tells whether this is a piece without the transport header.
    #[inline]
    pub const fn is_later_fragment(&self) -> bool {
        matches!(self.fragment, Fragment::Later(_))
    }

    /// Tells whether this is an ICMP error, which quotes the packet that it is about (RFC 792, RFC 4443 §2.1).
    #[inline]
    pub const fn is_icmp_error(&self) -> bool {
        match self.transport {
            Transport::Icmp { kind, .. } if self.protocol == ICMP => matches!(kind, 3 | 4 | 11 | 12),
            Transport::Icmp { kind, .. } => kind < 128,
            Transport::Tcp { .. } | Transport::Udp { .. } | Transport::Opaque => false,
        }
    }

    /// Tells whether this can only begin a flow, never answer in one: a TCP SYN without ACK, an ICMP query.
    #[inline]
    pub const fn begins_flow(&self) -> bool {
        match self.transport {
            Transport::Tcp { flags, .. } => flags & (transport::SYN | transport::ACK) == transport::SYN,
            Transport::Icmp { kind, .. } if self.protocol == ICMP => matches!(kind, 8 | 13 | 15 | 17),
            Transport::Icmp { kind, .. } => kind == 128,
            Transport::Udp { .. } | Transport::Opaque => false,
        }
    }

    /// Tells whether this is a control message for one subnet only: redirects, router and neighbour discovery, MLD.
    #[inline]
    pub const fn is_link_scoped(&self) -> bool {
        match self.transport {
            Transport::Icmp { kind, .. } if self.protocol == ICMP => matches!(kind, 5 | 9 | 10),
            Transport::Icmp { kind, .. } => matches!(kind, 130..=137 | 141..=143 | 148 | 149 | 151..=153),
            Transport::Tcp { .. } | Transport::Udp { .. } | Transport::Opaque => false,
        }
    }

    /// Returns the packet that an ICMP error quotes.
    pub fn quoted(&self, bytes: &[u8]) -> Option<Self> {
        if !self.is_icmp_error() || self.fragment != Fragment::Whole {
            return None;
        }
        Self::parse_quoted(bytes.get(usize::from(self.l4_offset) + 8..)?).ok()
    }

    #[inline]
    fn read(bytes: &[u8], extent: Extent) -> Result<Self, ParseError> {
        match bytes.first().ok_or(ParseError::Truncated)? >> 4 {
            4 => ipv4::read(bytes, extent),
            6 => ipv6::read(bytes, extent),
            _ => Err(ParseError::Version),
        }
    }
}

/// Returns the big-endian word at an offset that the caller has checked.
#[inline]
pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Writes a big-endian word at an offset that the caller has checked.
#[inline]
pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Returns the big-endian double word at an offset that the caller has checked.
#[inline]
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests;
