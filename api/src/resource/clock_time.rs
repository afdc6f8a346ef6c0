//! A time of day as people write it: `08:00`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A minute of a day, up to the end of it: `00:00` to `24:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClockTime {
    minutes: u16,
}

/// Text that is not a time of day.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a time from 00:00 to 24:00, such as `08:30`")]
pub struct ClockTimeError;

impl ClockTime {
    /// The same rule for schemas, but for minutes after 24:00.
    pub const PATTERN: &'static str = "^([01][0-9]|2[0-4]):[0-5][0-9]$";
    /// Minutes of a day: the end of it as a [`ClockTime`].
    const DAY: u16 = 24 * 60;

    /// Returns the minutes since the day began, 0 to 1440.
    pub fn minutes(self) -> u16 {
        self.minutes
    }
}

impl FromStr for ClockTime {
    type Err = ClockTimeError;
    fn from_str(text: &str) -> Result<Self, ClockTimeError> {
        let digits = |text: &str| match text.as_bytes() {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                Ok(u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
            }
            _ => Err(ClockTimeError),
        };
        let (hours, minutes) = text.split_once(':').ok_or(ClockTimeError)?;
        let (hours, minutes) = (digits(hours)?, digits(minutes)?);
        let total = hours * 60 + minutes;
        if minutes > 59 || total > Self::DAY {
            return Err(ClockTimeError);
        }
        Ok(Self { minutes: total })
    }
}

impl TryFrom<String> for ClockTime {
    type Error = ClockTimeError;
    fn try_from(text: String) -> Result<Self, ClockTimeError> {
        text.parse()
    }
}

impl From<ClockTime> for String {
    fn from(time: ClockTime) -> Self {
        time.to_string()
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

impl fmt::Debug for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, minutes) in [("00:00", 0), ("08:30", 510), ("23:59", 1439), ("24:00", 1440)] {
            let time: ClockTime = text.parse().expect("a time");

            assert_eq!((time.minutes(), time.to_string().as_str()), (minutes, text));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "8:00", "08:60", "24:01", "25:00", "08:00:00", "0800", "+8:00", "08:0x"] {
            assert_eq!(text.parse::<ClockTime>(), Err(ClockTimeError), "{text}");
        }
    }
}
