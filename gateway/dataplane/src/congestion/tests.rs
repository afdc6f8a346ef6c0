//! Facts about the window, on a simulated path.

use super::*;
use std::collections::VecDeque;

const PACKET: u64 = 1400;

/// One bottleneck with a queue without end, and a sender that always has more to send.
struct Path {
    controller: DelayController,
    now: Instant,
    rtt: Duration,
    packet_time: Duration,
    free_at: Instant,
    flight: VecDeque<(Instant, Instant)>,
    sent: u64,
    acked: u64,
    lose_every: u64,
}

impl Path {
    fn new(mbit_per_s: u64, rtt: Duration) -> Self {
        let now = Instant::now();
        Self {
            controller: DelayController::new(DelayConfig::default(), now),
            now,
            rtt,
            packet_time: Duration::from_nanos(PACKET * 8 * 1000 / mbit_per_s),
            free_at: now,
            flight: VecDeque::new(),
            sent: 0,
            acked: 0,
            lose_every: u64::MAX,
        }
    }

    /// Runs for a while and returns (share of the rate that was used, longest queue in the path).
    fn run(&mut self, time: Duration) -> (f64, Duration) {
        let (start, acked_before) = (self.now, self.acked);
        let mut queue_max = Duration::ZERO;
        while self.now < start + time {
            while self.controller.room.is_open() {
                self.controller.handle_sent(PACKET);
                self.sent += 1;
                self.free_at = self.free_at.max(self.now) + self.packet_time;
                queue_max = queue_max.max(self.free_at - self.now);
                self.flight.push_back((self.now, self.free_at + self.rtt));
            }
            let Some((sent, arrives)) = self.flight.pop_front() else { break };
            self.now = self.now.max(arrives);
            self.acked += 1;
            if self.acked.is_multiple_of(self.lose_every) {
                self.controller.handle_congestion(false, PACKET);
            } else {
                self.controller.handle_ack(self.now, sent, PACKET);
            }
            self.controller.room.flight.store(self.flight.len() as u64 * PACKET, Relaxed);
        }
        let possible = (self.now - start).as_secs_f64() / self.packet_time.as_secs_f64();
        ((self.acked - acked_before) as f64 / possible, queue_max)
    }
}

#[test]
fn path_is_filled_with_a_short_queue() {
    for (mbit_per_s, rtt_us) in [(2000, 300), (200, 40_000), (20, 20_000)] {
        let rtt = Duration::from_micros(rtt_us);
        let mut path = Path::new(mbit_per_s, rtt);
        path.run(rtt * 60);
        let (used, queue) = path.run(rtt * 100);

        assert!(used > 0.9, "{mbit_per_s} Mbit/s: {used}");
        let target = Duration::from_micros(500).max(rtt / 4);
        // On a near path the floor of the window is the queue.
        let floor = if rtt < NEAR_RTT { NEAR_WINDOW * 8.0 / (mbit_per_s as f64 * 1e6) } else { 0.0 };
        let allowed = (target * 3).max(Duration::from_secs_f64(floor));
        assert!(queue < allowed, "{mbit_per_s} Mbit/s: {queue:?}");
    }
}

#[test]
fn isolated_loss_is_ignored() {
    let rtt = Duration::from_millis(40);
    let mut path = Path::new(200, rtt);
    path.lose_every = 100;
    path.run(rtt * 60);

    assert!(path.run(rtt * 100).0 > 0.9);
}

#[test]
fn heavy_loss_is_obeyed() {
    let rtt = Duration::from_millis(40);
    let mut path = Path::new(200, rtt);
    path.run(rtt * 60);
    let before = path.controller.room.window();
    path.lose_every = 5;
    path.run(rtt * 10);

    assert!(path.controller.room.window() < before / 4);
}

#[test]
fn persistent_congestion_goes_back_to_two_datagrams_and_recovers() {
    let rtt = Duration::from_millis(40);
    let mut path = Path::new(200, rtt);
    path.run(rtt * 60);
    path.controller.handle_congestion(true, PACKET);
    assert_eq!(path.controller.room.window(), WINDOW_COLLAPSED);
    path.run(rtt * 60);

    assert!(path.run(rtt * 60).0 > 0.9);
}

#[test]
fn mark_takes_as_much_as_loss() {
    let mut path = Path::new(200, Duration::from_millis(40));
    path.run(Duration::from_secs(3));
    let before = path.controller.room.window();
    path.controller.handle_congestion(false, 0);
    path.run(Duration::from_millis(60));

    assert!(path.controller.room.window() < before * 9 / 10);
}

#[test]
fn longer_route_is_learnt() {
    let mut path = Path::new(200, Duration::from_millis(10));
    path.run(Duration::from_secs(2));
    path.rtt = Duration::from_millis(50);
    path.run(Duration::from_secs(15));

    assert!(path.controller.room.least_rtt() > Duration::from_millis(45));
    assert!(path.run(Duration::from_secs(5)).0 > 0.85);
}

#[test]
fn unused_window_does_not_grow() {
    let now = Instant::now();
    let mut controller = DelayController::new(DelayConfig::default(), now);
    for round in 1..50u64 {
        let sent = now + Duration::from_millis(10 * round);
        controller.handle_sent(PACKET);
        controller.handle_ack(sent + Duration::from_millis(10), sent, PACKET);
        controller.room.flight.store(0, Relaxed);
    }

    assert_eq!(controller.room.window(), DelayConfig::default().window_min);
}

#[test]
fn acknowledgements_alone_do_not_close_the_room() {
    let mut controller = DelayController::new(DelayConfig::default(), Instant::now());
    for _ in 0..10_000 {
        controller.handle_sent(45);
    }

    assert!(controller.room.is_open());
}

#[test]
fn quinn_is_told_not_to_pace() {
    let controller = DelayController::new(DelayConfig::default(), Instant::now());

    assert!(controller.window() > u64::from(u32::MAX));
    let copy = controller.clone_box().into_any().downcast::<DelayController>().unwrap();
    assert!(Arc::ptr_eq(&copy.room, &controller.room));
}
