//! Weekly windows: when a rule has effect, by what the clocks of a zone show.
//!
//! An hour that clocks skip is in no window; one that they show twice is in a window both times.

use std::{fmt, str::FromStr};

use jiff::{
    Timestamp,
    civil::Weekday,
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

/// A part of each week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireWindow", into = "WireWindow")]
pub struct Window {
    days: Days,
    start_min: u16,
    end_min: u16,
    zone: Zone,
}

/// Why something is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error("a window needs a day")]
    NoDay,
    #[error("a window must start before its day ends, and not at minute {0}")]
    Start(u16),
    #[error("a window must end before a day does or with it, and not at minute {0}")]
    End(u16),
    #[error(transparent)]
    Zone(#[from] UnknownZone),
}

/// How a window travels.
#[derive(Serialize, Deserialize)]
struct WireWindow {
    /// One bit a day, Monday first.
    days: u8,
    start_min: u16,
    end_min: u16,
    zone: String,
}

/// Days of the week, one bit each, Monday first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Days(u8);

const DAYS: i64 = 7;
const MINUTES_OF_DAY: u16 = 24 * 60;
const SECONDS_OF_DAY: i64 = 24 * 60 * 60;

impl Window {
    /// Makes a window that starts on `days` at a minute of the day and ends at another, up to 1440. Where it would end
    /// at or before its start, it runs past midnight and belongs to the day on which it starts.
    ///
    /// # Errors
    /// When there is no day, or a minute is not one.
    pub fn new(days: &[Weekday], start_min: u16, end_min: u16, zone: Zone) -> Result<Self, WindowError> {
        let bits = days.iter().fold(0, |bits, day| bits | 1 << day.to_monday_zero_offset());
        Self { days: Days(bits), start_min, end_min, zone }.checked()
    }

    /// Returns whether it is open at a moment (unix seconds), and the second at which that may be another.
    pub fn at(&self, now: i64) -> (bool, i64) {
        // Timestamps reach further than any clock.
        let Ok(timestamp) = Timestamp::from_second(now) else { return (false, i64::MAX) };
        let offset_s = i64::from(self.zone.0.to_offset(timestamp).seconds());
        let shown = now + offset_s;
        let edge = self.next_edge(shown) - offset_s;
        // What the clocks show goes on steadily only until they are set.
        let set = self.zone.0.following(timestamp).next().map(|t| t.timestamp().as_second());
        (self.is_open(shown), set.map_or(edge, |set| set.min(edge)))
    }

    /// Returns the zone whose clocks are meant.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    fn checked(self) -> Result<Self, WindowError> {
        if self.days.0 == 0 || self.days.0 >> DAYS != 0 {
            Err(WindowError::NoDay)
        } else if self.start_min >= MINUTES_OF_DAY {
            Err(WindowError::Start(self.start_min))
        } else if self.end_min > MINUTES_OF_DAY {
            Err(WindowError::End(self.end_min))
        } else {
            Ok(self)
        }
    }

    fn is_open(&self, shown: i64) -> bool {
        let (day, second) = (shown.div_euclid(SECONDS_OF_DAY), shown.rem_euclid(SECONDS_OF_DAY));
        // One that started yesterday may still be open.
        [(day, second), (day - 1, second + SECONDS_OF_DAY)]
            .into_iter()
            .any(|(day, second)| self.days.contains(day) && self.seconds().contains(&second))
    }

    /// Returns the next second, as clocks show it, at which the window opens or closes.
    fn next_edge(&self, shown: i64) -> i64 {
        let today = shown.div_euclid(SECONDS_OF_DAY);
        let started = (today - 1..=today + DAYS).filter(|day| self.days.contains(*day));
        let seconds = self.seconds();
        let edges = started.flat_map(|day| [seconds.start, seconds.end].map(|at| day * SECONDS_OF_DAY + at));
        edges.filter(|edge| *edge > shown).min().expect("of any eight days one has a start, and it is later")
    }

    /// Returns from when to when it is open, in seconds of the day on which it starts.
    fn seconds(&self) -> std::ops::Range<i64> {
        let [start, end] = [self.start_min, self.end_min].map(|minute| i64::from(minute) * 60);
        if end <= start { start..end + SECONDS_OF_DAY } else { start..end }
    }
}

impl Days {
    /// Says whether a day, counted from 1970-01-01, is one of them. That was a Thursday.
    fn contains(self, day: i64) -> bool {
        self.0 >> (day + 3).rem_euclid(DAYS) & 1 == 1
    }
}

impl TryFrom<WireWindow> for Window {
    type Error = WindowError;
    fn try_from(wire: WireWindow) -> Result<Self, WindowError> {
        let WireWindow { days, start_min, end_min, zone } = wire;
        Self { days: Days(days), start_min, end_min, zone: zone.parse()? }.checked()
    }
}

impl From<Window> for WireWindow {
    fn from(window: Window) -> Self {
        let Window { days, start_min, end_min, zone } = window;
        Self { days: days.0, start_min, end_min, zone: zone.to_string() }
    }
}

/// A zone of the IANA database, whose data is inside the program.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A name that no zone has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone `{0}`")]
pub struct UnknownZone(pub String);

impl Zone {
    /// Returns the names of all zones.
    pub fn names() -> impl Iterator<Item = String> {
        TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect::<Vec<_>>().into_iter()
    }

    /// Returns what clocks of the zone show at a moment (unix seconds), such as `Sat 18:00`.
    pub fn shown(&self, at: i64) -> String {
        let at = Timestamp::from_second(at).unwrap_or(Timestamp::MAX).to_zoned(self.0.clone());
        at.strftime("%a %H:%M").to_string()
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;
    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| UnknownZone(name.to_owned()))?;
        // Its name is in the bytes that gateways compare by: one zone has one spelling.
        if zone.iana_name() == Some(name) { Ok(Self(zone)) } else { Err(UnknownZone(name.to_owned())) }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
