//! A length of time as people write it: `90s`, `15m`, `12h`, `1h30m`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A length of time in whole seconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period {
    seconds: u32,
}

/// Text that is not a length of time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be numbers with the units h, m and s in this order, such as `90s`, `12h` or `1h30m`")]
pub struct PeriodError;

impl Period {
    /// The same rule for schemas; six digits a unit cannot overflow.
    pub const PATTERN: &'static str = "^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$";

    /// Returns a period of whole seconds.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self { seconds }
    }

    /// Returns its length in seconds.
    pub fn as_seconds(self) -> u32 {
        self.seconds
    }
}

impl FromStr for Period {
    type Err = PeriodError;
    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let (mut rest, mut seconds) = (text, 0_u32);
        for (unit, length, digits_max) in [('h', 3600, 5), ('m', 60, 6), ('s', 1, 6)] {
            let Some((number, tail)) = rest.split_once(unit) else { continue };
            if number.is_empty() || number.len() > digits_max || !number.bytes().all(|b| b.is_ascii_digit()) {
                return Err(PeriodError);
            }
            let number: u32 = number.parse().map_err(|_| PeriodError)?;
            let length = number.checked_mul(length).ok_or(PeriodError)?;
            seconds = seconds.checked_add(length).ok_or(PeriodError)?;
            rest = tail;
        }
        if text.is_empty() || !rest.is_empty() {
            return Err(PeriodError);
        }
        Ok(Self { seconds })
    }
}

impl TryFrom<String> for Period {
    type Error = PeriodError;
    fn try_from(text: String) -> Result<Self, PeriodError> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.seconds / 3600, self.seconds / 60 % 60, self.seconds % 60);
        for (number, unit) in [(hours, 'h'), (minutes, 'm')] {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        if seconds > 0 || self.seconds == 0 { write!(f, "{seconds}s") } else { Ok(()) }
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_and_written_in_their_shortest_form() {
        let cases = [
            ("12h", "12h"),
            ("90s", "1m30s"),
            ("1h30m", "1h30m"),
            ("0s", "0s"),
            ("90m", "1h30m"),
            ("0h1s", "1s"),
        ];
        for (text, shown) in cases {
            assert_eq!(text.parse::<Period>().expect("a period").to_string(), shown);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "5", "5 minutes", "-1h", "1e9h", "999999h", "1s1h", "h", "1.5h", "1h1h", "12h "] {
            assert_eq!(text.parse::<Period>(), Err(PeriodError), "{text}");
        }
    }
}
