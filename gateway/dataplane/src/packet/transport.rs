//! The beginning of TCP, UDP and ICMP headers: what a verdict and a flow need of them.

use super::{Extent, Fragment, ICMP, ICMPV6, ParseError, TCP, UDP, be16};

pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;

/// What is known about the protocol above IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP, with the byte of flags.
    Tcp { source: u16, destination: u16, flags: u8 },
    /// UDP.
    Udp { source: u16, destination: u16 },
    /// ICMP or ICMPv6; queries and their answers have an identifier.
    Icmp { kind: u8, code: u8, id: Option<u16> },
    /// Any other protocol, or a later fragment.
    Opaque,
}

#[inline]
pub(super) fn read(
    protocol: u8,
    l4: &[u8],
    fragment: Fragment,
    extent: Extent,
) -> Result<Transport, ParseError> {
    if matches!(fragment, Fragment::Later(_)) {
        return Ok(Transport::Opaque);
    }
    match protocol {
        TCP => read_tcp(l4, extent),
        UDP => read_udp(l4, fragment, extent),
        ICMP | ICMPV6 => read_icmp(protocol, l4),
        _ => Ok(Transport::Opaque),
    }
}

#[inline]
fn read_tcp(l4: &[u8], extent: Extent) -> Result<Transport, ParseError> {
    // An ICMP error need not quote more than 8 bytes (RFC 792).
    let flags = match extent {
        Extent::Whole => {
            let header = l4.first_chunk::<20>().ok_or(ParseError::Truncated)?;
            let length = usize::from(header[12] >> 4) * 4;
            if length < 20 {
                return Err(ParseError::Field);
            }
            // Nor may a first fragment leave a part of the header to the next (RFC 1858, RFC 7112).
            if length > l4.len() {
                return Err(ParseError::Truncated);
            }
            header[13]
        }
        Extent::Quoted => 0,
    };
    let header = l4.first_chunk::<8>().ok_or(ParseError::Truncated)?;
    Ok(Transport::Tcp { source: be16(header, 0), destination: be16(header, 2), flags })
}

#[inline]
fn read_udp(l4: &[u8], fragment: Fragment, extent: Extent) -> Result<Transport, ParseError> {
    let header = l4.first_chunk::<8>().ok_or(ParseError::Truncated)?;
    let length = usize::from(be16(header, 4));
    if length < 8 {
        return Err(ParseError::Field);
    }
    if extent == Extent::Whole && fragment == Fragment::Whole && length > l4.len() {
        return Err(ParseError::Length);
    }
    Ok(Transport::Udp { source: be16(header, 0), destination: be16(header, 2) })
}

#[inline]
fn read_icmp(protocol: u8, l4: &[u8]) -> Result<Transport, ParseError> {
    let header = l4.first_chunk::<8>().ok_or(ParseError::Truncated)?;
    let kind = header[0];
    // Echo, and for IPv4 also timestamp, information and address mask.
    let is_query = match protocol {
        ICMP => matches!(kind, 0 | 8 | 13..=18),
        _ => matches!(kind, 128 | 129),
    };
    Ok(Transport::Icmp { kind, code: header[1], id: is_query.then(|| be16(header, 4)) })
}
