//! The journal's lines on disk, version 1. Only this program reads them, but perhaps a later build of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use horizon_dataplane::apply::{
    Action, Firewall, InterfaceName, Link, Masquerade, MixedFamilies, NameError, Route, Setting, SysctlKey,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The version that this build writes and reads.
pub(crate) const VERSION: u32 = 1;

/// The first line: what the rest is true of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) version: u32,
    /// The kernel's boot id: host changes do not survive a boot.
    pub(crate) boot: String,
    /// The cookie of the network namespace: its changes go with it.
    pub(crate) namespace: u64,
}

/// Any other line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Line {
    /// The change is about to be made.
    Begin { id: u64, action: DiskAction },
    /// The change was made.
    Done { id: u64 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum DiskAction {
    AddTun { name: String },
    RemoveTun { name: String },
    SetFirewall { was: Option<DiskFirewall>, value: Option<DiskFirewall> },
    SetSysctl { key: String, was: DiskSetting, value: DiskSetting },
    SetLink { name: String, was: DiskLink, value: DiskLink },
    AddAddress { name: String, address: IpNet },
    RemoveAddress { name: String, address: IpNet },
    AddRoute(DiskRoute),
    RemoveRoute(DiskRoute),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DiskFirewall {
    tuns: Vec<String>,
    masquerades: Vec<(IpNet, IpNet)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    guards: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DiskSetting {
    value: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    beside: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DiskLink {
    mtu: u32,
    queue_packets: u32,
    is_up: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DiskRoute {
    destination: IpNet,
    interface: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metric: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<IpAddr>,
}

/// Why a line that is well-formed means nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Families(#[from] MixedFamilies),
}

impl From<&Action> for DiskAction {
    fn from(action: &Action) -> Self {
        let text = |name: &InterfaceName| name.as_str().to_owned();
        match action {
            Action::AddTun { name } => Self::AddTun { name: text(name) },
            Action::RemoveTun { name } => Self::RemoveTun { name: text(name) },
            Action::SetFirewall { was, value } => Self::SetFirewall {
                was: was.as_ref().map(DiskFirewall::from),
                value: value.as_ref().map(DiskFirewall::from),
            },
            Action::SetSysctl { key, was, value } => {
                Self::SetSysctl { key: key.as_str().to_owned(), was: was.into(), value: value.into() }
            }
            Action::SetLink { name, was, value } => {
                Self::SetLink { name: text(name), was: (*was).into(), value: (*value).into() }
            }
            Action::AddAddress { name, address } => Self::AddAddress { name: text(name), address: *address },
            Action::RemoveAddress { name, address } => {
                Self::RemoveAddress { name: text(name), address: *address }
            }
            Action::AddRoute(route) => Self::AddRoute(route.into()),
            Action::RemoveRoute(route) => Self::RemoveRoute(route.into()),
        }
    }
}

impl TryFrom<DiskAction> for Action {
    type Error = DiskError;

    fn try_from(action: DiskAction) -> Result<Self, DiskError> {
        Ok(match action {
            DiskAction::AddTun { name } => Self::AddTun { name: name.parse()? },
            DiskAction::RemoveTun { name } => Self::RemoveTun { name: name.parse()? },
            DiskAction::SetFirewall { was, value } => Self::SetFirewall {
                was: was.map(Firewall::try_from).transpose()?,
                value: value.map(Firewall::try_from).transpose()?,
            },
            DiskAction::SetSysctl { key, was, value } => {
                Self::SetSysctl { key: key.parse()?, was: was.try_into()?, value: value.try_into()? }
            }
            DiskAction::SetLink { name, was, value } => {
                Self::SetLink { name: name.parse()?, was: was.into(), value: value.into() }
            }
            DiskAction::AddAddress { name, address } => Self::AddAddress { name: name.parse()?, address },
            DiskAction::RemoveAddress { name, address } => {
                Self::RemoveAddress { name: name.parse()?, address }
            }
            DiskAction::AddRoute(route) => Self::AddRoute(route.try_into()?),
            DiskAction::RemoveRoute(route) => Self::RemoveRoute(route.try_into()?),
        })
    }
}

impl From<&Firewall> for DiskFirewall {
    fn from(firewall: &Firewall) -> Self {
        let pair = |rule: &Masquerade| (rule.source(), rule.destination());
        Self {
            tuns: firewall.tuns.iter().map(|name| name.as_str().to_owned()).collect(),
            masquerades: firewall.masquerades.iter().map(pair).collect(),
            guards: firewall.guards.iter().map(|key| key.as_str().to_owned()).collect(),
        }
    }
}

impl TryFrom<DiskFirewall> for Firewall {
    type Error = DiskError;

    fn try_from(firewall: DiskFirewall) -> Result<Self, DiskError> {
        let rules = firewall.masquerades.into_iter().map(|(source, to)| Masquerade::new(source, to));
        Ok(Self {
            tuns: firewall.tuns.iter().map(|name| name.parse()).collect::<Result<BTreeSet<_>, _>>()?,
            masquerades: rules.collect::<Result<BTreeSet<_>, _>>()?,
            guards: firewall.guards.iter().map(|key| key.parse()).collect::<Result<BTreeSet<_>, _>>()?,
        })
    }
}

impl From<&Setting> for DiskSetting {
    fn from(setting: &Setting) -> Self {
        let beside = setting.beside.iter().map(|(key, value)| (key.as_str().to_owned(), value.clone()));
        Self { value: setting.value.clone(), beside: beside.collect() }
    }
}

impl TryFrom<DiskSetting> for Setting {
    type Error = DiskError;

    fn try_from(setting: DiskSetting) -> Result<Self, DiskError> {
        let beside = setting.beside.into_iter().map(|(key, value)| Ok((key.parse::<SysctlKey>()?, value)));
        Ok(Self { value: setting.value, beside: beside.collect::<Result<_, NameError>>()? })
    }
}

impl From<Link> for DiskLink {
    fn from(link: Link) -> Self {
        Self { mtu: link.mtu, queue_packets: link.queue_packets, is_up: link.is_up }
    }
}

impl From<DiskLink> for Link {
    fn from(link: DiskLink) -> Self {
        Self { mtu: link.mtu, queue_packets: link.queue_packets, is_up: link.is_up }
    }
}

impl From<&Route> for DiskRoute {
    fn from(route: &Route) -> Self {
        Self {
            destination: route.destination(),
            interface: route.interface().as_str().to_owned(),
            metric: route.metric(),
            source: route.source(),
        }
    }
}

impl TryFrom<DiskRoute> for Route {
    type Error = DiskError;

    fn try_from(route: DiskRoute) -> Result<Self, DiskError> {
        let interface = route.interface.parse()?;
        Ok(Self::new(route.destination, interface).with_metric(route.metric).with_source(route.source))
    }
}
