//! UDP sockets of links: IPv6 and IPv4 in one, or IPv4 alone where the host has no IPv6.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use socket2::{Domain, Protocol, Socket, Type};

/// A bound socket, and which addresses it takes.
#[derive(Debug)]
pub struct Bound {
    pub socket: UdpSocket,
    pub family: Family,
}

/// Which addresses a socket takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ipv4,
    /// IPv4 addresses are written into IPv6 ones (RFC 4291 §2.5.5.2).
    Both,
}

/// Binds all addresses of this host. Port 0 lets the kernel choose.
///
/// # Errors
/// The address that cannot be bound, and why.
pub fn bind_any(port: u16) -> Result<Bound, (SocketAddr, io::Error)> {
    match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
        Ok(socket) => Ok(Bound { socket, family: Family::Both }),
        Err(error) => {
            let any: SocketAddr = (Ipv4Addr::UNSPECIFIED, port).into();
            let has_ipv6 = error.raw_os_error() != Some(libc::EAFNOSUPPORT);
            let socket = if has_ipv6 { Err(error) } else { bind(any) };
            Ok(Bound { socket: socket.map_err(|error| (any, error))?, family: Family::Ipv4 })
        }
    }
}

/// Binds one address; that of all IPv6 addresses takes IPv4 as well.
///
/// # Errors
/// Those of the system.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

impl Family {
    /// Returns the address as the socket takes it, or nothing where it cannot.
    pub fn fit(self, address: SocketAddr) -> Option<SocketAddr> {
        match (self, address) {
            (Self::Both, SocketAddr::V4(v4)) => Some((v4.ip().to_ipv6_mapped(), v4.port()).into()),
            (Self::Ipv4, SocketAddr::V6(_)) => None,
            (Self::Both, SocketAddr::V6(_)) | (Self::Ipv4, SocketAddr::V4(_)) => Some(address),
        }
    }
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
