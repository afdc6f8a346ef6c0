//! The system calls that no safe crate offers: the ioctls of `/dev/net/tun` and the cookie of a namespace.

use std::fs::File;
use std::io;
use std::mem;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use horizon_dataplane::apply::InterfaceName;

/// Binds a descriptor of `/dev/net/tun` to one queue of the interface, which is made if it does not exist.
pub(crate) fn attach_queue(device: &File, name: &InterfaceName) -> io::Result<()> {
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_MULTI_QUEUE;
    #[allow(unsafe_code, reason = "ifreq is a union that only the kernel reads")]
    // SAFETY: all zeroes is a valid `ifreq`; the name is at most 15 bytes, so it ends in a zero.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_str().bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
    #[allow(unsafe_code, reason = "ioctl has no safe form")]
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, which lives until the call returns.
    checked(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })
}

/// Tells the kernel how long the header before each packet is: one device-wide number, which a
/// persistent interface keeps.
pub(crate) fn set_header_bytes(device: &File, bytes: usize) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).map_err(io::Error::other)?;
    #[allow(unsafe_code, reason = "ioctl has no safe form")]
    // SAFETY: TUNSETVNETHDRSZ reads one int, which lives until the call returns.
    checked(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const bytes) })
}

/// Tells the kernel what may be left undone in the packets that it gives us.
pub(crate) fn set_offload(device: &File, offload: libc::c_uint) -> io::Result<()> {
    #[allow(unsafe_code, reason = "ioctl has no safe form")]
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    checked(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(offload)) })
}

/// Keeps the interface when the last descriptor is closed.
pub(crate) fn set_persistent(device: &File) -> io::Result<()> {
    #[allow(unsafe_code, reason = "ioctl has no safe form")]
    // SAFETY: TUNSETPERSIST takes its argument by value.
    checked(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETPERSIST, 1 as libc::c_ulong) })
}

/// A number that no other network namespace has until the next boot.
pub(crate) fn namespace_cookie() -> io::Result<u64> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let mut cookie = 0_u64;
    let mut length = libc::socklen_t::try_from(size_of::<u64>()).map_err(io::Error::other)?;
    #[allow(unsafe_code, reason = "the cookie has no safe form")]
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `cookie`.
    checked(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    })?;
    Ok(cookie)
}

fn checked(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// From `asm-generic/socket.h`; the libc crate lacks it.
const SO_NETNS_COOKIE: libc::c_int = 71;
