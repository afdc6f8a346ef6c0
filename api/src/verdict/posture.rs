//! What a device says of itself, and what a rule may demand of that.
//!
//! It is self-reported: it finds the laptop that was forgotten at an update, and no attacker who has root on it. What
//! nobody said is not known, and what is not known opens nothing: no Allow takes it for a yes, no Deny for a no.

use std::{cmp::Ordering, collections::BTreeSet};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Action, Selector};

/// What a device says of itself. Empty texts say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Posture {
    /// The system by its os-release, such as `debian`.
    pub os: SmolStr,
    /// Its version, such as `12` or `24.04`.
    pub os_version: SmolStr,
    pub kernel: SmolStr,
    /// Such as `x86_64`.
    pub architecture: SmolStr,
    /// Version of the agent.
    pub agent: SmolStr,
    pub disk: DiskEncryption,
}

/// Whether the system's file system lies on an encrypted device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DiskEncryption {
    Encrypted,
    Unencrypted,
    /// The device cannot tell.
    #[default]
    Unknown,
}

/// What a rule demands: everything of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Demand {
    /// Any of these systems; any at all when empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub os: BTreeSet<SmolStr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version_at_least: Option<SmolStr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_encrypted: Option<bool>,
}

/// A selector, of those only who state what is demanded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stated {
    pub who: Selector,
    pub demand: Demand,
}

/// How a statement meets a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    Unmet,
    /// It does not say.
    Unknown,
    Met,
}

impl Demand {
    /// Returns how a statement, or none, meets it: as badly as its worst part.
    pub fn fit(&self, stated: Option<&Posture>) -> Fit {
        let Some(posture) = stated else { return Fit::Unknown };
        let parts = [self.fit_os(posture), self.fit_version(posture), self.fit_disk(posture)];
        parts.into_iter().min().unwrap_or(Fit::Met)
    }

    /// Returns whether a rule with this demand is about somebody: an Allow about those who meet it, a Deny about all
    /// but those who say that they do not.
    pub fn concerns(&self, stated: Option<&Posture>, action: Action) -> bool {
        match action {
            Action::Allow => self.fit(stated) == Fit::Met,
            Action::Deny => self.fit(stated) != Fit::Unmet,
        }
    }

    fn fit_os(&self, posture: &Posture) -> Fit {
        match (self.os.is_empty(), posture.os.is_empty()) {
            (true, _) => Fit::Met,
            (false, true) => Fit::Unknown,
            (false, false) => met_if(self.os.contains(&posture.os)),
        }
    }

    fn fit_version(&self, posture: &Posture) -> Fit {
        let Some(least) = &self.os_version_at_least else { return Fit::Met };
        match compare_versions(&posture.os_version, least) {
            None => Fit::Unknown,
            Some(order) => met_if(order != Ordering::Less),
        }
    }

    fn fit_disk(&self, posture: &Posture) -> Fit {
        let Some(wanted) = self.disk_encrypted else { return Fit::Met };
        match posture.disk {
            DiskEncryption::Unknown => Fit::Unknown,
            DiskEncryption::Encrypted => met_if(wanted),
            DiskEncryption::Unencrypted => met_if(!wanted),
        }
    }
}

/// Says what it demands, for people.
impl std::fmt::Display for Demand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let os: Vec<_> = self.os.iter().map(SmolStr::as_str).collect();
        let os = (!os.is_empty()).then(|| os.join(" or "));
        let version = self.os_version_at_least.as_ref().map(|least| format!("version {least} or later"));
        let disk =
            self.disk_encrypted.map(|wanted| if wanted { "disk encrypted" } else { "disk not encrypted" });
        let parts: Vec<_> = [os, version, disk.map(str::to_owned)].into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

