//! The IPv4 header (RFC 791).

use super::{Extent, Fragment, Packet, ParseError, TCP, be16, transport};
use std::net::{IpAddr, Ipv4Addr};

const HEADER_LEN: usize = 20;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;
/// Loose and strict source route: they change the destination on the way, past the verdict.
const SOURCE_ROUTES: [u8; 2] = [131, 137];

#[inline]
pub(super) fn read(bytes: &[u8], extent: Extent) -> Result<Packet, ParseError> {
    let header = bytes.first_chunk::<HEADER_LEN>().ok_or(ParseError::Truncated)?;
    let l4_offset = usize::from(header[0] & 15) * 4;
    let length = usize::from(be16(header, 2));
    if l4_offset < HEADER_LEN || length < l4_offset {
        return Err(ParseError::Field);
    }
    let bytes = match extent {
        Extent::Whole if length != bytes.len() => return Err(ParseError::Length),
        Extent::Whole => bytes,
        // Behind a quotation that is shorter than its padding there may be extensions (RFC 4884).
        Extent::Quoted => &bytes[..length.min(bytes.len())],
    };
    let options = bytes.get(HEADER_LEN..l4_offset).ok_or(ParseError::Truncated)?;
    if !options.is_empty() {
        check_options(options)?;
    }
    let protocol = header[9];
    let fragment = fragment(header, protocol, length - l4_offset)?;
    let transport = transport::read(protocol, &bytes[l4_offset..], fragment, extent)?;
    Ok(Packet {
        source: address(header, 12),
        destination: address(header, 16),
        protocol,
        transport,
        fragment,
        l4_offset: l4_offset as u16,
        length: length as u32,
    })
}

#[inline]
fn address(header: &[u8; HEADER_LEN], at: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]))
}

#[inline]
fn fragment(header: &[u8; HEADER_LEN], protocol: u8, payload: usize) -> Result<Fragment, ParseError> {
    let bits = be16(header, 6);
    let offset = bits & OFFSET_MASK;
    let identification = u32::from(be16(header, 4));
    if offset == 0 && bits & MORE_FRAGMENTS == 0 {
        return Ok(Fragment::Whole);
    }
    // Only the flags of a TCP header lie at offset 1, for somebody who wants to change them later (RFC 1858 §4),
    // and nothing may reach beyond the largest packet.
    let end = usize::from(offset) * 8 + payload;
    if (offset == 1 && protocol == TCP) || end > usize::from(u16::MAX) {
        return Err(ParseError::Field);
    }
    Ok(if offset == 0 { Fragment::First(identification) } else { Fragment::Later(identification) })
}

fn check_options(mut options: &[u8]) -> Result<(), ParseError> {
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            0 => return Ok(()),
            1 => options = rest,
            kind if SOURCE_ROUTES.contains(&kind) => return Err(ParseError::SourceRoute),
            _ => {
                let length = usize::from(*rest.first().ok_or(ParseError::Truncated)?);
                if length < 2 {
                    return Err(ParseError::Field);
                }
                options = options.get(length..).ok_or(ParseError::Truncated)?;
            }
        }
    }
    Ok(())
}
