//! One reversible change to a host.

use std::fmt;

use ipnet::IpNet;

use super::{Firewall, InterfaceName, Link, Route, Setting, SysctlKey};

/// One change to a host, with what it takes to go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes a TUN that outlives the process.
    AddTun { name: InterfaceName },
    /// Removes a TUN.
    RemoveTun { name: InterfaceName },
    /// Replaces our nftables table; none means that it does not exist.
    SetFirewall { was: Option<Firewall>, value: Option<Firewall> },
    /// Writes a kernel setting.
    SetSysctl { key: SysctlKey, was: Setting, value: Setting },
    /// Sets an interface.
    SetLink { name: InterfaceName, was: Link, value: Link },
    /// Gives an interface an address.
    AddAddress { name: InterfaceName, address: IpNet },
    /// Takes an address from an interface.
    RemoveAddress { name: InterfaceName, address: IpNet },
    /// Adds a route.
    AddRoute(Route),
    /// Removes a route.
    RemoveRoute(Route),
}

/// What an action changes: two actions on one slot concern the same thing.
///
/// The order is the order in which things are made, and its reverse that in which they are taken back:
/// rules stand before the host forwards, and an interface is up before routes lead into it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// Whether the TUN exists.
    Tun(InterfaceName),
    /// Our table.
    Firewall,
    /// A kernel setting.
    Sysctl(SysctlKey),
    /// A kernel setting that opens the host as a router; what protects it is written before.
    Forwarding(SysctlKey),
    /// How an interface is set.
    Link(InterfaceName),
    /// Whether an interface has the address.
    Address(InterfaceName, IpNet),
    /// Whether the route exists.
    Route(Route),
}

impl Action {
    /// Returns the change that takes this one back; the undo of an undo is the change itself.
    #[must_use]
    pub fn undo(&self) -> Self {
        match self.clone() {
            Self::AddTun { name } => Self::RemoveTun { name },
            Self::RemoveTun { name } => Self::AddTun { name },
            Self::SetFirewall { was, value } => Self::SetFirewall { was: value, value: was },
            Self::SetSysctl { key, was, value } => Self::SetSysctl { key, was: value, value: was },
            Self::SetLink { name, was, value } => Self::SetLink { name, was: value, value: was },
            Self::AddAddress { name, address } => Self::RemoveAddress { name, address },
            Self::RemoveAddress { name, address } => Self::AddAddress { name, address },
            Self::AddRoute(route) => Self::RemoveRoute(route),
            Self::RemoveRoute(route) => Self::AddRoute(route),
        }
    }

    /// Returns what the action changes.
    #[must_use]
    pub fn slot(&self) -> Slot {
        match self.clone() {
            Self::AddTun { name } | Self::RemoveTun { name } => Slot::Tun(name),
            Self::SetFirewall { .. } => Slot::Firewall,
            Self::SetSysctl { key, .. } if key.is_forwarding() => Slot::Forwarding(key),
            Self::SetSysctl { key, .. } => Slot::Sysctl(key),
            Self::SetLink { name, .. } => Slot::Link(name),
            Self::AddAddress { name, address } | Self::RemoveAddress { name, address } => {
                Slot::Address(name, address)
            }
            Self::AddRoute(route) | Self::RemoveRoute(route) => Slot::Route(route),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddTun { name } => write!(f, "add TUN {name}"),
            Self::RemoveTun { name } => write!(f, "remove TUN {name}"),
            Self::SetFirewall { value: Some(_), .. } => f.write_str("install nftables table inet horizon"),
            Self::SetFirewall { value: None, .. } => f.write_str("remove nftables table inet horizon"),
            Self::SetSysctl { key, value, .. } => write!(f, "set sysctl {key} to {}", value.value),
            Self::SetLink { name, value, .. } => {
                let state = if value.is_up { "up" } else { "down" };
                write!(f, "set {name} {state} mtu {} txqueuelen {}", value.mtu, value.queue_packets)
            }
            Self::AddAddress { name, address } => write!(f, "add address {address} to {name}"),
            Self::RemoveAddress { name, address } => write!(f, "remove address {address} from {name}"),
            Self::AddRoute(route) => write!(f, "add route {} dev {}", route.destination(), route.interface()),
            Self::RemoveRoute(route) => {
                write!(f, "remove route {} dev {}", route.destination(), route.interface())
            }
        }
    }
}