/// Says what is known, for people.
impl std::fmt::Display for Posture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let system = [&self.os, &self.os_version].map(SmolStr::as_str).join(" ");
        let system = if system.trim().is_empty() { "system unknown" } else { system.trim() };
        let disk = match self.disk {
            DiskEncryption::Encrypted => "disk encrypted",
            DiskEncryption::Unencrypted => "disk not encrypted",
            DiskEncryption::Unknown => "disk encryption unknown",
        };
        let kernel = [&self.kernel, &self.architecture].map(SmolStr::as_str).join(" ");
        let kernel = Some(kernel.trim()).filter(|text| !text.is_empty()).map(|text| format!("kernel {text}"));
        let agent = Some(&self.agent).filter(|agent| !agent.is_empty()).map(|agent| format!("agent {agent}"));
        let parts = [Some(system.to_owned()), Some(disk.to_owned()), kernel, agent];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

fn met_if(is_met: bool) -> Fit {
    if is_met { Fit::Met } else { Fit::Unmet }
}

/// Compares numbers between dots, where a number that is not there is 0; nothing for what is no such version.
fn compare_versions(one: &str, other: &str) -> Option<Ordering> {
    let numbers =
        |text: &str| text.split('.').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
    let (mut one, mut other) = (numbers(one)?, numbers(other)?);
    let length = one.len().max(other.len());
    one.resize(length, 0);
    other.resize(length, 0);
    Some(one.cmp(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian(version: &str, disk: DiskEncryption) -> Posture {
        Posture { os: "debian".into(), os_version: version.into(), disk, ..Posture::default() }
    }

    fn demand(os: &[&str], least: Option<&str>, disk: Option<bool>) -> Demand {
        Demand {
            os: os.iter().map(SmolStr::new).collect(),
            os_version_at_least: least.map(SmolStr::new),
            disk_encrypted: disk,
        }
    }

    #[test]
    fn demand_is_met_by_all_of_it() {
        let full = demand(&["debian", "ubuntu"], Some("12"), Some(true));
        let cases = [
            (debian("12", DiskEncryption::Encrypted), Fit::Met),
            (debian("12.5", DiskEncryption::Encrypted), Fit::Met),
            (debian("11.9", DiskEncryption::Encrypted), Fit::Unmet),
            (debian("12", DiskEncryption::Unencrypted), Fit::Unmet),
            (debian("12", DiskEncryption::Unknown), Fit::Unknown),
            (debian("sid", DiskEncryption::Encrypted), Fit::Unknown),
            // What is wrong is wrong, whatever else is not known.
            (debian("11", DiskEncryption::Unknown), Fit::Unmet),
            (Posture { os: "fedora".into(), ..debian("40", DiskEncryption::Encrypted) }, Fit::Unmet),
            (Posture { os: "".into(), ..debian("12", DiskEncryption::Encrypted) }, Fit::Unknown),
        ];
        for (posture, expected) in cases {
            assert_eq!(full.fit(Some(&posture)), expected, "{posture:?}");
        }
    }

    #[test]
    fn who_states_nothing_is_allowed_nothing_and_denied_everything() {
        for demand in
            [demand(&["debian"], None, None), demand(&[], None, Some(true)), demand(&[], None, Some(false))]
        {
            for stated in [None, Some(&Posture::default())] {
                assert!(!demand.concerns(stated, Action::Allow), "{demand}");
                assert!(demand.concerns(stated, Action::Deny), "{demand}");
            }
        }
    }

    #[test]
    fn versions_are_numbers_and_not_texts() {
        let order = |one, other| compare_versions(one, other);

        assert_eq!(order("9", "12"), Some(Ordering::Less));
        assert_eq!(order("24.04", "22.10"), Some(Ordering::Greater));
        assert_eq!(order("12.0", "12"), Some(Ordering::Equal));
        assert_eq!(order("", "12"), None);
        assert_eq!(order("12a", "12"), None);
    }

    #[test]
    fn later_words_of_a_device_are_read_as_far_as_they_are_known() {
        let bytes = crate::cbor::encode(
            &[("os", "debian"), ("secure_boot", "yes")]
                .into_iter()
                .collect::<std::collections::BTreeMap<_, _>>(),
        );

        let read: Posture = crate::cbor::decode(&bytes).expect("readable");

        assert_eq!((read.os.as_str(), read.disk), ("debian", DiskEncryption::Unknown));
    }
}
