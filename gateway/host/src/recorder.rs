//! An executor for tests: a host that is a value, and a list of what was done to it.

use std::collections::BTreeSet;

use horizon_dataplane::apply::{Action, HostState, Interface, Link, Observed, Setting};

use crate::netlink::NetlinkError;
use crate::{ExecuteError, Executor};

/// A host in memory. Its sysctls are `0` until they are set.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// What the host is like.
    pub host: Observed,
    /// What was done, in order.
    pub actions: Vec<Action>,
    /// An action that fails when it comes.
    pub fails: Option<Action>,
}

impl Executor for Recorder {
    async fn execute(&mut self, action: &Action) -> Result<(), ExecuteError> {
        if self.fails.as_ref() == Some(action) {
            return Err(NetlinkError::Broken("as the test asked".to_owned()).into());
        }
        self.actions.push(action.clone());
        self.make(action.clone())
    }

    async fn observe(&mut self, wanted: &HostState) -> Result<Observed, ExecuteError> {
        for key in wanted.sysctls.keys() {
            self.host.sysctls.entry(key.clone()).or_insert_with(|| Setting::from("0"));
        }
        Ok(self.host.clone())
    }
}

impl Recorder {
    fn make(&mut self, action: Action) -> Result<(), ExecuteError> {
        let host = &mut self.host;
        match action {
            Action::AddTun { name } => {
                let interface = Interface { link: Link::NEW_TUN, addresses: BTreeSet::new() };
                host.interfaces.entry(name).or_insert(interface);
            }
            Action::RemoveTun { name } => {
                host.interfaces.remove(&name);
                host.routes.retain(|route| *route.interface() != name);
            }
            Action::SetFirewall { value, .. } => host.firewall = value,
            Action::SetSysctl { key, value, .. } => {
                host.sysctls.insert(key, value);
            }
            Action::SetLink { name, value, .. } => match host.interfaces.get_mut(&name) {
                Some(interface) => interface.link = value,
                None => return Err(NetlinkError::NoInterface(name).into()),
            },
            Action::AddAddress { name, address } => match host.interfaces.get_mut(&name) {
                Some(interface) => {
                    interface.addresses.insert(address);
                }
                None => return Err(NetlinkError::NoInterface(name).into()),
            },
            Action::RemoveAddress { name, address } => {
                if let Some(interface) = host.interfaces.get_mut(&name) {
                    interface.addresses.remove(&address);
                }
            }
            Action::AddRoute(route) => {
                host.routes.insert(route);
            }
            Action::RemoveRoute(route) => {
                host.routes.remove(&route);
            }
        }
        Ok(())
    }
}
