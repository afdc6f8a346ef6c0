//! How long ago something was, as `kubectl` shows it: `45s`, `5m30s`, `3h`, `2d4h`, `400d`, `3y`
//! (`apimachinery/pkg/util/duration`, HumanDuration).

use jiff::Timestamp;

/// Returns how long ago a moment (RFC 3339) was.
pub fn of(moment: &str, now: Timestamp) -> String {
    match moment.parse::<Timestamp>() {
        Ok(moment) => human((now.as_millisecond() - moment.as_millisecond()) / 1000),
        Err(_) => INVALID.to_owned(),
    }
}

const INVALID: &str = "<invalid>";

/// Returns a number of seconds as people read it: two units while the second one matters.
fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    match seconds {
        // Two clocks may differ by a second.
        ..-1 => INVALID.to_owned(),
        -1..0 => "0s".to_owned(),
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => pair(days, "d", hours % 24, "h"),
        _ if days < 365 * 2 => format!("{days}d"),
        _ if days < 365 * 8 => pair(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

fn pair(first: i64, unit: &str, second: i64, smaller: &str) -> String {
    if second == 0 { format!("{first}{unit}") } else { format!("{first}{unit}{second}{smaller}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_those_of_kubectl() {
        let (minute, hour, day, year) = (60, 3600, 86_400, 31_536_000);
        for (seconds, expected) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (2 * minute, "2m"),
            (9 * minute + 59, "9m59s"),
            (10 * minute + 5, "10m"),
            (179 * minute, "179m"),
            (3 * hour, "3h"),
            (7 * hour + 59 * minute, "7h59m"),
            (47 * hour, "47h"),
            (2 * day + 4 * hour, "2d4h"),
            (8 * day, "8d"),
            (729 * day, "729d"),
            (2 * year, "2y"),
            (2 * year + day, "2y1d"),
            (9 * year + day, "9y"),
        ] {
            assert_eq!(human(seconds), expected, "{seconds}");
        }
        let now: Timestamp = "2026-11-28T18:00:00Z".parse().unwrap();
        assert_eq!(of("2026-11-28T19:58:30+02:00", now), "90s");
        assert_eq!(of("soon", now), "<invalid>");
    }
}
