//! Wakes the loop from another thread.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

/// An eventfd(2): any number of wakes are one.
pub(crate) struct Wake(OwnedFd);

impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes two integers; a result that is not negative is a descriptor that nobody else owns.
        #[allow(unsafe_code, reason = "std has no eventfd")]
        let fd = unsafe {
            let fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self(fd))
    }

    pub(crate) fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: writes eight bytes that live on this stack; a full counter is already a wake.
        #[allow(unsafe_code, reason = "std cannot write to an eventfd")]
        unsafe {
            libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len());
        }
    }

    pub(crate) fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: reads at most eight bytes into eight bytes.
        #[allow(unsafe_code, reason = "std cannot read an eventfd")]
        unsafe {
            libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len());
        }
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
