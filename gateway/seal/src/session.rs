//! The keys of one handshake in use: counters out, a window in.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use snow::StatelessTransportState;

use crate::{
    message::{DATA_HEADER, OVERHEAD, data_header},
    peer::Trouble,
    replay::Window,
    sealer::Limits,
    suite::Suite,
};

pub(crate) struct Session {
    transport: StatelessTransportState,
    pub(crate) suite: Suite,
    /// What the other end calls it when it sends, and what we do.
    pub(crate) local: u32,
    remote: u32,
    is_initiator: bool,
    pub(crate) born: Instant,
    /// The next counter: no two packets have the same.
    next: u64,
    window: Window,
}

/// Whoever answered renews a little later than who began, so that seldom both do.
const RESPONDER_WAITS: Duration = Duration::from_secs(15);

impl Session {
    pub(crate) fn new(
        transport: StatelessTransportState,
        suite: Suite,
        [local, remote]: [u32; 2],
        is_initiator: bool,
        born: Instant,
    ) -> Self {
        Self { transport, suite, local, remote, is_initiator, born, next: 0, window: Window::new() }
    }

    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }

    /// Says whether it is time for other keys, by the clock or by what went through these.
    pub(crate) fn is_due(&self, now: Instant, limits: &Limits) -> bool {
        let (after, packets) = if self.is_initiator {
            (limits.renew_after, limits.renew_packets)
        } else {
            (limits.renew_after + RESPONDER_WAITS, limits.renew_packets + limits.renew_packets / 4)
        };
        self.age(now) >= after || self.next >= packets
    }

    pub(crate) fn is_over(&self, now: Instant, limits: &Limits) -> bool {
        self.age(now) >= limits.end_after || self.next >= limits.end_packets
    }

    /// Seals and appends the message. Its room is 16 bytes in front and 16 behind.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut BytesMut) -> Result<(), Trouble> {
        let start = out.len();
        out.extend_from_slice(&data_header(self.remote, self.next));
        out.resize(start + plain.len() + OVERHEAD, 0);
        match self.transport.write_message(self.next, plain, &mut out[start + DATA_HEADER..]) {
            Ok(_) => {
                self.next += 1;
                Ok(())
            }
            Err(_) => {
                out.truncate(start);
                Err(Trouble::TooLong)
            }
        }
    }

    /// Opens and appends what was sealed. The window moves only when the seal is intact.
    pub(crate) fn open(&mut self, counter: u64, sealed: &[u8], out: &mut BytesMut) -> Result<(), Trouble> {
        if !self.window.is_open_for(counter) {
            return Err(Trouble::Replayed);
        }
        let start = out.len();
        out.resize(start + sealed.len(), 0);
        match self.transport.read_message(counter, sealed, &mut out[start..]) {
            Ok(length) => {
                out.truncate(start + length);
                self.window.take(counter);
                Ok(())
            }
            Err(_) => {
                out.truncate(start);
                Err(Trouble::Broken)
            }
        }
    }
}
