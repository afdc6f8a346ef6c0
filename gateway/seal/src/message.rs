//! The three messages, as they stand behind an IP header between two devices.
//!
//! | bytes | initiation | response | data |
//! |---|---|---|---|
//! | 1 | 1 | 2 | 3 |
//! | 3 | zero | zero | zero |
//! | 4 | the sender's index | the sender's index | the receiver's index |
//! | | | 4: the receiver's index | 8: counter |
//! | | 2: length of the offer, and the offer | | |
//! | rest | the first Noise message | the second | sealed bytes |
//!
//! Numbers are little-endian, as in Noise. An offer is the sender's suites by name, with commas between.

use crate::handshake::Refused;

const INITIATION: u8 = 1;
const RESPONSE: u8 = 2;
const DATA: u8 = 3;

/// Bytes in front of what is sealed.
pub(crate) const DATA_HEADER: usize = 16;
const TAG: usize = 16;
/// Bytes that sealing adds.
pub const OVERHEAD: usize = DATA_HEADER + TAG;
/// Bytes that can be sealed: what IP says of the length of a packet has 16 bits, and an IPv6 header stands in front.
pub(crate) const PLAIN_BYTES_MAX: usize = 0xffff - 40 - OVERHEAD;
const RESPONSE_HEADER: usize = 12;
const INITIATION_HEADER: usize = 10;
const OFFER_BYTES_MAX: usize = 600;

/// A message, as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Initiation { sender: u32, offer: Vec<String>, noise: &'a [u8] },
    Response { sender: u32, receiver: u32, noise: &'a [u8] },
    Data { receiver: u32, counter: u64, sealed: &'a [u8] },
}

/// Returns how long so many bytes are once they are sealed.
pub const fn sealed_len(plain_bytes: usize) -> usize {
    plain_bytes + OVERHEAD
}

impl<'a> Message<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Refused> {
        let [kind, 0, 0, 0] = *bytes.first_chunk::<4>().ok_or(Refused::Malformed)? else {
            return Err(Refused::Malformed);
        };
        let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let word = |at| word(at).ok_or(Refused::Malformed);
        match kind {
            INITIATION => {
                let length = bytes.get(8..INITIATION_HEADER).ok_or(Refused::Malformed)?;
                let length = usize::from(length[0]) | usize::from(length[1]) << 8;
                let rest = &bytes[INITIATION_HEADER..];
                let (offer, noise) = rest.split_at_checked(length).ok_or(Refused::Malformed)?;
                Ok(Self::Initiation { sender: word(4)?, offer: read_offer(offer)?, noise })
            }
            RESPONSE => {
                let noise = bytes.get(RESPONSE_HEADER..).ok_or(Refused::Malformed)?;
                Ok(Self::Response { sender: word(4)?, receiver: word(8)?, noise })
            }
            DATA => {
                let header = bytes.first_chunk::<DATA_HEADER>().ok_or(Refused::Malformed)?;
                let [.., a, b, c, d, e, f, g, h] = *header;
                let counter = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
                Ok(Self::Data { receiver: word(4)?, counter, sealed: &bytes[DATA_HEADER..] })
            }
            _ => Err(Refused::Malformed),
        }
    }
}

fn read_offer(bytes: &[u8]) -> Result<Vec<String>, Refused> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refused::Malformed)?;
    if text.len() > OFFER_BYTES_MAX {
        return Err(Refused::Malformed);
    }
    Ok(text.split(',').map(str::to_owned).collect())
}

pub(crate) fn initiation(sender: u32, offer: &[String], noise: &[u8]) -> Vec<u8> {
    let offer = offer.join(",");
    let length = u16::try_from(offer.len()).expect("a card's suites have 520 bytes at most");
    let (sender, length) = (sender.to_le_bytes(), length.to_le_bytes());
    [&[INITIATION, 0, 0, 0][..], &sender, &length, offer.as_bytes(), noise].concat()
}

pub(crate) fn response(sender: u32, receiver: u32, noise: &[u8]) -> Vec<u8> {
    [&[RESPONSE, 0, 0, 0][..], &sender.to_le_bytes(), &receiver.to_le_bytes(), noise].concat()
}

pub(crate) fn data_header(receiver: u32, counter: u64) -> [u8; DATA_HEADER] {
    let mut header = [0; DATA_HEADER];
    header[0] = DATA;
    header[4..8].copy_from_slice(&receiver.to_le_bytes());
    header[8..].copy_from_slice(&counter.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_their_bytes() {
        let offer = vec!["a".to_owned(), "b".to_owned()];
        let bytes = initiation(7, &offer, b"noise");
        assert_eq!(Message::parse(&bytes), Ok(Message::Initiation { sender: 7, offer, noise: b"noise" }));
        let bytes = response(7, 9, b"noise");
        assert_eq!(Message::parse(&bytes), Ok(Message::Response { sender: 7, receiver: 9, noise: b"noise" }));
        let bytes = [&data_header(9, 1 << 40)[..], b"sealed"].concat();
        let data = Message::Data { receiver: 9, counter: 1 << 40, sealed: b"sealed" };
        assert_eq!(Message::parse(&bytes), Ok(data));
    }

    #[test]
    fn nothing_that_is_cut_is_read_beyond_its_end() {
        let whole = initiation(7, &["suite".to_owned()], b"noise");
        for length in 0..whole.len() {
            drop(Message::parse(&whole[..length]));
        }
        for kind in 0..=255 {
            for length in 0..20 {
                let mut bytes = vec![0; length];
                if let Some(first) = bytes.first_mut() {
                    *first = kind;
                }
                drop(Message::parse(&bytes));
            }
        }
        assert_eq!(Message::parse(&[INITIATION, 0, 0, 0, 1, 0, 0, 0, 255, 255]), Err(Refused::Malformed));
    }
}
