//! All of a host that a gateway or an agent could change, to be compared before and after.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::namespace::Namespace;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// # Errors
    /// When a tool is missing.
    pub fn take(namespace: &Namespace) -> anyhow::Result<Self> {
        let mut seen = BTreeMap::new();
        for what in ["addr", "route show table all", "rule", "-6 route show table all", "-6 rule"] {
            let mut entries: Vec<String> = list(&namespace.ip(&format!("-j {what}"))?)?;
            entries.sort();
            seen.insert(format!("ip {what}"), entries.join("\n"));
        }
        seen.insert("nft".into(), without_handles(&namespace.run("nft -j list ruleset")?)?);
        let resolver = fs::read("/etc/resolv.conf").unwrap_or_default();
        seen.insert("resolv.conf".into(), String::from_utf8_lossy(&resolver).into_owned());
        let settings = namespace.enter(|| {
            let mut settings = BTreeMap::new();
            for folder in ["net/ipv4", "net/ipv6", "net/core"] {
                read_settings(folder, &mut settings);
            }
            settings
        })?;
        ensure!(settings.len() > 100, "the settings of the kernel cannot be read");
        seen.extend(settings);
        Ok(Self(seen))
    }

    /// Checks that nothing is different.
    ///
    /// # Errors
    /// What is.
    pub fn check_same(&self, after: &Self) -> anyhow::Result<()> {
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(after.0.keys()).collect();
        let changed: Vec<String> = names
            .into_iter()
            .filter(|name| self.0.get(*name) != after.0.get(*name))
            .map(|name| format!("{name}: {:?} became {:?}", self.0.get(name), after.0.get(name)))
            .collect();
        ensure!(changed.is_empty(), "the host is not as it was:\n{}", changed.join("\n"));
        Ok(())
    }

    /// Says whether our table, our interface or our setting is there.
    pub fn has_traces(&self) -> bool {
        let named = |name: &str, text: &str| self.0.get(name).is_some_and(|seen| seen.contains(text));
        named("nft", "horizon") || named("ip addr", "\"hzn")
    }
}

fn list(json: &str) -> anyhow::Result<Vec<String>> {
    let text = if json.trim().is_empty() { "[]" } else { json };
    let value: Value = serde_json::from_str(text).context("read what ip printed")?;
    Ok(value.as_array().context("no list")?.iter().map(ToString::to_string).collect())
}

/// A table that was made again comes last, with other handles.
fn without_handles(text: &str) -> anyhow::Result<String> {
    let mut value: Value = serde_json::from_str(text).context("read what nft printed")?;
    let entries = value["nftables"].as_array_mut().context("no list")?;
    for fields in entries.iter_mut().filter_map(Value::as_object_mut).flat_map(|entry| entry.values_mut()) {
        if let Some(fields) = fields.as_object_mut() {
            fields.remove("handle");
        }
    }
    let mut entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
    entries.sort();
    Ok(entries.join("\n"))
}

fn read_settings(key: &str, settings: &mut BTreeMap<String, String>) {
    let path = Path::new("/proc/sys").join(key);
    if let Ok(entries) = fs::read_dir(&path) {
        for entry in entries.flatten() {
            read_settings(&format!("{key}/{}", entry.file_name().to_string_lossy()), settings);
        }
    } else if let Ok(text) = fs::read_to_string(&path) {
        // Some, such as the secret of stable addresses, cannot be read at all.
        settings.insert(key.to_owned(), text.trim().to_owned());
    }
}
