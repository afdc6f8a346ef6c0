//! Frames: four bytes of big-endian length, then one CBOR value.

use serde::{Serialize, de::DeserializeOwned};

use crate::cbor;

/// A frame of a link that was not accepted yet.
pub const BYTES_MAX_UNACCEPTED: usize = 64 << 10;
/// A frame of an accepted link; a section of 16 MiB is some 100,000 rules.
pub const BYTES_MAX: usize = 16 << 20;
/// The length in front of each frame.
pub const PREFIX_BYTES: usize = 4;

/// Why bytes are not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {bytes} bytes is over the limit of {bytes_max}")]
    TooLong { bytes: usize, bytes_max: usize },
    #[error(transparent)]
    Decode(#[from] cbor::DecodeError),
}

/// Returns a message with its length in front.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let body = cbor::encode(message);
    let length = u32::try_from(body.len()).expect("our own frames are below 16 MiB");
    [&length.to_be_bytes()[..], &body].concat()
}

/// Reads the length in front of a frame.
///
/// # Errors
/// [`FrameError::TooLong`] when it is over `bytes_max`: nothing is allocated for it.
pub fn body_bytes(prefix: [u8; PREFIX_BYTES], bytes_max: usize) -> Result<usize, FrameError> {
    let bytes = u32::from_be_bytes(prefix) as usize;
    if bytes > bytes_max { Err(FrameError::TooLong { bytes, bytes_max }) } else { Ok(bytes) }
}

/// Collects the bytes of a stream into frames, for readers that cannot wait.
#[derive(Debug, Default)]
pub struct FrameReader {
    bytes: Vec<u8>,
}

impl FrameReader {
    /// Takes bytes as they arrive.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next whole frame.
    ///
    /// # Errors
    /// When it is too long or not a `T`: the stream cannot be read further.
    pub fn next_frame<T: DeserializeOwned>(&mut self, bytes_max: usize) -> Result<Option<T>, FrameError> {
        let Some(prefix) = self.bytes.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let end = PREFIX_BYTES + body_bytes(*prefix, bytes_max)?;
        if self.bytes.len() < end {
            return Ok(None);
        }
        let message = cbor::decode(&self.bytes[PREFIX_BYTES..end])?;
        self.bytes.drain(..end);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let stream = [encode(&"one"), encode(&"two")].concat();
        for chunk in 1..stream.len() {
            let mut reader = FrameReader::default();
            let mut read = Vec::new();

            for part in stream.chunks(chunk) {
                reader.push(part);
                while let Some(text) = reader.next_frame::<String>(64).expect("valid") {
                    read.push(text);
                }
            }

            assert_eq!(read, ["one", "two"]);
        }
    }

    #[test]
    fn an_oversized_frame_is_refused_by_its_length_alone() {
        let mut reader = FrameReader::default();
        reader.push(&[0, 1, 0, 0]);

        assert!(matches!(reader.next_frame::<String>(64), Err(FrameError::TooLong { bytes: 65_536, .. })));
    }

    #[test]
    fn an_unknown_message_is_refused_by_name() {
        #[derive(Debug, serde::Deserialize)]
        enum Known {
            Hello,
        }
        let mut reader = FrameReader::default();
        reader.push(&encode(&"Goodbye"));

        let error = reader.next_frame::<Known>(64).expect_err("unknown").to_string();

        assert!(error.contains("Goodbye"), "{error}");
    }
}
