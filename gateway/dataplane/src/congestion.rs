//! A delay-based bound on what a link has on its way: rate × (least RTT + target).
//!
//! Tunnelled flows answer to loss themselves; a second, loss-based answer outside collapses them (RFC 9221 §5 leaves the
//! choice of control for datagrams to us; RFC 8085 §3.1.11 asks that tunnels of congestion-controlled traffic do not
//! control it twice, and that the others still are). Without any bound the queue of all flows stands in the path or in
//! the receiver's socket, first come first served. This keeps it small there, so that it stands in [`crate::fair`],
//! where it can be ordered and cut.
//!
//! Once a round trip: window = window × (least + target) / RTT of that round. Far below the target it grows by a
//! quarter, at the start it doubles, and it grows only while it is used. The target is at least a quarter of the least
//! RTT. On a near path the window has a floor that delay does not take it below. Isolated loss is ignored; a round with
//! over a tenth lost, or marked by ECN, takes 30 %; persistent congestion (RFC 9002 §7.6) goes back to the smallest
//! window. When no new least RTT was seen for 10 s, one round at half the window looks for it.
//!
//! `quinn_proto` paces, and holds datagrams back in a FIFO of its own, as soon as `window` is below 2^32. So `window`
//! says "no limit", and the loop asks [`Room`] before it takes a frame from the queue.

use quinn_proto::congestion::{Controller, ControllerFactory};
use quinn_proto::{Connection, RttEstimator};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What `quinn_proto` sees: above 2^32 it does not pace.
const UNLIMITED: u64 = 1 << 40;
/// The smallest window of RFC 9002 §7.2: two datagrams.
const WINDOW_COLLAPSED: u64 = 2 * 1200;
/// Fewer lost bytes in a round are chance: one packet of five is no full path.
const LOST_BYTES_MIN: u64 = 8 * 1500;
/// What is left after a round of heavy loss, or of marks; also the most that delay takes in one round.
const DECREASE: f64 = 0.7;
/// On a path this short, delay beyond the least RTT is mostly the hosts' own: a core that is busy elsewhere. A smaller
/// window does not shorten it, and below [`NEAR_WINDOW`] only takes rate away. With both ends on two busy cores: 512 KiB
/// carry a tenth more than 256 KiB, 1 MiB no more than that; the delay under load is 1.7 ms. At a gigabit a second it is
/// a queue of 4 ms at most.
const NEAR_RTT: Duration = Duration::from_millis(1);
const NEAR_WINDOW: f64 = (512 << 10) as f64;
/// RTTs change with routes; older than this the least one is looked for again.
const LEAST_RTT_AGE_MAX: Duration = Duration::from_secs(10);
/// A transmission of at most this size is an acknowledgement alone, which is never acknowledged in turn.
const ACK_ONLY_BYTES_MAX: u64 = 128;

/// How much is on its way and how much may be; read by the loop.
#[derive(Debug, Default)]
pub struct Room {
    window: AtomicU64,
    flight: AtomicU64,
    least_rtt_us: AtomicU64,
}

impl Room {
    /// Returns the room of a connection with this controller.
    ///
    /// To be asked again whenever the remote address changed or after `path_changed`: a path has its own controller.
    pub fn of(connection: &Connection) -> Option<Arc<Self>> {
        let controller = connection.congestion_state().clone_box().into_any();
        controller.downcast::<DelayController>().ok().map(|controller| controller.room)
    }

    /// Tells whether more may be sent.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.flight() < self.window()
    }

    /// Returns the bytes that may be on their way.
    #[inline]
    pub fn window(&self) -> u64 {
        self.window.load(Relaxed)
    }

    /// Returns the bytes that are on their way.
    #[inline]
    pub fn flight(&self) -> u64 {
        self.flight.load(Relaxed)
    }

    /// Returns the least RTT seen, zero at first.
    pub fn least_rtt(&self) -> Duration {
        Duration::from_micros(self.least_rtt_us.load(Relaxed))
    }
}

/// Settings, and the factory for `TransportConfig::congestion_controller_factory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayConfig {
    /// Delay that the link may add by its own queue.
    pub target: Duration,
    /// Window at the start, below which delay alone does not take it.
    pub window_min: u64,
    /// Largest window.
    pub window_max: u64,
}

impl Default for DelayConfig {
    /// Measured: 0.5 ms keeps 0.95 of the rate at three times the idle RTT, 0.3 ms half of it; 32 packets.
    fn default() -> Self {
        Self { target: Duration::from_micros(500), window_min: 32 * 1472, window_max: 64 << 20 }
    }
}

impl ControllerFactory for DelayConfig {
    fn build(self: Arc<Self>, now: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(DelayController::new(*self, now))
    }
}

/// The controller of one path.
#[derive(Debug, Clone)]
pub struct DelayController {
    config: DelayConfig,
    room: Arc<Room>,
    window: f64,
    /// Until the first sign of a full path it doubles.
    is_starting: bool,
    least_rtt: Option<(Duration, Instant)>,
    is_probing: bool,
    round: Round,
}

