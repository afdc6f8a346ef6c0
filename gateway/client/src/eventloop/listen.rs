//! The UDP socket of the link: IPv6 and IPv4 in one, or IPv4 alone where the host has no IPv6.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

/// A bound socket, and which addresses it takes.
pub(crate) struct LinkSocket {
    pub(crate) socket: UdpSocket,
    pub(crate) family: Family,
}

/// Which addresses a socket takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Ipv4,
    /// IPv4 addresses are written into IPv6 ones (RFC 4291 §2.5.5.2).
    Both,
}

/// Binds the socket to a port that the kernel chooses.
pub(crate) fn bind() -> anyhow::Result<LinkSocket> {
    match bind_to((Ipv6Addr::UNSPECIFIED, 0).into()) {
        Ok(socket) => Ok(LinkSocket { socket, family: Family::Both }),
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            let socket = bind_to((Ipv4Addr::UNSPECIFIED, 0).into()).context("open a UDP socket")?;
            Ok(LinkSocket { socket, family: Family::Ipv4 })
        }
        Err(error) => Err(error).context("open a UDP socket"),
    }
}

impl Family {
    /// Returns the address as the socket takes it, or nothing where it cannot.
    pub(crate) fn fit(self, address: SocketAddr) -> Option<SocketAddr> {
        match (self, address.ip()) {
            (Self::Both, IpAddr::V4(ip)) => Some((ip.to_ipv6_mapped(), address.port()).into()),
            (Self::Ipv4, IpAddr::V6(_)) => None,
            (Self::Both, IpAddr::V6(_)) | (Self::Ipv4, IpAddr::V4(_)) => Some(address),
        }
    }
}

fn bind_to(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_fitted_to_the_socket() {
        let v4: SocketAddr = "192.0.2.1:7444".parse().expect("an address");
        let v6: SocketAddr = "[2001:db8::1]:7444".parse().expect("an address");

        assert_eq!(Family::Both.fit(v4).map(|a| a.to_string()).as_deref(), Some("[::ffff:192.0.2.1]:7444"));
        assert_eq!(Family::Both.fit(v6), Some(v6));
        assert_eq!((Family::Ipv4.fit(v4), Family::Ipv4.fit(v6)), (Some(v4), None));
    }
}
