//! How long ago something was, coarse enough not to fidget.

const SECOND: u64 = 1000;
const RECENT: u64 = 5 * SECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Returns the age of a time, both in unix milliseconds of one clock. What is ahead of `now` is just now.
pub fn ago(now: u64, then: u64) -> String {
    let age = now.saturating_sub(then);
    let (count, unit) = match age {
        ..RECENT => return "just now".to_owned(),
        RECENT..MINUTE => (age / SECOND, "s"),
        MINUTE..HOUR => (age / MINUTE, "min"),
        HOUR..DAY => (age / HOUR, "h"),
        DAY.. => (age / DAY, "d"),
    };
    format!("{count} {unit} ago")
}

/// Returns how far ahead a time is. What has come is now.
pub fn ahead(now: u64, then: u64) -> String {
    let left = then.saturating_sub(now);
    let (count, unit) = match left {
        ..SECOND => return "now".to_owned(),
        SECOND..MINUTE => (left / SECOND, "s"),
        MINUTE..HOUR => (left / MINUTE, "min"),
        HOUR..DAY => (left / HOUR, "h"),
        DAY.. => (left / DAY, "d"),
    };
    format!("in {count} {unit}")
}

/// Returns [`ago`], or "never" for what was never seen.
pub fn last_seen(now: u64, then: Option<u64>) -> String {
    then.map_or_else(|| "never".to_owned(), |then| ago(now, then))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_grow_through_the_units() {
        let check = |age, expected: &str| assert_eq!(ago(10 * DAY + age, 10 * DAY), expected);

        check(0, "just now");
        check(4_999, "just now");
        check(5_000, "5 s ago");
        check(MINUTE, "1 min ago");
        check(HOUR - 1, "59 min ago");
        check(DAY, "1 d ago");
    }

    #[test]
    fn what_is_ahead_comes_nearer() {
        let check = |left, expected: &str| assert_eq!(ahead(DAY, DAY + left), expected);

        check(2 * DAY, "in 2 d");
        check(2 * HOUR, "in 2 h");
        check(MINUTE, "in 1 min");
        check(59 * SECOND, "in 59 s");
        check(999, "now");
        assert_eq!(ahead(2, 1), "now");
    }

    #[test]
    fn clock_ahead_is_just_now() {
        assert_eq!(ago(1, 2), "just now");
    }

    #[test]
    fn never_seen_says_so() {
        assert_eq!(last_seen(1, None), "never");
    }
}
