//! Facts about the machine of the link.

use horizon_api::key::SecretKey;

use super::*;

struct World {
    machine: Machine,
    at: Moment,
}

impl World {
    fn new() -> Self {
        let at = Moment { now: Instant::now(), unix_ms: 1_000, jitter: u32::MAX };
        Self { machine: Machine::new(0), at }
    }

    fn connecting() -> Self {
        let mut world = Self::new();
        world.machine.handle_connect(world.at);
        world
    }

    fn connected(names: &[&str]) -> Self {
        let mut world = Self::connecting();
        world.machine.handle_targets(targets(names), world.at);
        world.up();
        world.orders();
        world.pass(LASTING_LONG);
        world
    }

    fn pass(&mut self, time: Duration) {
        self.at.now += time;
        self.at.unix_ms += i64::try_from(time.as_millis()).expect("short");
    }

    fn up(&mut self) {
        self.machine.handle_accepted();
        self.machine.handle_configured(self.at);
    }

    fn lose(&mut self) {
        self.machine.handle_lost(Problem::new("silent", ""), self.at);
    }

    fn refuse(&mut self, code: RefusalCode) {
        self.machine.handle_refused(&Refusal::new(code, "no", "ask"), self.at);
    }

    fn wait(&mut self) -> Option<Duration> {
        let until = self.machine.poll_timeout()?;
        let wait = until - self.at.now;
        self.at.now = until;
        self.at.unix_ms += i64::try_from(wait.as_millis()).expect("short");
        self.machine.handle_timeout(self.at);
        Some(wait)
    }

    fn orders(&mut self) -> Vec<Order> {
        std::iter::from_fn(|| self.machine.poll_order()).collect()
    }

    fn name(&self) -> StateName {
        self.machine.state().name()
    }
}

fn target(server: &str) -> Target {
    Target {
        server: server.into(),
        key: SecretKey::from_seed(&[1; 32]).public(),
        next: None,
        network: NetworkId::new("default", "office"),
        remote: ([192, 0, 2, 1], 7444).into(),
    }
}

fn targets(names: &[&str]) -> Vec<Target> {
    names.iter().map(|name| target(name)).collect()
}

#[test]
fn it_is_connected_only_when_the_host_is_set() {
    let mut world = World::connecting();
    let looks = world.orders();
    world.machine.handle_targets(targets(&["a", "b"]), world.at);

    assert_eq!(looks, [Order::LookUp]);
    assert_eq!(world.orders(), [Order::Dial(target("a"))]);
    world.machine.handle_accepted();
    assert_eq!(world.machine.state(), State::Connecting(Step::Configure { server: "a".into() }));
    world.machine.handle_configured(world.at);
    assert_eq!(world.machine.state(), State::Connected { server: "a".into() });
}

#[test]
fn a_silent_server_gives_way_to_the_next_and_the_round_begins_again() {
    let mut world = World::connecting();
    world.orders();
    world.machine.handle_targets(targets(&["a", "b"]), world.at);

    world.lose();
    let second = world.orders();
    world.lose();

    assert_eq!(second, [Order::Dial(target("a")), Order::Dial(target("b"))]);
    assert_eq!(world.orders(), [Order::Refresh], "they may have moved");
    assert_eq!(world.machine.state(), State::Connecting(Step::Wait));
    assert_eq!(world.wait(), Some(Duration::from_millis(250)));
    assert_eq!(world.orders(), [Order::LookUp]);
}

#[test]
fn a_lost_link_is_made_again_at_once_and_then_less_and_less_often() {
    let mut world = World::connected(&["a"]);

    let lost_ms = world.at.unix_ms;
    world.lose();

    assert_eq!(world.orders(), [Order::LookUp]);
    assert_eq!((world.name(), world.machine.since_ms()), (StateName::Reconnecting, lost_ms));
    let mut waits = Vec::new();
    for _ in 0..6 {
        world.machine.handle_targets(targets(&["a"]), world.at);
        world.lose();
        waits.push(world.wait().expect("it waits").as_millis());
    }
    assert_eq!(waits, [250, 500, 1000, 2000, 4000, 5000]);
    assert_eq!((world.name(), world.machine.since_ms()), (StateName::Reconnecting, lost_ms));
}

