//! Our own nftables table: masquerade towards the subnets behind a host, MSS that fits the path, and a guard
//! where the host forwards only because of us. Never a rule in somebody else's table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ipnet::IpNet;

use super::{InterfaceName, SysctlKey};

/// The name of our table, in the family `inet`.
pub const TABLE: &str = "horizon";

/// What our table does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Our interfaces: what leaves by another one may be masqueraded, and TCP through them is told their MSS.
    pub tuns: BTreeSet<InterfaceName>,
    /// Whose traffic leaves under the host's address.
    pub masquerades: BTreeSet<Masquerade>,
    /// The forwarding switches that are on only because of us: what neither enters nor leaves by our interfaces
    /// is dropped there, so that the host does not become a router between its others.
    pub guards: BTreeSet<SysctlKey>,
}

/// One rule of address hiding: packets of a network to a subnet leave with the host's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Masquerade {
    source: IpNet,
    destination: IpNet,
}

/// Source and destination are of different IP families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("masquerade from {source_prefix} to {destination_prefix} mixes IPv4 and IPv6")]
pub struct MixedFamilies {
    /// Whose packets.
    pub source_prefix: IpNet,
    /// Where to.
    pub destination_prefix: IpNet,
}

impl Masquerade {
    /// Returns the rule from a network's prefix to a subnet.
    ///
    /// # Errors
    /// When the two are of different IP families.
    pub fn new(source: IpNet, destination: IpNet) -> Result<Self, MixedFamilies> {
        if source.addr().is_ipv4() == destination.addr().is_ipv4() {
            Ok(Self { source: source.trunc(), destination: destination.trunc() })
        } else {
            Err(MixedFamilies { source_prefix: source, destination_prefix: destination })
        }
    }

    /// Returns whose packets are meant.
    #[must_use]
    pub fn source(&self) -> IpNet {
        self.source
    }

    /// Returns where they go.
    #[must_use]
    pub fn destination(&self) -> IpNet {
        self.destination
    }
}

impl Firewall {
    /// Returns the text for `nft -f` that replaces our table in one transaction.
    #[must_use]
    pub fn install_text(&self) -> String {
        let mut text = Self::remove_text();
        // Writing into a String cannot fail.
        let _ =
            write!(text, "table inet {TABLE} {{\n{}{}}}\n", self.forward_chain(), self.postrouting_chain());
        text
    }

    /// Returns the text for `nft -f` that removes our table, whether it exists or not.
    #[must_use]
    pub fn remove_text() -> String {
        format!("add table inet {TABLE}\ndelete table inet {TABLE}\n")
    }

    fn forward_chain(&self) -> String {
        let mut text =
            "\tchain forward {\n\t\ttype filter hook forward priority mangle; policy accept;\n".to_owned();
        if !self.tuns.is_empty() {
            let tuns = self.tun_set();
            for family in self.guards.iter().filter_map(family_of) {
                // What one bridge passes on comes here as well where the kernel asks netfilter about bridged packets:
                // then both names are the bridge's, and it is nobody's routing.
                for side in ["iifkind", "oifkind"] {
                    let _ = writeln!(
                        text,
                        "\t\tmeta nfproto {family} iifname != {tuns} oifname != {tuns} meta {side} != \"bridge\" drop"
                    );
                }
            }
            for side in ["iifname", "oifname"] {
                let _ = writeln!(
                    text,
                    "\t\t{side} {tuns} tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu"
                );
            }
        }
        text + "\t}\n"
    }

    fn postrouting_chain(&self) -> String {
        let mut text =
            "\tchain postrouting {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
                .to_owned();
        let outside =
            if self.tuns.is_empty() { String::new() } else { format!("oifname != {} ", self.tun_set()) };
        for Masquerade { source, destination } in &self.masquerades {
            let family = if source.addr().is_ipv4() { "ip" } else { "ip6" };
            let to = if destination.prefix_len() == 0 {
                String::new()
            } else {
                format!("{family} daddr {destination} ")
            };
            let _ = writeln!(text, "\t\t{family} saddr {source} {to}{outside}masquerade");
        }
        text + "\t}\n"
    }

    fn tun_set(&self) -> String {
        let names: Vec<String> = self.tuns.iter().map(|name| format!("\"{name}\"")).collect();
        format!("{{ {} }}", names.join(", "))
    }
}

fn family_of(switch: &SysctlKey) -> Option<&'static str> {
    let families = [(SysctlKey::ipv4_forwarding(), "ipv4"), (SysctlKey::ipv6_forwarding(), "ipv6")];
    families.into_iter().find_map(|(key, family)| (key == *switch).then_some(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_replaces_the_table_in_one_transaction() {
        let masquerade = |source: &str, destination: &str| {
            Masquerade::new(source.parse().unwrap(), destination.parse().unwrap()).unwrap()
        };
        let firewall = Firewall {
            tuns: BTreeSet::from(["hzn0".parse().unwrap()]),
            masquerades: BTreeSet::from([
                masquerade("10.7.0.0/24", "192.168.1.9/24"),
                masquerade("fd00::/64", "::/0"),
            ]),
            guards: BTreeSet::from([SysctlKey::ipv4_forwarding()]),
        };

        let expected = "\
add table inet horizon
delete table inet horizon
table inet horizon {
\tchain forward {
\t\ttype filter hook forward priority mangle; policy accept;
\t\tmeta nfproto ipv4 iifname != { \"hzn0\" } oifname != { \"hzn0\" } meta iifkind != \"bridge\" drop
\t\tmeta nfproto ipv4 iifname != { \"hzn0\" } oifname != { \"hzn0\" } meta oifkind != \"bridge\" drop
\t\tiifname { \"hzn0\" } tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
\t\toifname { \"hzn0\" } tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
\t}
\tchain postrouting {
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr 10.7.0.0/24 ip daddr 192.168.1.0/24 oifname != { \"hzn0\" } masquerade
\t\tip6 saddr fd00::/64 oifname != { \"hzn0\" } masquerade
\t}
}
";
        assert_eq!(firewall.install_text(), expected);
    }

    #[test]
    fn families_do_not_mix() {
        assert!(Masquerade::new("10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()).is_err());
    }
}
