//! When a policy has its effect: weekly windows.

use serde::{Deserialize, Serialize};

use super::ClockTime;

/// A part of each week. One that ends at or before its start runs past midnight, from the day on which it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// The days on which it starts; every day when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "crd", schemars(length(max = 7)))]
    #[cfg_attr(feature = "crd", x_kube(merge_strategy = kube::core::ListMerge::Set))]
    pub days: Vec<Day>,
    /// When it starts, such as "08:00".
    #[cfg_attr(feature = "crd", schemars(with = "super::schema::DayTime"))]
    pub start: ClockTime,
    /// When it ends, such as "18:00"; "24:00" is the end of the day.
    #[cfg_attr(feature = "crd", schemars(with = "super::schema::DayTime"))]
    pub end: ClockTime,
    /// Whose clocks are meant: a zone of the IANA database, such as Europe/Berlin.
    #[serde(default = "time_zone_default")]
    #[cfg_attr(feature = "crd", schemars(with = "super::schema::TimeZone"))]
    pub time_zone: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// The one zone that means the same to everybody.
fn time_zone_default() -> String {
    "UTC".to_owned()
}
