//! What a device calls itself: its host name, made a DNS label.

use std::fs;

use horizon_api::name::Name;

/// Returns the name of this host, or nothing when not one character of it can be used.
pub(crate) fn of_this_host() -> Option<Name> {
    from_hostname(&fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default())
}

fn from_hostname(hostname: &str) -> Option<Name> {
    let label = hostname.trim().split('.').next().unwrap_or_default();
    let replaced =
        label.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let name: String = replaced.skip_while(|c| *c == '-').take(Name::CHARS_MAX).collect();
    name.trim_end_matches('-').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hostname: &str, expected: Option<&str>) {
        assert_eq!(from_hostname(hostname).map(String::from).as_deref(), expected, "{hostname}");
    }

    #[test]
    fn a_host_name_becomes_a_label() {
        check("Alice_Laptop.example.net\n", Some("alice-laptop"));
        check("-büro-", Some("b-ro"));
        check(&"a".repeat(70), Some(&"a".repeat(63)));
        check("(none)", Some("none"));
        check("", None);
        check("…", None);
    }
}
