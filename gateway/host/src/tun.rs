//! TUN interfaces: packets in and out of the kernel, whole super-packets with their header.
//!
//! We open the descriptors ourselves, because the `tun` crate refuses more than one queue,
//! always with `IFF_MULTI_QUEUE`, because a persistent interface is adopted only by the same flags.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::Duration;

use horizon_dataplane::apply::InterfaceName;
use horizon_dataplane::offload::VIRTIO_HEADER_LEN;

use crate::{netlink, system};

/// Bytes of the `virtio_net_hdr` before each packet.
pub const HEADER_BYTES: usize = VIRTIO_HEADER_LEN;

/// An open TUN: its queues and what the kernel agreed to.
pub struct Tun {
    /// One for each shard.
    pub queues: Vec<TunQueue>,
    /// Which super-packets the kernel gives and takes.
    pub offload: Offload,
}

/// Which super-packets pass through a TUN unsplit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// TCP over both IP versions; kernels before 6.2 know no more.
    Tcp,
    /// TCP and UDP over both IP versions.
    TcpAndUdp,
}

/// One queue of a TUN. It never blocks: nothing to read, or no room, is `WouldBlock`.
pub struct TunQueue {
    // Reads; it does not close the descriptor, which belongs to `file`.
    device: tun::Device,
    file: File,
}

/// Why a TUN could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TunError {
    #[error("/dev/net/tun is missing; load the module: modprobe tun, or pass the device into the container")]
    Missing,
    #[error("no permission to open TUN {name}; run as root or give CAP_NET_ADMIN")]
    NotPermitted { name: InterfaceName },
    #[error("TUN {name} is in use by another process; stop that one or choose another name")]
    InUse { name: InterfaceName },
    #[error(
        "interface {name} exists and is not a TUN of ours; choose another name, or remove it: ip link del {name}"
    )]
    Foreign { name: InterfaceName },
    #[error("{queues} queues asked of TUN {name}; the kernel has 1 to 256")]
    Queues { name: InterfaceName, queues: usize },
    #[error("open TUN {name}: {step}")]
    System { name: InterfaceName, step: &'static str, source: io::Error },
}

impl Tun {
    /// Opens the interface with so many queues: adopts a persistent one, or makes one that goes with its last queue.
    ///
    /// # Errors
    /// Without the device or the right, or when the name belongs to something else.
    pub fn open(name: &InterfaceName, queues: usize) -> Result<Self, TunError> {
        if !(1..=256).contains(&queues) {
            return Err(TunError::Queues { name: name.clone(), queues });
        }
        wait_until_free(name)?;
        let files = (0..queues).map(|_| attach(name)).collect::<Result<Vec<_>, _>>()?;
        // The kernel lets anybody add a queue, and would share our packets with them.
        if attached_queues(name)? != queues {
            return Err(TunError::InUse { name: name.clone() });
        }
        let offload = negotiate(&files[0]).map_err(|source| system_error(name, "set offload", source))?;
        let queues = files.into_iter().map(|file| TunQueue::new(name, file)).collect::<Result<_, _>>()?;
        Ok(Self { queues, offload })
    }

    /// Makes an interface that stays until it is removed, whoever opens it.
    pub(crate) fn make_persistent(name: &InterfaceName) -> Result<(), TunError> {
        let file = attach(name)?;
        system::set_persistent(&file).map_err(|source| system_error(name, "make it persistent", source))
    }
}

impl TunQueue {
    fn new(name: &InterfaceName, file: File) -> Result<Self, TunError> {
        let mut configuration = tun::Configuration::default();
        configuration.tun_name(name.as_str()).raw_fd(file.as_raw_fd()).close_fd_on_drop(false);
        let device = tun::create(&configuration)
            .map_err(|source| system_error(name, "take the descriptor", io::Error::other(source)))?;
        Ok(Self { device, file })
    }

    /// Reads one packet behind its [`HEADER_BYTES`].
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.device.read(buffer)
    }

    /// Writes one packet, its header first, from pieces.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room, `InvalidInput` for more pieces than one call takes.
    pub fn writev(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if pieces.len() > PIECES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        (&self.file).write_vectored(pieces)
    }
}

impl AsRawFd for TunQueue {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl AsFd for TunQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Waits for a process that was just killed, or a child between its fork and exec, to let go of its queues.
fn wait_until_free(name: &InterfaceName) -> Result<(), TunError> {
    for _ in 0..FREE_WAITS_MAX {
        if attached_queues(name)? == 0 {
            return Ok(());
        }
        thread::sleep(FREE_WAIT);
    }
    Err(TunError::InUse { name: name.clone() })
}

fn attached_queues(name: &InterfaceName) -> Result<usize, TunError> {
    let attached =
        netlink::attached_queues(name).map_err(|source| system_error(name, "count queues", source))?;
    Ok(attached.unwrap_or(0))
}

/// One descriptor bound to one queue.
fn attach(name: &InterfaceName) -> Result<File, TunError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .map_err(|source| match source.raw_os_error() {
            Some(libc::ENOENT | libc::ENXIO | libc::ENODEV) => TunError::Missing,
            Some(libc::EPERM | libc::EACCES) => TunError::NotPermitted { name: name.clone() },
            _ => system_error(name, "open /dev/net/tun", source),
        })?;
    system::attach_queue(&file, name).map_err(|source| match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => TunError::NotPermitted { name: name.clone() },
        Some(libc::EBUSY | libc::E2BIG) => TunError::InUse { name: name.clone() },
        Some(libc::EINVAL) => TunError::Foreign { name: name.clone() },
        _ => system_error(name, "attach a queue", source),
    })?;
    Ok(file)
}

/// Both settings are of the whole interface, so one queue speaks for all.
fn negotiate(file: &File) -> io::Result<Offload> {
    system::set_header_bytes(file, HEADER_BYTES)?;
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    match system::set_offload(file, tcp | libc::TUN_F_USO4 | libc::TUN_F_USO6) {
        Ok(()) => Ok(Offload::TcpAndUdp),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            system::set_offload(file, tcp).map(|()| Offload::Tcp)
        }
        Err(error) => Err(error),
    }
}

fn system_error(name: &InterfaceName, step: &'static str, source: io::Error) -> TunError {
    TunError::System { name: name.clone(), step, source }
}

/// Together a second, within which an exit closes everything; a start may take that long.
const FREE_WAIT: Duration = Duration::from_millis(20);
const FREE_WAITS_MAX: usize = 50;

/// `UIO_MAXIOV`: the kernel takes no more at once, and half a packet is worse than none.
const PIECES_MAX: usize = 1024;
