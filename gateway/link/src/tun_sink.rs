//! Where frames for the kernel go: the TUN queue.

use std::io::{self, IoSlice};

use bytes::Bytes;
use horizon_dataplane::{
    drop_reason::{DropReason, Drops},
    offload::{FrameSink, VIRTIO_HEADER_LEN},
};
use horizon_host::TunQueue;

/// Virtio header, rebuilt headers, and the pieces of a run.
const SLICES_MAX: usize = 128;

pub(crate) struct TunSink<'a> {
    pub(crate) tun: &'a TunQueue,
    pub(crate) drops: &'a mut Drops,
}

impl FrameSink for TunSink<'_> {
    fn write(&mut self, header: &[u8; VIRTIO_HEADER_LEN], head: &[u8], parts: &[Bytes]) {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        slices[0] = IoSlice::new(header);
        slices[1] = IoSlice::new(head);
        for (slice, part) in slices[2..].iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
        }
        let count = (parts.len() + 2).min(SLICES_MAX);
        match self.tun.writev(&slices[..count]) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.drops.count(DropReason::QueueFull)
            }
            // The kernel refuses what it cannot read; the interface may also be down for a moment.
            Err(_) => self.drops.count(DropReason::Malformed),
        }
    }
}
