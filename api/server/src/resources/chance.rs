//! What must not be guessed, or must differ between clients.

use std::time::Duration;

use horizon_machinery::{
    generate_name,
    refusal::{Reason, Refusal},
};

/// How long a watch lasts whose client does not say, at least; at most twice as long. As on an API server, so that
/// watches that began together do not end together.
const WATCH_MIN: Duration = Duration::from_secs(30 * 60);

/// Returns the uid of a new object: a random UUID (RFC 9562 §5.4).
pub(super) fn uid() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// Returns what stands behind `metadata.generateName`.
pub(super) fn name_suffix() -> Result<String, Refusal> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(generate_name::suffix(bytes))
}

pub(super) fn watch_timeout() -> Result<Duration, Refusal> {
    let mut bytes = [0; 4];
    fill(&mut bytes)?;
    Ok(WATCH_MIN + WATCH_MIN.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)))
}

fn fill(bytes: &mut [u8]) -> Result<(), Refusal> {
    getrandom::fill(bytes).map_err(|error| {
        tracing::error!(%error, "read random bytes");
        Refusal::plain(500, Reason::InternalError, "Internal error occurred: there are no random bytes")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_has_its_form() {
        let (one, other) = (uid().unwrap(), uid().unwrap());
        assert_ne!(one, other);
        assert_eq!((one.len(), &one[14..15]), (36, "4"));

        let suffix = name_suffix().unwrap();
        assert!(
            suffix.len() == 5
                && suffix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        );
        assert!((WATCH_MIN..=2 * WATCH_MIN).contains(&watch_timeout().unwrap()));
    }
}
