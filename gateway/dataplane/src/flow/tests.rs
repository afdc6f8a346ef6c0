//! Facts about what is remembered, for how long, and what makes room.

use super::*;
use crate::testing::{tcp, udp};

const FIN_ACK: u8 = 0x11;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const RST: u8 = 0x04;

struct World {
    flows: FlowTable,
    start: Instant,
    asked: u32,
}

impl World {
    fn new(flows_max: usize) -> Self {
        Self { flows: FlowTable::new(flows_max, 3), start: Instant::now(), asked: 0 }
    }

    fn pass(&mut self, at_s: u64, bytes: &[u8], action: Action) -> Passage {
        let packet = Packet::parse(bytes).unwrap();
        let at = Moment { now: self.start + Duration::from_secs(at_s), unix_s: 0 };
        let asked = &mut self.asked;
        self.flows.pass(&packet, Stamp::default(), at, |_| {
            *asked += 1;
            Decision { action, rule: None, holds_until: None }
        })
    }

    fn is_allowed(&mut self, at_s: u64, bytes: &[u8], action: Action) -> bool {
        matches!(self.pass(at_s, bytes, action), Passage::Allowed(_))
    }

    /// A flow that was answered.
    fn establish(&mut self, at_s: u64, port: u16) {
        let (here, there) = (format!("10.0.0.1:{port}"), "10.0.0.2:80");
        self.pass(at_s, &tcp(&here, there, SYN, b""), Action::Allow);
        self.pass(at_s, &tcp(there, &here, 0x12, b""), Action::Deny);
    }
}

fn from(port: u16) -> Vec<u8> {
    tcp(&format!("10.0.0.1:{port}"), "10.0.0.2:80", ACK, b"x")
}

#[test]
fn each_direction_is_asked_for_once() {
    let mut world = World::new(10);
    for at_s in 0..5 {
        assert!(world.is_allowed(at_s, &from(1), Action::Allow));
        assert!(world.is_allowed(at_s, &tcp("10.0.0.2:80", "10.0.0.1:1", ACK, b""), Action::Deny));
    }

    assert_eq!((world.asked, world.flows.len()), (2, 1));
}

#[test]
fn silence_ends_a_flow_by_its_kind() {
    let udp_there = udp("10.0.0.1:1", "10.0.0.2:80", b"");
    let udp_back = udp("10.0.0.2:80", "10.0.0.1:1", b"");
    for (is_answered, silence_s) in [(false, 30), (true, 180)] {
        for (wait_s, passes) in [(silence_s - 1, true), (silence_s, false)] {
            let mut world = World::new(10);
            world.pass(0, &udp_there, Action::Allow);
            if is_answered {
                world.pass(0, &udp_back, Action::Deny);
            }
            assert_eq!(world.is_allowed(wait_s, &udp_back, Action::Deny), passes, "{is_answered} {wait_s}");
        }
    }
}

#[test]
fn closed_connection_is_forgotten_soon() {
    for closing in [[FIN_ACK, FIN_ACK], [RST, ACK]] {
        let mut world = World::new(10);
        world.establish(0, 1);
        world.pass(1, &tcp("10.0.0.1:1", "10.0.0.2:80", closing[0], b""), Action::Deny);
        world.pass(1, &tcp("10.0.0.2:80", "10.0.0.1:1", closing[1], b""), Action::Deny);
        world.flows.handle_timeout(world.start + Duration::from_secs(10));
        assert_eq!(world.flows.len(), 1);
        world.flows.handle_timeout(world.start + Duration::from_secs(11));
        assert_eq!(world.flows.len(), 0);
    }
}

#[test]
fn timeouts_forget_and_are_announced() {
    let mut world = World::new(10);
    world.establish(0, 1);
    world.pass(0, &from(2), Action::Deny);
    world.pass(5, &from(3), Action::Allow);
    let after = |seconds| world.start + Duration::from_secs(seconds);

    assert_eq!(world.flows.poll_timeout(), Some(after(10)));
    world.flows.handle_timeout(after(10));
    assert_eq!((world.flows.len(), world.flows.poll_timeout()), (2, Some(after(35))));
    world.flows.handle_timeout(after(35));
    assert_eq!((world.flows.len(), world.flows.poll_timeout()), (1, Some(after(7440))));
}

#[test]
fn denied_and_unanswered_flows_make_room_first() {
    let mut world = World::new(3);
    world.establish(0, 1);
    world.pass(0, &from(2), Action::Allow);
    world.pass(1, &from(3), Action::Deny);

    world.pass(2, &from(4), Action::Allow);
    assert!(world.is_allowed(3, &from(2), Action::Deny), "the denied flow went, not this");
    world.pass(4, &from(5), Action::Allow);
    assert!(!world.is_allowed(5, &from(4), Action::Deny), "the older unanswered flow went");
    assert!(world.is_allowed(5, &from(1), Action::Deny), "the flow in use stays");
    assert!(world.flows.len() <= 3);
}

#[test]
fn flows_in_use_are_not_pushed_out() {
    let mut world = World::new(2);
    world.establish(0, 1);
    world.establish(30, 2);

    assert_eq!(world.pass(40, &from(3), Action::Allow), Passage::Dropped(DropReason::FlowTableFull));
    assert!(matches!(world.pass(40, &from(3), Action::Deny), Passage::Denied(_)));
    assert!(world.is_allowed(61, &from(3), Action::Allow), "a flow that was silent for a minute makes room");
    assert!(world.is_allowed(61, &from(2), Action::Deny));
}

proptest::proptest! {
    #[test]
    fn table_stays_within_its_bound_and_its_lists_whole(
        steps in proptest::collection::vec((0u64..40, 1u16..12, 0u8..4, proptest::bool::ANY), 1..300),
    ) {
        let mut world = World::new(5);
        let mut at_s = 0;
        for (wait_s, port, kind, allowed) in steps {
            at_s += wait_s;
            let (here, there) = (format!("10.0.0.1:{port}"), "10.0.0.2:80".to_owned());
            let bytes = match kind {
                0 => tcp(&here, &there, SYN, b""),
                1 => tcp(&there, &here, ACK, b""),
                2 => tcp(&here, &there, FIN_ACK, b""),
                _ => udp(&there, &here, b""),
            };
            world.pass(at_s, &bytes, if allowed { Action::Allow } else { Action::Deny });
            if kind == 3 {
                world.flows.handle_timeout(world.start + Duration::from_secs(at_s));
            }
            proptest::prop_assert!(world.flows.len() <= 5);
            let listed: usize = Class::ALL.into_iter().map(|class| {
                let mut count = 0;
                let mut place = world.flows.lists.first(class);
                while let Some(at) = place {
                    let entry = &world.flows.entries[at as usize];
                    assert_eq!(entry.listed, class);
                    place = (entry.after != u32::MAX).then_some(entry.after);
                    count += 1;
                }
                count
            }).sum();
            proptest::prop_assert_eq!(listed, world.flows.len());
        }
        world.flows.handle_timeout(world.start + Duration::from_secs(at_s + 8000));
        proptest::prop_assert!(world.flows.is_empty() && world.flows.poll_timeout().is_none());
    }
}
