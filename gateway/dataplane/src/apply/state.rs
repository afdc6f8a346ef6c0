//! A host as we want it, and as it was observed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Firewall, InterfaceName, SysctlKey};

/// What we want of a host: whole, so that what is absent is to be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostState {
    /// TUN interfaces of ours.
    pub interfaces: BTreeMap<InterfaceName, Interface>,
    /// Routes into our interfaces.
    pub routes: BTreeSet<Route>,
    /// Kernel settings.
    pub sysctls: BTreeMap<SysctlKey, String>,
    /// Our own nftables table.
    pub firewall: Option<Firewall>,
}

/// What was seen of a host: the interfaces, settings and table that a [`HostState`] names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The wanted interfaces that exist.
    pub interfaces: BTreeMap<InterfaceName, Interface>,
    /// The routes into them.
    pub routes: BTreeSet<Route>,
    /// The wanted settings that exist.
    pub sysctls: BTreeMap<SysctlKey, Setting>,
    /// Our table, where it is as we made it.
    pub firewall: Option<Firewall>,
}

/// A TUN interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// How the interface is set.
    pub link: Link,
    /// The addresses of the host on it, with the length of their prefix.
    pub addresses: BTreeSet<IpNet>,
}

/// The settings of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The largest packet.
    pub mtu: u32,
    /// How many packets the kernel queues towards us (`txqueuelen`).
    pub queue_packets: u32,
    /// Whether the interface carries packets.
    pub is_up: bool,
}

impl Link {
    /// How the kernel makes a TUN.
    pub const NEW_TUN: Self = Self { mtu: 1500, queue_packets: 500, is_up: false };
}

/// A route of the main table into an interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    destination: IpNet,
    interface: InterfaceName,
    metric: Option<u32>,
    source: Option<IpAddr>,
}

impl Route {
    /// Returns a route to `destination` (its host part is dropped) with the kernel's own metric.
    #[must_use]
    pub fn new(destination: IpNet, interface: InterfaceName) -> Self {
        Self { destination: destination.trunc(), interface, metric: None, source: None }
    }

    /// Returns the route with a metric; what the kernel gives by itself counts as none.
    #[must_use]
    pub fn with_metric(mut self, metric: Option<u32>) -> Self {
        let is_default = |metric: u32| match self.destination {
            IpNet::V4(_) => metric == 0,
            // The kernel takes 0 as IP6_RT_PRIO_USER, which is 1024.
            IpNet::V6(_) => metric == 0 || metric == 1024,
        };
        self.metric = metric.filter(|metric| !is_default(*metric));
        self
    }

    /// Returns the route with the address that the host itself sends from.
    #[must_use]
    pub fn with_source(mut self, source: Option<IpAddr>) -> Self {
        self.source = source;
        self
    }

    /// Returns where the route leads.
    #[must_use]
    pub fn destination(&self) -> IpNet {
        self.destination
    }

    /// Returns the interface that the route leads into.
    #[must_use]
    pub fn interface(&self) -> &InterfaceName {
        &self.interface
    }

    /// Returns the metric, if it is not the kernel's own.
    #[must_use]
    pub fn metric(&self) -> Option<u32> {
        self.metric
    }

    /// Returns the address that the host itself sends from.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }
}

/// The value of a kernel setting, with those of others that the kernel changes along with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// The value of the key itself.
    pub value: String,
    /// Values to write after it, because writing it changes them.
    pub beside: BTreeMap<SysctlKey, String>,
}

impl From<&str> for Setting {
    fn from(value: &str) -> Self {
        Self { value: value.to_owned(), beside: BTreeMap::new() }
    }
}
