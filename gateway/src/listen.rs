//! Where links arrive: the UDP socket, or why there is none.

use std::net::{SocketAddr, UdpSocket};

use horizon_node::{
    failure::{Failure, cannot_listen},
    udp,
};

/// Binds the address that the operator of this host named, else the port on all addresses.
pub(crate) fn bind(listen: Option<SocketAddr>, port: u16) -> Result<UdpSocket, Failure> {
    let bound = match listen {
        Some(address) => udp::bind(address).map_err(|error| (address, error)),
        None => udp::bind_any(port).map(|bound| bound.socket),
    };
    bound.map_err(|(address, error)| cannot_listen("UDP", address, "--listen", &error))
}
