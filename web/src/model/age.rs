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

/// Returns the age of a moment as the resource API writes it; nothing for what is none.
pub fn age_of(now: u64, text: &str) -> String {
    unix_ms(text).map(|at| ago(now, at)).unwrap_or_default()
}

/// Reads a moment such as `2026-01-31T18:00:00Z`; parts of a second do not matter here. A library for it would be a tenth
/// of the page.
fn unix_ms(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, between: char| -> Option<[u64; 3]> {
        let numbers: Option<Vec<u64>> = text.split(between).map(|part| part.parse().ok()).collect();
        numbers?.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split('.').next()?, ':')?;
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March end with the day that leap years add.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days - DAYS_TO_1970) * DAY + hour * HOUR + minute * MINUTE + second * SECOND)
}

/// From the first of March of the year 0.
const DAYS_TO_1970: u64 = 719_468;

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

/// Returns when something ends: in a while, or by somebody's word alone.
pub fn ends(now: u64, until: u64) -> String {
    if until == 0 { "ends when it is released".to_owned() } else { format!("ends {}", ahead(now, until)) }
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
        assert_eq!((ends(1, 0), ends(0, HOUR)), ("ends when it is released".into(), "ends in 1 h".into()));
    }

    #[test]
    fn moments_of_the_resource_api_have_an_age() {
        assert_eq!(age_of(HOUR + 5 * MINUTE, "1970-01-01T01:00:00Z"), "5 min ago");
        assert_eq!(age_of(HOUR, "soon"), "");
        for (text, days) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00.5Z", 11_016),
            ("2024-03-01T00:00:00Z", 19_783),
            ("2026-12-31T00:00:00Z", 20_818),
        ] {
            assert_eq!(unix_ms(text), Some(days * DAY), "{text}");
        }
        for text in ["2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "1969-12-31T00:00:00Z", "2026-01T1Z"] {
            assert_eq!(unix_ms(text), None, "{text}");
        }
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
