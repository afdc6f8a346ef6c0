//! Waits for descriptors and for time, finer than a millisecond.

use std::{os::fd::RawFd, time::Duration};

/// A descriptor to wait for.
#[derive(Clone, Copy)]
pub(crate) struct Interest {
    pub(crate) fd: RawFd,
    pub(crate) wants_write: bool,
}

/// No descriptor: never ready (poll(2) leaves negative ones out).
pub(crate) const NONE: RawFd = -1;

/// Waits until a descriptor is ready (or broken) or the time is over. Returns which were ready to read, by position.
pub(crate) fn wait<const N: usize>(interests: [Interest; N], patience: Option<Duration>) -> [bool; N] {
    let mut fds = interests.map(|interest| libc::pollfd {
        fd: interest.fd,
        events: libc::POLLIN | if interest.wants_write { libc::POLLOUT } else { 0 },
        revents: 0,
    });
    let timeout = patience.map(|patience| libc::timespec {
        tv_sec: libc::time_t::try_from(patience.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(patience.subsec_nanos()),
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: both pointers are to values of this frame that outlive the call; N is the array's length.
    // An interrupted wait reads as nothing ready: the loop looks at its timers and waits again.
    #[allow(unsafe_code, reason = "std has no poll")]
    unsafe {
        libc::ppoll(fds.as_mut_ptr(), N as libc::nfds_t, timeout, std::ptr::null());
    }
    fds.map(|fd| fd.revents & (libc::POLLIN | libc::POLLERR | libc::POLLHUP) != 0)
}
