//! Deterministic CBOR (RFC 8949 §4.2): one encoding of each value, because structs have fixed field order
//! and maps are `BTreeMap`s.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes are not the CBOR of the wanted type.
#[derive(Debug, thiserror::Error)]
#[error("bytes are not a valid {what}: {reason}")]
pub struct DecodeError {
    what: &'static str,
    reason: String,
}

/// Returns the CBOR of a value of one of our own types.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("writing our own types to memory cannot fail");
    bytes
}

/// Reads a value and refuses what follows it.
///
/// # Errors
/// When the bytes are cut, of another type, nested deeper than ciborium's limit, or longer than the value.
pub fn decode<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, DecodeError> {
    let what = std::any::type_name::<T>().rsplit("::").next().unwrap_or("value");
    let value = ciborium::from_reader(&mut bytes).map_err(|e| DecodeError { what, reason: e.to_string() })?;
    if bytes.is_empty() {
        Ok(value)
    } else {
        Err(DecodeError { what, reason: format!("{} bytes follow it", bytes.len()) })
    }
}
