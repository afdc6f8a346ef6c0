//! Servers that are not as they should be, with a real store: who is held, by whose word, and for how long.

use std::time::Duration;

use horizon_api::{
    assignment::Version,
    http::{InviteKind, ReleaseRequest, TrustView},
    token::TokenKind,
    tpm::AttestationKey,
    wire::cfg::Heartbeat,
};
use horizon_planner::compile::Standing;
use horizon_trust::{
    challenge::{Outcome, Verification},
    quote::{Clock, Facts, Quoted, State},
    server::Arrival,
};

use super::{ALICE, NETWORK, REMOTE, SERVER, World, check_refused, hash, node, registration_key, token};
use crate::{
    event::{AttachRequest, GatewayReport, ReportKind},
    store::Store,
};
use horizon_api::{resource::ObjectKey, wire::RefusalCode};

const NOW: i64 = 1_800_000_000_000;

pub(super) fn arrival() -> Arrival {
    let (evidence, quoted) = Default::default();
    Arrival { evidence, quoted, remote: REMOTE, running: None, answers: true }
}

fn quarantines() -> String {
    SERVER.replace("identity:", "verification: {onFailure: Quarantine}, identity:")
}

fn gw() -> ObjectKey {
    "Server/gw".parse().unwrap()
}

impl World {
    /// A bound server, declared as this text says.
    async fn bound(server: &str) -> Self {
        let own = token(TokenKind::Registration, 1);
        let mut world = Self::start(&[NETWORK, ALICE, server, &registration_key("gw", &hash(&own))]).await;
        world.join(&own, 1).await.unwrap();
        world
    }

    async fn tells(&mut self, kind: ReportKind) {
        self.tells_in(1, kind).await;
    }

    async fn tells_in(&mut self, session: usize, kind: ReportKind) {
        let report = GatewayReport { gateway: node(1), session, remote: REMOTE, at_ms: NOW, kind };
        self.reconciler.report(report).await;
    }

    fn is_connected(&self) -> bool {
        self.reconciler.state.gateways[&node(1)].is_connected()
    }

    async fn beats(&mut self, boot: u8, counter: u64) {
        let beat = Heartbeat { boot_id: [boot; 16], counter, time_ms: NOW, ..Heartbeat::default() };
        self.tells(ReportKind::Heartbeat(beat)).await;
    }

    async fn is_silent(&mut self) {
        let latency = Duration::from_secs(10);
        self.tells(ReportKind::Challenged(Verification { outcome: Outcome::Silent, latency })).await;
    }

    async fn cloned() -> Self {
        let mut world = Self::bound(&quarantines()).await;
        world.beats(1, 1).await;
        world.beats(2, 1).await;
        world.beats(1, 2).await;
        world
    }

    fn trust(&self) -> TrustView {
        self.reconciler.state.trust_view(&gw())
    }

    fn standing(&self) -> Standing {
        self.reconciler.state.compiled.effective.servers[&gw()].standing
    }

    /// Keeps what is known at once.
    async fn save(&mut self) {
        self.reconciler.state.trust.saved_at_ms = 0;
        self.reconciler.save_trust().await;
    }
}

#[tokio::test]
async fn a_clone_is_told_and_goes_on_where_nothing_else_is_declared() {
    let mut world = World::bound(SERVER).await;
    world.beats(1, 1).await;
    world.beats(2, 1).await;
    world.beats(1, 2).await;

    assert_eq!(world.kinds_of_events().await[0], "ServerCloned");
    assert_eq!((world.trust().quarantine, world.standing()), (None, Standing::Active));
}

