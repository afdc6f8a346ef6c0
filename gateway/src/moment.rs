//! A moment as a person reads it.

/// Returns unix milliseconds as a date and a time of day in UTC.
pub(crate) fn moment(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| unix_ms.to_string(), |at| at.to_string())
}
