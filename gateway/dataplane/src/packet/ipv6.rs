//! The IPv6 header and its extension headers (RFC 8200 §4), walked with a bound.

use super::{Extent, Fragment, Packet, ParseError, be16, be32, transport};
use std::net::{IpAddr, Ipv6Addr};

const HEADER_LEN: usize = 40;
/// RFC 8200 §4.1 lists seven, one of them twice.
const EXTENSIONS_MAX: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// What stands behind all extension headers.
struct Chain {
    protocol: u8,
    l4_offset: usize,
    fragment: Fragment,
}

#[inline]
pub(super) fn read(bytes: &[u8], extent: Extent) -> Result<Packet, ParseError> {
    let header = bytes.first_chunk::<HEADER_LEN>().ok_or(ParseError::Truncated)?;
    let length = HEADER_LEN + usize::from(be16(header, 4));
    let bytes = match extent {
        Extent::Whole if length != bytes.len() => return Err(ParseError::Length),
        Extent::Whole => bytes,
        Extent::Quoted => &bytes[..length.min(bytes.len())],
    };
    let chain = walk(bytes, header[6])?;
    let l4 = &bytes[chain.l4_offset..];
    Ok(Packet {
        source: address(header, 8),
        destination: address(header, 24),
        protocol: chain.protocol,
        transport: transport::read(chain.protocol, l4, chain.fragment, extent)?,
        fragment: chain.fragment,
        l4_offset: chain.l4_offset as u16,
        length: length as u32,
    })
}

#[inline]
fn address(header: &[u8; HEADER_LEN], at: usize) -> IpAddr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&header[at..at + 16]);
    IpAddr::V6(Ipv6Addr::from(octets))
}

#[inline]
fn walk(bytes: &[u8], first: u8) -> Result<Chain, ParseError> {
    let mut chain = Chain { protocol: first, l4_offset: HEADER_LEN, fragment: Fragment::Whole };
    for place in 0..=EXTENSIONS_MAX {
        // Behind the header of a later fragment there is payload, whatever it looks like.
        if matches!(chain.fragment, Fragment::Later(_)) {
            return Ok(chain);
        }
        let length = match chain.protocol {
            HOP_BY_HOP if place > 0 => return Err(ParseError::Field),
            HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS => {
                extension(bytes, &mut chain)?
            }
            _ => return Ok(chain),
        };
        chain.l4_offset += length;
    }
    Err(ParseError::TooManyHeaders)
}

/// Takes one extension header into the chain and returns its length.
fn extension(bytes: &[u8], chain: &mut Chain) -> Result<usize, ParseError> {
    let rest = &bytes[chain.l4_offset..];
    let start = rest.first_chunk::<8>().ok_or(ParseError::Truncated)?;
    let length = match chain.protocol {
        FRAGMENT => 8,
        AUTHENTICATION => (usize::from(start[1]) + 2) * 4,
        _ => (usize::from(start[1]) + 1) * 8,
    };
    if length > rest.len() {
        return Err(ParseError::Truncated);
    }
    // With segments left the destination is only the next stop (RFC 5095 for type 0).
    if chain.protocol == ROUTING && start[3] != 0 {
        return Err(ParseError::SourceRoute);
    }
    if chain.protocol == FRAGMENT {
        chain.fragment = fragment(start, chain.fragment, rest.len() - 8)?;
    }
    chain.protocol = start[0];
    Ok(length)
}

fn fragment(start: &[u8; 8], before: Fragment, payload: usize) -> Result<Fragment, ParseError> {
    let offset = usize::from(be16(start, 2) & 0xfff8);
    let more = start[3] & 1 != 0;
    if before != Fragment::Whole || offset + payload > usize::from(u16::MAX) {
        return Err(ParseError::Field);
    }
    let identification = be32(start, 4);
    Ok(match (offset, more) {
        // An atomic fragment is a whole packet (RFC 6946).
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First(identification),
        _ => Fragment::Later(identification),
    })
}
