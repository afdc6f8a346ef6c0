//! Who makes the changes: Linux, or a record of them in tests. An executor makes no choices.

use std::future::Future;

use horizon_dataplane::apply::{Action, HostState, Observed};

use crate::netlink::NetlinkError;
use crate::nft::NftError;
use crate::sysctl::SysctlError;
use crate::tun::TunError;

/// Sees a host and changes it.
pub trait Executor {
    /// Makes one change. What is already so is fine, and so is taking back what is gone.
    fn execute(&mut self, action: &Action) -> impl Future<Output = Result<(), ExecuteError>> + Send;

    /// Looks at all that `wanted` names.
    fn observe(&mut self, wanted: &HostState) -> impl Future<Output = Result<Observed, ExecuteError>> + Send;
}

/// Why a host could not be seen or changed.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    #[error(transparent)]
    Tun(#[from] TunError),
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    #[error(transparent)]
    Nft(#[from] NftError),
}

impl ExecuteError {
    /// Returns whether the thing to change is gone: nothing is left to take back.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Netlink(NetlinkError::NoInterface(_)) | Self::Sysctl(SysctlError::Missing(_)) => true,
            Self::Netlink(error) => error.code() == Some(libc::ENODEV),
            Self::Tun(_) | Self::Sysctl(_) | Self::Nft(_) => false,
        }
    }

    /// Returns whether it is this host that lacks something, whatever it is told to run: a right, or the TUN device.
    #[must_use]
    pub fn is_of_host(&self) -> bool {
        match self {
            Self::Tun(_) => true,
            Self::Netlink(error) => matches!(error.code(), Some(libc::EPERM | libc::EACCES)),
            Self::Sysctl(_) | Self::Nft(_) => false,
        }
    }

    /// Returns what a person can do about it, where the message does not say it already.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            // Their own messages end in the fix.
            Self::Tun(_) | Self::Nft(_) => None,
            Self::Netlink(error) => netlink_fix(error),
            Self::Sysctl(SysctlError::Missing(key)) => {
                Some(format!("the kernel lacks what {key} belongs to (IPv6 may be switched off at boot)"))
            }
            Self::Sysctl(SysctlError::Read { key, .. } | SysctlError::Write { key, .. }) => Some(format!(
                "run as root with a writable /proc/sys, or set {key} on the outside of the container"
            )),
        }
    }
}

fn netlink_fix(error: &NetlinkError) -> Option<String> {
    match error {
        NetlinkError::Foreign(name) => Some(format!("choose another name, or remove it: ip link del {name}")),
        NetlinkError::RouteTaken(to) => {
            Some(format!("see it with: ip route show {to}; remove it, or choose another prefix"))
        }
        NetlinkError::Refused { .. } => match error.code() {
            Some(libc::EPERM) => Some("run as root or give CAP_NET_ADMIN".to_owned()),
            Some(libc::EACCES | libc::EOPNOTSUPP | libc::EAFNOSUPPORT) => {
                Some("IPv6 is switched off on this host: sysctl net.ipv6.conf.all.disable_ipv6=0".to_owned())
            }
            _ => None,
        },
        NetlinkError::NoInterface(_) | NetlinkError::Broken(_) => None,
    }
}
