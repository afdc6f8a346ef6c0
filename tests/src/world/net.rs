//! The namespaces of the small world and the wires between them.

use crate::namespace::Namespace;

use super::{CONTROLLER, GATEWAY, LAN};

/// Six namespaces. Nothing of them is visible in the host's own.
#[derive(Clone, Debug)]
pub struct Net {
    pub hub: Namespace,
    pub ctl: Namespace,
    pub gw: Namespace,
    pub cli: Namespace,
    pub cli2: Namespace,
    pub lan: Namespace,
}

impl Net {
    /// # Errors
    /// Without root, or when the names are taken.
    pub(super) fn create(prefix: &str) -> anyhow::Result<Self> {
        let make = |name: &str| Namespace::create(&format!("{prefix}-{name}"));
        let net = Self {
            hub: make("hub")?,
            ctl: make("ctl")?,
            gw: make("gw")?,
            cli: make("cli")?,
            cli2: make("cli2")?,
            lan: make("lan")?,
        };
        net.hub.ip("link add br0 type bridge")?;
        net.hub.ip("link set br0 up")?;
        net.attach(&net.ctl, "ctl", &format!("{CONTROLLER}/24"))?;
        net.attach(&net.gw, "gw", &format!("{GATEWAY}/24"))?;
        net.attach(&net.cli, "cli", "192.0.2.101/24")?;
        net.attach(&net.cli2, "cli2", "192.0.2.102/24")?;
        net.gw.wire("lan0", &net.lan, "eth0")?;
        net.gw.ip("addr add 198.51.100.1/24 dev lan0")?;
        net.lan.ip(&format!("addr add {LAN}/24 dev eth0"))?;
        Ok(net)
    }

    fn attach(&self, namespace: &Namespace, port: &str, address: &str) -> anyhow::Result<()> {
        namespace.wire("eth0", &self.hub, port)?;
        self.hub.ip(&format!("link set {port} master br0"))?;
        namespace.ip(&format!("addr add {address} dev eth0"))?;
        Ok(())
    }
}
