//! Packets that no honest kernel would make.

use std::net::Ipv4Addr;

/// An ICMP echo request.
pub fn echo_request(from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    let mut echo = [8, 0, 0, 0, 0, 1, 0, 1];
    let sum = checksum(&echo);
    echo[2..4].copy_from_slice(&sum);
    packet.extend(echo);
    packet
}

/// Says whether a packet is an ICMP echo reply from this address.
pub fn is_echo_reply(packet: &[u8], from: Ipv4Addr) -> bool {
    packet.len() >= 28 && packet[9] == 1 && packet[12..16] == from.octets() && packet[20] == 0
}

/// RFC 1071 section 1.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let [.., high, low] = (!(folded + (folded >> 16))).to_be_bytes();
    [high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_a_request_come_out_as_zero() {
        let packet = echo_request([10, 0, 0, 1].into(), [10, 0, 0, 2].into());

        assert_eq!(checksum(&packet[..20]), [0, 0]);
        assert_eq!(checksum(&packet[20..]), [0, 0]);
    }
}
