//! The UDP socket: batches in and out, with GSO and GRO where the kernel has them.

use std::{
    io::{self, IoSliceMut},
    net::UdpSocket,
    os::fd::{AsRawFd, RawFd},
};

use bytes::BytesMut;
use quinn_proto::Transmit;
use quinn_udp::{RecvMeta, UdpSocketState};

use crate::{intake::Intake, settings::MTU_MOST};

/// One receive takes up to so many messages, each up to 64 KiB of datagrams of one sender.
const MESSAGES: usize = 8;
const MESSAGE_BYTES: usize = 65_536;
/// What messages are cut from: several, since most are short.
const BLOCK_BYTES: usize = 512 << 10;
/// 65,535 less an IPv4 and a UDP header; a longer one is refused whole (EMSGSIZE).
const MESSAGE_BYTES_MAX: usize = 65_507;
/// The kernel's default of 208 KiB is a few milliseconds at a gigabit a second.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;

pub(crate) struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    /// One for each message of a receive: they come in order into the same memory.
    intakes: [Intake; MESSAGES],
    metas: [RecvMeta; MESSAGES],
}

impl Udp {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        // Without CAP_NET_ADMIN the kernel caps them at rmem_max and wmem_max: `doctor` looks at those.
        state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES)?;
        state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES)?;
        let intakes = std::array::from_fn(|_| Intake::new(BLOCK_BYTES));
        Ok(Self { socket, state, intakes, metas: [RecvMeta::default(); MESSAGES] })
    }

    /// Receives what is there, and returns how many messages that is.
    pub(crate) fn receive(&mut self) -> io::Result<usize> {
        let mut slices = self.intakes.each_mut().map(|intake| IoSliceMut::new(intake.space(MESSAGE_BYTES)));
        self.state.recv((&self.socket).into(), &mut slices, &mut self.metas)
    }

    /// Takes a message of the last receive, once: its bytes and how it is cut.
    pub(crate) fn take_message(&mut self, index: usize) -> (BytesMut, RecvMeta) {
        let meta = self.metas[index];
        (self.intakes[index].take(meta.len), meta)
    }

    /// Sends a batch. `WouldBlock` means that nothing of it was sent.
    pub(crate) fn send(&self, transmit: &Transmit, contents: &[u8]) -> io::Result<()> {
        let transmit = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.map(|ecn| match ecn {
                quinn_proto::EcnCodepoint::Ect0 => quinn_udp::EcnCodepoint::Ect0,
                quinn_proto::EcnCodepoint::Ect1 => quinn_udp::EcnCodepoint::Ect1,
                quinn_proto::EcnCodepoint::Ce => quinn_udp::EcnCodepoint::Ce,
            }),
            contents: &contents[..transmit.size],
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        self.state.try_send((&self.socket).into(), &transmit)
    }

    /// Returns how many datagrams one send may carry: together they are one UDP message to the kernel.
    pub(crate) fn batch_max(&self) -> usize {
        self.state.max_gso_segments().min(MESSAGE_BYTES_MAX / usize::from(MTU_MOST))
    }

    pub(crate) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

impl AsRawFd for Udp {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
