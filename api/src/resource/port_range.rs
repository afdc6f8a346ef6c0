//! A port or a range of ports as people write it: `445`, `8000-8010`.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use serde::{Deserialize, Serialize};

/// One or more consecutive ports, never empty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// Why text is not a range of ports.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortRangeError {
    #[error("must be a port from 1 to 65535 or a range such as `8000-8010`")]
    Syntax,
    #[error("the range runs backwards; write `{last}-{first}`")]
    Backwards { first: u16, last: u16 },
}

impl PortRange {
    /// The shape for schemas; the bounds are checked when it is read.
    pub const PATTERN: &'static str = "^[0-9]{1,5}(-[0-9]{1,5})?$";

    /// Returns the ports, both ends included.
    pub fn ports(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;
    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let port = |text: &str| match text.parse::<u16>() {
            Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
            Ok(_) | Err(_) => Err(PortRangeError::Syntax),
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(PortRangeError::Backwards { first, last });
        }
        Ok(Self { first, last })
    }
}

impl TryFrom<String> for PortRange {
    type Error = PortRangeError;
    fn try_from(text: String) -> Result<Self, PortRangeError> {
        text.parse()
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl fmt::Debug for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges_are_read() {
        assert_eq!("445".parse::<PortRange>().expect("a port").ports(), 445..=445);
        assert_eq!("8000-8010".parse::<PortRange>().expect("a range").ports(), 8000..=8010);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "0", "65536", "-1", "1-", "1-2-3", "+80", "http"] {
            assert_eq!(text.parse::<PortRange>(), Err(PortRangeError::Syntax), "{text}");
        }
        assert_eq!(
            "8010-8000".parse::<PortRange>(),
            Err(PortRangeError::Backwards { first: 8010, last: 8000 })
        );
    }
}
