//! Kernel settings under `/proc/sys`, of the network namespace of the calling thread.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use horizon_dataplane::apply::{Setting, SysctlKey};

/// Why a kernel setting could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SysctlError {
    #[error("this host has no sysctl {0}")]
    Missing(SysctlKey),
    #[error("read sysctl {key}")]
    Read { key: SysctlKey, source: io::Error },
    #[error("write sysctl {key}")]
    Write { key: SysctlKey, source: io::Error },
}

/// Reads a setting, with the values that the kernel would change along with it.
///
/// # Errors
/// When the host has no such setting.
pub fn read(key: &SysctlKey) -> Result<Setting, SysctlError> {
    let value = value_of(key)?.ok_or_else(|| SysctlError::Missing(key.clone()))?;
    let beside = if key.is_forwarding() { set_along_with(key, &value) } else { BTreeMap::new() };
    Ok(Setting { value, beside })
}

/// Writes a setting, then the values beside it; what has its value already is left alone.
///
/// # Errors
/// When the kernel refuses; a value beside that is gone (of an interface that left) is no error.
pub fn write(key: &SysctlKey, setting: &Setting) -> Result<(), SysctlError> {
    if value_of(key)?.ok_or_else(|| SysctlError::Missing(key.clone()))? != setting.value {
        write_value(key, &setting.value)?;
    }
    for (key, value) in &setting.beside {
        if value_of(key)?.is_some_and(|is| is != *value) {
            write_value(key, value)?;
        }
    }
    Ok(())
}

/// Returns the settings that let a host forward; put all of them into the wanted state.
///
/// A host that learned its IPv6 default route from a router loses it once it forwards,
/// unless the interface is told to go on listening (`accept_ra=2`).
#[must_use]
pub fn forwarding(family: Family) -> BTreeMap<SysctlKey, String> {
    let on = |key| (key, "1".to_owned());
    match family {
        Family::Ipv4 => BTreeMap::from([on(SysctlKey::ipv4_forwarding())]),
        Family::Ipv6 => {
            let mut keys = BTreeMap::from([on(SysctlKey::ipv6_forwarding())]);
            keys.extend(listening_interfaces().into_iter().map(|key| (key, "2".to_owned())));
            keys
        }
    }
}

/// An IP version whose forwarding is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ipv4,
    Ipv6,
}

/// What turning a forwarding switch back would not restore: interfaces that differ from the switch,
/// and for IPv4 the redirects, which the kernel sets to the opposite of the switch.
fn set_along_with(switch: &SysctlKey, value: &str) -> BTreeMap<SysctlKey, String> {
    let is_ipv4 = *switch == SysctlKey::ipv4_forwarding();
    let family = if is_ipv4 { "ipv4" } else { "ipv6" };
    let mut followers = interface_keys(family, "forwarding");
    // `all` is the switch itself.
    followers.retain(|key| key.as_str() != format!("net.{family}.conf.all.forwarding"));
    let mut beside = others(followers, value);
    if is_ipv4 {
        let redirects = "net.ipv4.conf.all.accept_redirects".parse();
        beside.extend(others(redirects, if value == "0" { "1" } else { "0" }));
    }
    beside
}

/// The settings that exist and have another value, with theirs.
fn others(keys: impl IntoIterator<Item = SysctlKey>, value: &str) -> BTreeMap<SysctlKey, String> {
    let pairs = keys.into_iter().filter_map(|key| Some((value_of(&key).ok()??, key)));
    pairs.filter(|(is, _)| is != value).map(|(is, key)| (key, is)).collect()
}

/// The interfaces that take their default route from a router, by the key that says so.
fn listening_interfaces() -> Vec<SysctlKey> {
    let reads = |key: &SysctlKey, value: &str| matches!(value_of(key), Ok(Some(is)) if is == value);
    let is_listening = |key: &SysctlKey| {
        let forwarding = key.as_str().replace(".accept_ra", ".forwarding").parse();
        reads(key, "2") || (reads(key, "1") && forwarding.is_ok_and(|key| reads(&key, "0")))
    };
    let is_interface = |key: &SysctlKey| {
        let templates = ["all", "default", "lo"].map(|name| format!("net.ipv6.conf.{name}.accept_ra"));
        !templates.iter().any(|template| template == key.as_str())
    };
    interface_keys("ipv6", "accept_ra").into_iter().filter(is_interface).filter(is_listening).collect()
}

/// The keys of one setting of all interfaces.
fn interface_keys(family: &str, setting: &str) -> Vec<SysctlKey> {
    let folder = Path::new(ROOT).join("net").join(family).join("conf");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let name_of = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    entries
        .filter_map(name_of)
        .filter_map(|name| format!("net.{family}.conf.{}.{setting}", name.replace('.', "/")).parse().ok())
        .collect()
}

fn value_of(key: &SysctlKey) -> Result<Option<String>, SysctlError> {
    match fs::read_to_string(path_of(key)) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SysctlError::Read { key: key.clone(), source }),
    }
}

fn write_value(key: &SysctlKey, value: &str) -> Result<(), SysctlError> {
    fs::write(path_of(key), value).map_err(|source| SysctlError::Write { key: key.clone(), source })
}

fn path_of(key: &SysctlKey) -> PathBuf {
    Path::new(ROOT).join(key.path())
}

const ROOT: &str = "/proc/sys";
