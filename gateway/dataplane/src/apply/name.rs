//! Names that reach the kernel or a rule text: parsed once, so that no name can carry syntax.

use std::fmt;
use std::str::FromStr;

/// The name of a network interface: what the kernel accepts, without what a rule text would misread.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

/// The key of a kernel setting under `net.`, with dots between its parts.
///
/// A dot inside a part (`eth0.5`) is written as a slash, as `sysctl` does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SysctlKey(String);

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("interface name `{0}` is not 1 to 15 letters, digits, `-`, `_` or `.`")]
    Interface(String),
    #[error("sysctl key `{0}` is not `net.` and parts of letters, digits, `-` and `_` joined by dots")]
    Sysctl(String),
}

impl InterfaceName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InterfaceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        // The kernel keeps 16 bytes with the closing zero, and refuses `.` and `..`.
        let fits = (1..=15).contains(&text.len()) && text != "." && text != "..";
        // A name that starts with a dash would be read as an option.
        if fits && !text.starts_with('-') && text.bytes().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Interface(text.to_owned()))
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SysctlKey {
    /// Returns the switch that lets the host forward IPv4.
    #[must_use]
    pub fn ipv4_forwarding() -> Self {
        Self("net.ipv4.ip_forward".to_owned())
    }

    /// Returns the switch that lets the host forward IPv6.
    #[must_use]
    pub fn ipv6_forwarding() -> Self {
        Self("net.ipv6.conf.all.forwarding".to_owned())
    }

    /// Returns the key of a setting of one interface, such as `rp_filter`.
    ///
    /// # Errors
    /// When `setting` is not one plain word.
    pub fn of_interface(family: &str, name: &InterfaceName, setting: &str) -> Result<Self, NameError> {
        format!("net.{family}.conf.{}.{setting}", name.as_str().replace('.', "/")).parse()
    }

    /// Returns the key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path of the key below `/proc/sys`.
    #[must_use]
    pub fn path(&self) -> String {
        let swap = |letter| match letter {
            '.' => '/',
            '/' => '.',
            other => other,
        };
        self.0.chars().map(swap).collect()
    }

    /// Returns whether the key opens the host as a router, which other settings must precede.
    #[must_use]
    pub fn is_forwarding(&self) -> bool {
        *self == Self::ipv4_forwarding() || *self == Self::ipv6_forwarding()
    }
}

impl FromStr for SysctlKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_part = |part: &str| {
            // Between slashes stands at least one byte, so a path never climbs.
            part.split('/').all(|piece| !piece.is_empty() && piece.bytes().all(is_plain))
        };
        if text.len() <= 128 && text.starts_with("net.") && text.split('.').all(is_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Sysctl(text.to_owned()))
        }
    }
}

impl fmt::Display for SysctlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_carry_syntax_are_refused() {
        for text in ["", ".", "..", "a b", "a\"b", "a/b", "-f", "0123456789abcdef", "a;b", "ü"] {
            assert!(text.parse::<InterfaceName>().is_err(), "{text}");
        }
        for text in ["hzn0", "eth0.5", "br-lan", "a_b"] {
            assert_eq!(text.parse::<InterfaceName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn sysctl_keys_stay_below_their_folder() {
        for text in ["", "kernel.panic", "net", "net..ipv4", "net.ipv4.", "net.../x", "net./.x", "net.a b"] {
            assert!(text.parse::<SysctlKey>().is_err(), "{text}");
        }
        let key = SysctlKey::of_interface("ipv4", &"eth0.5".parse().unwrap(), "rp_filter").unwrap();

        assert_eq!(key.as_str(), "net.ipv4.conf.eth0/5.rp_filter");
        assert_eq!(key.path(), "net/ipv4/conf/eth0.5/rp_filter");
    }
}
