//! Rules of a Network.

use horizon_api::resource::{AddressPool, NetworkSpec};
use ipnet::IpNet;

use super::Violation;

/// IPv6 links carry at least this many bytes (RFC 8200 §5).
const IPV6_MTU_MIN: u16 = 1280;
const GRACE_SECONDS_MIN: u32 = 60;
const GRACE_SECONDS_MAX: u32 = 720 * 3600;

pub(super) fn check(spec: &NetworkSpec) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, pool) in spec.address_pools.iter().enumerate() {
        let path = format!("spec.addressPools[{index}]");
        violations.extend(check_pool(pool, &path));
        let earlier = spec.address_pools[..index].iter().position(|other| overlap(&other.cidr, &pool.cidr));
        if let Some(earlier) = earlier {
            let message = format!("overlaps with `spec.addressPools[{earlier}]`");
            violations.push(Violation::new(format!("{path}.cidr"), "Overlap", message, "remove one of them"));
        }
    }
    let has_ipv6 = spec.address_pools.iter().any(|pool| pool.cidr.addr().is_ipv6());
    if has_ipv6 && spec.mtu < IPV6_MTU_MIN {
        let message = format!("must be at least {IPV6_MTU_MIN} when an IPv6 pool is set");
        let fix = format!("write `mtu: {IPV6_MTU_MIN}` or more, or remove the IPv6 pool");
        violations.push(Violation::new("spec.mtu", "Range", message, fix));
    }
    let grace = spec.offline_grace.as_seconds();
    if !(GRACE_SECONDS_MIN..=GRACE_SECONDS_MAX).contains(&grace) {
        let message = "must be between 1m and 720h";
        violations.push(Violation::new("spec.offlineGrace", "Range", message, "such as 12h"));
    }
    violations
}

fn check_pool(pool: &AddressPool, path: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let cidr = pool.cidr;
    let (shortest, longest) = if cidr.addr().is_ipv4() { (8, 30) } else { (16, 126) };
    if !(shortest..=longest).contains(&cidr.prefix_len()) {
        let message =
            format!("a pool must be between /{shortest} and /{longest} long, not /{}", cidr.prefix_len());
        violations.push(Violation::new(
            format!("{path}.cidr"),
            "Range",
            message,
            "such as 10.77.0.0/16 or fd77:1::/48",
        ));
    }
    if is_special(&cidr) {
        let message = "loopback, link-local, multicast and reserved addresses cannot be given to devices";
        violations.push(Violation::new(
            format!("{path}.cidr"),
            "SpecialAddress",
            message,
            "use a private range",
        ));
    }
    for (index, address) in pool.reserved.iter().enumerate() {
        if !cidr.contains(address) {
            let message = format!("must lie inside {cidr}");
            let path = format!("{path}.reserved[{index}]");
            let fix = "choose an address of the pool, or remove it";
            violations.push(Violation::new(path, "OutsidePool", message, fix));
        }
    }
    violations
}

pub(crate) fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

fn is_special(cidr: &IpNet) -> bool {
    const SPECIAL: [&str; 8] = [
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/16",
        "fe80::/10",
        "ff00::/8",
    ];
    SPECIAL.iter().any(|special| special.parse::<IpNet>().is_ok_and(|special| overlap(&special, cidr)))
}