/// One round trip's worth of observations.
#[derive(Debug, Clone, Copy)]
struct Round {
    since: Instant,
    rtt_min: Duration,
    flight_max: u64,
    acked: u64,
    lost: u64,
    is_marked: bool,
}

impl Round {
    const fn new(since: Instant) -> Self {
        Self { since, rtt_min: Duration::MAX, flight_max: 0, acked: 0, lost: 0, is_marked: false }
    }

    fn is_congested(&self) -> bool {
        self.is_marked || (self.lost >= LOST_BYTES_MIN && self.lost * 10 > self.acked + self.lost)
    }
}

impl DelayController {
    /// Makes one for a path that nothing is known about.
    pub fn new(config: DelayConfig, now: Instant) -> Self {
        let controller = Self {
            config,
            room: Arc::default(),
            window: config.window_min as f64,
            is_starting: true,
            least_rtt: None,
            is_probing: false,
            round: Round::new(now),
        };
        controller.publish();
        controller
    }

    fn handle_sent(&mut self, bytes: u64) {
        if bytes > ACK_ONLY_BYTES_MAX {
            let flight = self.room.flight.fetch_add(bytes, Relaxed) + bytes;
            self.round.flight_max = self.round.flight_max.max(flight);
        }
    }

    fn handle_ack(&mut self, now: Instant, sent: Instant, bytes: u64) {
        self.round.acked += bytes;
        let rtt = now.saturating_duration_since(sent).max(Duration::from_micros(1));
        self.round.rtt_min = self.round.rtt_min.min(rtt);
        // A round ends when something sent after its beginning is acknowledged.
        if sent >= self.round.since {
            self.turn(now);
        }
    }

    fn handle_congestion(&mut self, is_persistent: bool, lost: u64) {
        self.round.lost += lost;
        self.round.is_marked |= lost == 0;
        let flight = self.room.flight();
        self.room.flight.store(flight.saturating_sub(lost), Relaxed);
        if is_persistent {
            self.window = WINDOW_COLLAPSED as f64;
            self.is_starting = true;
            self.publish();
        }
    }

    /// Sets the window for the next round.
    fn turn(&mut self, now: Instant) {
        let rtt = self.round.rtt_min;
        let (least, seen_at) = self.learn_least(now, rtt);
        let target = self.config.target.max(least / 4);
        let fit = (least + target).as_secs_f64() / rtt.as_secs_f64();
        // Delay takes it no lower than `window_min`; persistent congestion may have.
        let before = self.window;
        let floor = before.min(self.config.window_min as f64);
        if self.round.is_congested() {
            self.is_starting = false;
            self.window *= DECREASE;
        } else if fit < 1.0 {
            self.is_starting = false;
            self.window *= fit.max(DECREASE);
        } else if self.round.flight_max as f64 > self.window * 0.7 {
            self.window *= match (rtt < least + target / 2, self.is_starting) {
                (true, true) => 2.0,
                (true, false) => 1.25,
                (false, _) => 1.0 + (fit.min(1.5) - 1.0) / 2.0,
            };
        }
        if now.saturating_duration_since(seen_at) > LEAST_RTT_AGE_MAX && !self.is_probing {
            self.is_probing = true;
            self.window /= 2.0;
        }
        self.window = self.window.clamp(floor, self.config.window_max as f64);
        if least < NEAR_RTT && !self.round.is_congested() && self.window < NEAR_WINDOW {
            self.window = (before * 2.0).min(NEAR_WINDOW).max(self.window);
        }
        self.round = Round::new(now);
        self.publish();
    }

    /// Takes a round's RTT as the least if it is, or if it was looked for.
    fn learn_least(&mut self, now: Instant, rtt: Duration) -> (Duration, Instant) {
        let learnt = match self.least_rtt {
            Some((least, seen_at)) if rtt > least => {
                let is_old = now.saturating_duration_since(seen_at) > LEAST_RTT_AGE_MAX;
                if is_old && self.is_probing { (rtt, now) } else { (least, seen_at) }
            }
            Some(_) | None => (rtt, now),
        };
        if learnt.1 == now {
            self.is_probing = false;
        }
        self.least_rtt = Some(learnt);
        learnt
    }

    fn publish(&self) {
        self.room.window.store(self.window as u64, Relaxed);
        let least_us = self.least_rtt.map_or(0, |(least, _)| least.as_micros() as u64);
        self.room.least_rtt_us.store(least_us, Relaxed);
    }
}

impl Controller for DelayController {
    fn on_sent(&mut self, _: Instant, bytes: u64, _: u64) {
        self.handle_sent(bytes);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, _: bool, _: &RttEstimator) {
        self.handle_ack(now, sent, bytes);
    }

    fn on_end_acks(&mut self, _: Instant, in_flight: u64, _: bool, _: Option<u64>) {
        self.room.flight.store(in_flight, Relaxed);
    }

    fn on_congestion_event(&mut self, _: Instant, _: Instant, is_persistent: bool, lost: u64) {
        self.handle_congestion(is_persistent, lost);
    }

    fn on_mtu_update(&mut self, _: u16) {}

    fn window(&self) -> u64 {
        UNLIMITED
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        UNLIMITED
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests;