#[tokio::test]
async fn a_clone_is_held_until_somebody_releases_it_across_restarts() {
    let world = World::cloned().await;
    assert_eq!(world.kinds_of_events().await[..2], ["ServerQuarantined", "ServerCloned"]);
    assert_eq!(world.standing(), Standing::Held);

    let mut world = world.restart().await;
    let own = token(TokenKind::Registration, 1);
    world.declare(&[NETWORK, ALICE, &quarantines(), &registration_key("gw", &hash(&own))]).await;
    let reason = world.trust().quarantine.expect("still held");
    assert!(reason.starts_with("two daemons"), "{reason}");
    let hold = world.reconciler.state.holds[&gw()].clone();
    assert_eq!((hold.by.as_str(), hold.is_active(4_000_000_000)), ("controller", true));

    world.reconciler.release(&ReleaseRequest { object: gw() }).await.unwrap();

    assert_eq!((world.trust().quarantine, world.standing()), (None, Standing::Active));
    assert_eq!(world.kinds_of_events().await[0], "ServerReleased");
}

#[tokio::test]
async fn a_released_server_whose_clone_still_runs_is_held_again() {
    let mut world = World::cloned().await;
    world.reconciler.release(&ReleaseRequest { object: gw() }).await.unwrap();

    world.beats(1, 3).await;
    let alone = world.standing();
    world.beats(2, 2).await;

    assert_eq!((alone, world.standing()), (Standing::Active, Standing::Held));
}

#[tokio::test]
async fn a_quarantine_that_the_store_refuses_is_made_up_for() {
    let mut world = World::bound(&quarantines()).await;
    world.beats(1, 1).await;
    world.beats(2, 1).await;
    let lock = Store::lock_out(world.folder.path());
    world.beats(1, 2).await;
    let during = world.standing();
    drop(lock);

    world.reconciler.wake().await;

    assert_eq!((during, world.standing()), (Standing::Active, Standing::Held));
}

#[tokio::test]
async fn what_is_known_of_a_server_outlives_the_process_and_goes_with_its_object() {
    let mut world = World::bound(SERVER).await;
    world.is_silent().await;
    world.beats(1, 7).await;
    world.save().await;

    let mut world = world.restart().await;
    let own = token(TokenKind::Registration, 1);
    let key = registration_key("gw", &hash(&own));
    world.declare(&[NETWORK, ALICE, SERVER, &key]).await;
    assert_eq!((world.trust().challenges, world.trust().failed_total), (1, 1));
    world.beats(1, 7).await;
    assert_eq!(world.kinds_of_events().await[0], "HeartbeatReplayed");
    assert!(world.reconciler.state.gateways.is_empty(), "a replay says nothing about the gateway");

    world.declare(&[NETWORK, ALICE, &key]).await;
    world.save().await;
    assert_eq!(world.reconciler.store.load().await.unwrap().trust, []);
}

fn quote(seed: u8) -> Quoted {
    let key = AttestationKey::from_public(&AttestationKey::template(&[seed; 32])).unwrap();
    let clock = Clock { resets: 1, restarts: 0, on_ms: 1 };
    Quoted::Genuine(Box::new(Facts { key, state: State { pcrs: Default::default(), clock } }))
}

impl World {
    /// Its gateway comes, with a TPM; returns the kinds of events from then on.
    async fn shows(&mut self, quoted: Quoted) -> Vec<String> {
        let before = self.kinds_of_events().await.len();
        let arrival = Box::new(Arrival { quoted, ..arrival() });
        self.tells(ReportKind::Connected { version: "1".into(), arrival }).await;
        let mut kinds = self.kinds_of_events().await;
        kinds.truncate(kinds.len() - before);
        kinds
    }
}