#[test]
fn a_link_that_is_taken_and_closed_at_once_is_no_success() {
    let mut world = World::connected(&["a"]);
    world.lose();
    let mut waits = Vec::new();
    for _ in 0..4 {
        world.machine.handle_targets(targets(&["a"]), world.at);
        world.up();
        world.lose();
        waits.push(world.wait().expect("it waits").as_millis());
    }
    assert_eq!(waits, [250, 500, 1000, 2000]);

    world.machine.handle_targets(targets(&["a"]), world.at);
    world.up();
    world.orders();
    world.pass(LASTING);
    world.lose();

    assert_eq!(world.orders(), [Order::LookUp], "one that lasted is made again at once");
}

#[test]
fn a_grant_that_opens_the_link_for_a_moment_only_is_asked_for_once() {
    let mut world = World::connected(&["a"]);
    let mut refreshes = 0;
    for _ in 0..5 {
        world.refuse(RefusalCode::Revoked);
        refreshes += world.orders().iter().filter(|order| **order == Order::Refresh).count();
        world.machine.handle_granted();
        world.machine.handle_targets(targets(&["a"]), world.at);
        world.up();
    }

    assert_eq!(refreshes, 1);
}

#[test]
fn two_hosts_with_one_key_come_to_rest() {
    let mut world = World::connected(&["a"]);
    let mut waits = Vec::new();
    for _ in 0..4 {
        world.refuse(RefusalCode::Replaced);
        assert_eq!(world.orders(), [], "no grant changes it");
        assert_eq!(world.name(), StateName::Blocked);
        waits.push(world.wait().expect("it waits").as_secs());
        world.orders();
        world.machine.handle_targets(targets(&["a"]), world.at);
        world.up();
        world.orders();
        world.pass(Duration::from_secs(60));
    }

    assert_eq!(waits, [10, 20, 40, 60]);
}

#[test]
fn the_controller_is_asked_for_servers_now_and_then_however_often_attempts_fail() {
    let mut world = World::connecting();
    let begin = world.at.now;
    let mut asked = Vec::new();
    while world.at.now - begin < Duration::from_secs(70) {
        world.machine.handle_stale_offer(Problem::new("no server", "declare one"), world.at);
        if world.orders().contains(&Order::Refresh) {
            asked.push((world.at.now - begin).as_secs());
        }
        // The answer is as empty as before.
        world.machine.handle_granted();
        world.machine.handle_stale_offer(Problem::new("no server", "declare one"), world.at);
        assert!(!world.orders().contains(&Order::Refresh));
        world.wait().expect("it waits");
    }

    assert_eq!(asked, [0, 10, 30, 50]);
}

#[test]
fn a_list_without_a_server_is_asked_for_again_within_half_a_minute_for_as_long_as_it_takes() {
    for jitter in [0, u32::MAX / 3, u32::MAX / 2, u32::MAX] {
        let mut world = World::connecting();
        world.at.jitter = jitter;
        let mut asked = vec![world.at.now];
        while world.at.now - asked[0] < Duration::from_secs(600) {
            world.machine.handle_stale_offer(Problem::new("no server", "declare one"), world.at);
            if world.orders().contains(&Order::Refresh) {
                asked.push(world.at.now);
                world.machine.handle_granted();
            } else if world.wait() == Some(Duration::ZERO) {
                world.pass(Duration::from_secs(1));
            }
        }

        let longest = asked.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(longest <= Some(Duration::from_secs(30)), "{jitter}: {longest:?}");
        assert!(asked.len() < 62, "{jitter}: asked {} times", asked.len());
    }
}

#[test]
fn a_lost_carrier_is_made_again_wherever_the_link_stands() {
    let mut dialing = World::connecting();
    dialing.orders();
    dialing.machine.handle_targets(targets(&["a", "b"]), dialing.at);
    dialing.orders();
    let mut idle = World::new();
    for world in [&mut dialing, &mut idle] {
        world.machine.handle_carrier_lost(Problem::new("the interface is gone", ""), world.at);
    }
    let mut up = World::connected(&["a"]);
    up.machine.handle_carrier_lost(Problem::new("the interface is gone", ""), up.at);

    assert_eq!(dialing.orders(), [Order::LookUp]);
    assert_eq!((up.orders(), up.name()), (vec![Order::LookUp], StateName::Reconnecting));
    assert_eq!((idle.orders(), idle.name()), (vec![], StateName::Disconnected));
}

