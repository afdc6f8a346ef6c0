//! The UDP socket of links: IPv6 and IPv4 in one, or IPv4 alone where the host has no IPv6.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use horizon_node::failure::{Failure, cannot_listen};
use socket2::{Domain, Protocol, Socket, Type};

/// Binds the socket.
pub(crate) fn bind(listen: Option<SocketAddr>, port: u16) -> Result<UdpSocket, Failure> {
    let bound = match listen {
        Some(address) => bind_to(address).map_err(|e| (address, e)),
        None => {
            let any: SocketAddr = (Ipv6Addr::UNSPECIFIED, port).into();
            bind_to(any).or_else(|e| {
                let has_ipv6 = e.raw_os_error() != Some(libc::EAFNOSUPPORT);
                let any: SocketAddr = (Ipv4Addr::UNSPECIFIED, port).into();
                if has_ipv6 { Err((any, e)) } else { bind_to(any).map_err(|e| (any, e)) }
            })
        }
    };
    bound.map_err(|(address, error)| cannot_listen("UDP", address, "--listen", &error))
}

fn bind_to(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}