#[tokio::test]
async fn only_a_token_that_was_not_used_lets_a_host_come_with_another_tpm() {
    let own = token(TokenKind::Registration, 1);
    let mut world = World::bound(&quarantines()).await;
    assert_eq!(world.shows(quote(1)).await, ["TpmSeen"]);

    // A thief of the key and of the join string.
    world.join(&own, 1).await.unwrap();
    assert_eq!(world.shows(quote(2)).await, ["ServerQuarantined", "TpmReplaced"]);
    world.reconciler.release(&ReleaseRequest { object: gw() }).await.unwrap();
    assert_eq!(world.shows(quote(1)).await, Vec::<String>::new());

    // An operator whose host has another TPM.
    check_refused_invite(world.invite(InviteKind::Server, "gw").await);
    let declared =
        quarantines().replace("registrationKeyRef: {name: gw}", "registrationKeyRef: {name: again}");
    let keys = [registration_key("gw", &hash(&own)), registration_key("again", "generate: {}")];
    world.declare(&[NETWORK, ALICE, &declared, &keys[0], &keys[1]]).await;
    let again = world.invite(InviteKind::Server, "gw").await.unwrap();
    check_refused(world.join(&again, 2).await, RefusalCode::AlreadyBound);
    world.join(&again, 1).await.unwrap();

    assert_eq!(world.shows(quote(2)).await, ["TpmSeen"]);
    assert_eq!(world.standing(), Standing::Active);
    check_refused_invite(world.invite(InviteKind::Server, "gw").await);
}

fn check_refused_invite(invited: Result<horizon_api::token::Token, String>) {
    assert!(invited.err().unwrap().contains("AlreadyBound"));
}

#[tokio::test]
async fn a_gateway_is_let_in_from_its_ranges_only() {
    let limited = |range: &str| {
        SERVER.replace("{registrationKeyRef", &format!("{{sourceCidrs: [{range}], registrationKeyRef"))
    };
    let own = token(TokenKind::Registration, 1);
    let key = registration_key("gw", &hash(&own));
    let mut world = World::start(&[NETWORK, &limited("203.0.113.0/24"), &key]).await;

    check_refused(world.join(&own, 1).await, RefusalCode::SourceNotAllowed);
    world.declare(&[NETWORK, &limited("192.0.2.0/24"), &key]).await;
    world.join(&own, 1).await.unwrap();
    let attach = AttachRequest { gateway: node(1), follows: vec![], remote: REMOTE };
    assert!(world.reconciler.attach(&attach).await.is_ok());
    assert!(world._published.snapshots.borrow().is_allowed(&node(1), REMOTE));
    world.declare(&[NETWORK, &limited("203.0.113.0/24"), &key]).await;

    check_refused(world.reconciler.attach(&attach).await, RefusalCode::SourceNotAllowed);
    assert!(!world._published.snapshots.borrow().is_allowed(&node(1), REMOTE));
    assert!(world._published.snapshots.borrow().is_allowed(&node(2), REMOTE));
}

#[tokio::test]
async fn a_gateway_that_runs_less_than_it_acknowledged_is_held_where_that_is_declared() {
    let mut world = World::bound(&quarantines()).await;
    let assigned = world.reconciler.state.assignments.values().next().unwrap();
    let (assignment, revision) = (assigned.snapshot.hash, assigned.revision);
    let version = Version { epoch: world.reconciler.state.version.epoch, revision };
    world.tells(ReportKind::Ack { version, assignment }).await;

    let running = Some(Version { revision: revision - 1, ..version });
    let arrival = Box::new(Arrival { running, ..arrival() });
    world.tells(ReportKind::Connected { version: "1".into(), arrival }).await;

    assert_eq!(world.kinds_of_events().await[..2], ["ServerQuarantined", "ConfigurationRolledBack"]);
}

#[tokio::test]
async fn a_gateway_stays_connected_when_another_session_with_its_key_ends() {
    let mut world = World::bound(SERVER).await;
    let connected = || ReportKind::Connected { version: "1".into(), arrival: Box::new(arrival()) };
    world.tells_in(1, connected()).await;
    world.tells_in(2, connected()).await;

    world.tells_in(2, ReportKind::Disconnected).await;
    world.beats(1, 1).await;

    assert!(world.is_connected());
    world.tells_in(1, ReportKind::Disconnected).await;
    assert!(!world.is_connected());
}
