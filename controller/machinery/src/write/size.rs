//! How large an object may be that is stored. A body is bounded, but patches and applies add to what is there: labels,
//! finalizers, owners of fields.

use std::io;

use serde_json::Value;

use crate::refusal::Refusal;

/// The largest object that is stored, as JSON, in bytes: what etcd takes from an API server (its `--max-request-bytes`).
pub const OBJECT_BYTES_MAX: usize = 1_572_864;

/// Checks that an object may be stored.
///
/// # Errors
/// 413 for one that is larger than [`OBJECT_BYTES_MAX`].
pub(super) fn check(object: &Value) -> Result<(), Refusal> {
    // A value is always JSON: what fails is the room.
    serde_json::to_writer(Room(OBJECT_BYTES_MAX), object).map_err(|_| {
        Refusal::too_large(format!(
            "Request entity too large: limit is {OBJECT_BYTES_MAX} bytes for a stored object as JSON, with \
             metadata.managedFields; take something out of it, or write under fewer field managers"
        ))
    })
}

/// Takes bytes until their count is used up, and forgets them.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::WriteZero)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_measured_to_the_byte() {
        let frame = json!({"a": ""}).to_string().len();
        let of = |bytes: usize| json!({"a": "x".repeat(bytes - frame)});

        assert_eq!(check(&of(OBJECT_BYTES_MAX)), Ok(()));
        assert_eq!(check(&of(OBJECT_BYTES_MAX + 1)).unwrap_err().code, 413);
    }
}
