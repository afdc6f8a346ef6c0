//! The executor of a real host: the network namespace of the thread that connects.

use std::io;

use horizon_dataplane::apply::{Action, HostState, Interface, InterfaceName, Observed};

use crate::netlink::Netlink;
use crate::nft::{ForwardingBlocked, Nft, NftError};
use crate::sysctl::{self, SysctlError};
use crate::tun::Tun;
use crate::{ExecuteError, Executor};

/// The Linux that we run on.
pub struct Linux {
    netlink: Netlink,
    nft: Nft,
}

impl Linux {
    /// Connects to the kernel; within a tokio runtime.
    ///
    /// # Errors
    /// When the kernel gives no netlink socket.
    pub fn connect() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::connect()?, nft: Nft::default() })
    }

    /// Returns the foreign chains that drop what we forward from an interface of ours.
    ///
    /// # Errors
    /// When the rules cannot be read.
    pub async fn forwarding_blocked(&self, tun: &InterfaceName) -> Result<Vec<ForwardingBlocked>, NftError> {
        self.nft.forwarding_blocked(tun).await
    }
}

impl Executor for Linux {
    async fn execute(&mut self, action: &Action) -> Result<(), ExecuteError> {
        match action {
            Action::AddTun { name } => Tun::make_persistent(name)?,
            Action::RemoveTun { name } => self.netlink.remove_link(name).await?,
            Action::SetFirewall { value: Some(firewall), .. } => self.nft.install(firewall).await?,
            Action::SetFirewall { value: None, .. } => self.nft.remove().await?,
            Action::SetSysctl { key, value, .. } => sysctl::write(key, value)?,
            Action::SetLink { name, value, .. } => self.netlink.set_link(name, *value).await?,
            Action::AddAddress { name, address } => self.netlink.add_address(name, *address).await?,
            Action::RemoveAddress { name, address } => self.netlink.remove_address(name, *address).await?,
            Action::AddRoute(route) => self.netlink.add_route(route).await?,
            Action::RemoveRoute(route) => self.netlink.remove_route(route).await?,
        }
        Ok(())
    }

    async fn observe(&mut self, wanted: &HostState) -> Result<Observed, ExecuteError> {
        let mut observed = Observed::default();
        for name in wanted.interfaces.keys() {
            let Some(seen) = self.netlink.own_link(name).await? else { continue };
            let addresses = self.netlink.addresses(seen.index).await?;
            observed.routes.extend(self.netlink.routes(name, seen.index).await?);
            observed.interfaces.insert(name.clone(), Interface { link: seen.link, addresses });
        }
        for key in wanted.sysctls.keys() {
            match sysctl::read(key) {
                Ok(setting) => {
                    observed.sysctls.insert(key.clone(), setting);
                }
                // Settings of interfaces go with them; a host without the switch itself cannot do what is wanted.
                Err(SysctlError::Missing(key)) if !key.is_forwarding() => {}
                Err(error) => return Err(error.into()),
            }
        }
        if wanted.firewall.is_some() {
            observed.firewall = self.nft.installed().await?;
        }
        Ok(observed)
    }
}