#[test]
fn a_refusal_asks_for_a_grant_once_tries_the_others_and_blocks() {
    let mut world = World::connecting();
    world.orders();
    world.machine.handle_targets(targets(&["a", "b"]), world.at);
    world.orders();

    world.refuse(RefusalCode::BadGrant);
    let orders = world.orders();
    world.refuse(RefusalCode::BadGrant);

    assert_eq!(orders, [Order::Refresh, Order::Dial(target("b"))]);
    assert_eq!(world.orders(), []);
    assert_eq!(world.machine.state(), State::Blocked(Problem::new("no", "ask")));
    world.machine.handle_granted();
    assert_eq!(world.orders(), [Order::LookUp]);
}

#[test]
fn a_blocked_link_is_tried_again_slowly_and_never_in_a_circle_with_the_controller() {
    let mut world = World::connecting();
    world.orders();
    let mut waits = Vec::new();
    let mut refreshes = 0;
    for _ in 0..5 {
        world.machine.handle_targets(targets(&["a"]), world.at);
        world.refuse(RefusalCode::Revoked);
        refreshes += world.orders().iter().filter(|order| **order == Order::Refresh).count();
        waits.push(world.wait().expect("it waits").as_secs());
    }

    assert_eq!(waits, [10, 20, 40, 60, 60]);
    assert_eq!(refreshes, 1);
    assert_eq!(world.name(), StateName::Blocked);
}

#[test]
fn a_refusal_for_now_only_is_no_block() {
    let mut world = World::connecting();
    world.orders();
    world.machine.handle_targets(targets(&["a"]), world.at);
    world.orders();

    world.refuse(RefusalCode::NotReady);

    assert_eq!(world.orders(), [Order::Refresh]);
    assert_eq!(world.name(), StateName::Connecting);
    assert_eq!(world.wait(), Some(Duration::from_millis(250)));
}

#[test]
fn a_link_that_is_closed_with_a_refusal_is_blocked_and_one_that_comes_back_is_not() {
    let mut world = World::connected(&["a"]);

    world.refuse(RefusalCode::Revoked);
    let blocked = world.name();
    world.machine.handle_granted();
    world.machine.handle_targets(targets(&["a"]), world.at);
    world.up();

    assert_eq!(blocked, StateName::Blocked);
    assert_eq!(world.name(), StateName::Connected);
}

#[test]
fn nobody_to_ask_is_waited_out() {
    let mut world = World::connecting();
    world.orders();

    world.machine.handle_targets(vec![], world.at);

    assert_eq!(world.name(), StateName::Connecting);
    assert!(world.wait().is_some());
}

#[test]
fn a_host_that_cannot_have_the_link_is_blocked() {
    let mut world = World::connecting();
    world.orders();

    world.machine.handle_unfit(Problem::new("no TUN", "load it"), world.at);

    assert_eq!(world.machine.state(), State::Blocked(Problem::new("no TUN", "load it")));
    assert_eq!(world.wait(), Some(Duration::from_secs(10)));
}

#[test]
fn late_news_of_a_link_that_nobody_wants_change_nothing() {
    let mut world = World::connected(&["a"]);

    world.machine.handle_disconnect(world.at);
    world.lose();
    world.refuse(RefusalCode::Busy);
    world.machine.handle_accepted();
    world.machine.handle_targets(targets(&["a"]), world.at);
    world.machine.handle_unfit(Problem::new("no TUN", ""), world.at);

    assert_eq!(world.machine.state(), State::Disconnected);
    assert_eq!(world.orders(), []);
    assert_eq!(world.machine.poll_timeout(), None);
}

#[test]
fn every_state_has_its_sentence() {
    let problem = Problem::from_line("silent for 3 s; check the cable");
    let states = [
        State::Disconnected,
        State::Connecting(Step::Wait),
        State::Connected { server: "a".into() },
        State::Reconnecting,
        State::Blocked(problem.clone()),
    ];
    for state in states {
        let said = state.explain(Some(&problem));

        assert!(!said.message.is_empty(), "{state:?}");
    }
    assert_eq!(problem, Problem::new("silent for 3 s", "check the cable"));
}
