//! The journal and the diff together, on a host in memory.

use std::collections::{BTreeMap, BTreeSet};

use horizon_dataplane::apply::{
    Action, Firewall, HostState, Interface, InterfaceName, Link, Masquerade, Observed, Route, SysctlKey,
};

use super::*;
use crate::Recorder;

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

fn wanted() -> HostState {
    let link = Link { mtu: 1400, queue_packets: 32, is_up: true };
    let address = "10.7.0.1/24".parse().unwrap();
    let masquerade =
        Masquerade::new("10.7.0.0/24".parse().unwrap(), "192.168.1.0/24".parse().unwrap()).unwrap();
    HostState {
        interfaces: BTreeMap::from([(
            name("hzn0"),
            Interface { link, addresses: BTreeSet::from([address]) },
        )]),
        routes: BTreeSet::from([Route::new("10.8.0.0/16".parse().unwrap(), name("hzn0"))]),
        sysctls: BTreeMap::from([(SysctlKey::ipv4_forwarding(), "1".to_owned())]),
        firewall: Some(Firewall {
            tuns: BTreeSet::from([name("hzn0")]),
            masquerades: BTreeSet::from([masquerade]),
            guards: BTreeSet::new(),
        }),
    }
}

fn add_route() -> Action {
    Action::AddRoute(Route::new("10.8.0.0/16".parse().unwrap(), name("hzn0")))
}

/// The host in memory as it is before us: it has one sysctl.
fn untouched() -> Observed {
    Observed { sysctls: BTreeMap::from([(SysctlKey::ipv4_forwarding(), "0".into())]), ..Observed::default() }
}

fn open(folder: &tempfile::TempDir, executor: Recorder) -> Host<Recorder> {
    Host::open(folder.path(), executor).unwrap()
}

#[tokio::test]
async fn converging_twice_changes_once_and_undoing_restores() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = open(&folder, Recorder::default());

    assert_eq!(host.converge(&wanted()).await.unwrap(), 6);
    assert_eq!(host.converge(&wanted()).await.unwrap(), 0);
    assert_eq!(host.undo_all().await.unwrap(), 6);

    assert_eq!(host.executor.host, untouched());
    assert!(host.journal.applied().is_empty());
}

#[tokio::test]
async fn a_failed_change_names_itself_and_takes_the_others_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = open(&folder, Recorder { fails: Some(add_route()), ..Recorder::default() });

    let error = host.converge(&wanted()).await.unwrap_err();

    assert!(error.to_string().starts_with("add route 10.8.0.0/16 dev hzn0"), "{error}");
    assert_eq!(host.executor.host, untouched());
    assert!(host.journal.applied().is_empty());
    assert_eq!(*host.wanted(), HostState::default());
}

#[tokio::test]
async fn a_failed_change_keeps_what_was_converged_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = open(&folder, Recorder { fails: Some(add_route()), ..Recorder::default() });
    let before = HostState { routes: BTreeSet::new(), ..wanted() };
    host.converge(&before).await.unwrap();
    let seen = host.executor.host.clone();

    let after = HostState { firewall: None, ..wanted() };
    host.converge(&after).await.unwrap_err();

    assert_eq!(host.executor.host, seen);
    assert_eq!(*host.wanted(), before);
}

#[tokio::test]
async fn the_next_start_takes_back_what_a_kill_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut killed = open(&folder, Recorder::default());
    killed.converge(&wanted()).await.unwrap();
    let left = killed.executor.clone();
    drop(killed);

    let mut host = open(&folder, left);
    assert_eq!(host.recover(Leftovers::Undo).await.unwrap(), 6);

    assert_eq!(host.executor.host, untouched());
}

#[tokio::test]
async fn the_next_start_adopts_what_is_still_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let mut killed = open(&folder, Recorder::default());
    killed.converge(&wanted()).await.unwrap();
    let left = Recorder { host: killed.executor.host.clone(), ..Recorder::default() };
    drop(killed);

    let mut host = open(&folder, left);
    let still = HostState { routes: BTreeSet::new(), ..wanted() };
    host.recover(Leftovers::Adopt(&still)).await.unwrap();
    host.converge(&still).await.unwrap();
    assert_eq!(host.executor.actions, [add_route().undo()]);
    host.undo_all().await.unwrap();

    assert_eq!(host.executor.host, untouched());
}

#[tokio::test]
async fn a_kill_at_any_change_is_recovered_from() {
    let steps = {
        let folder = tempfile::tempdir().unwrap();
        let mut host = open(&folder, Recorder::default());
        host.converge(&wanted()).await.unwrap();
        host.executor.actions.clone()
    };
    for (made, cut) in steps.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let mut killed = open(&folder, Recorder::default());
        killed.executor.observe(&wanted()).await.unwrap();
        for action in &steps[..made] {
            killed.make(action.clone()).await.unwrap();
        }
        // The line is on disk; whether the change was made nobody knows.
        killed.journal.begin(cut).unwrap();
        let not_made = killed.executor.clone();
        killed.executor.execute(cut).await.unwrap();
        let copy = std::fs::read(folder.path().join("host-journal")).unwrap();

        for left in [not_made, killed.executor.clone()] {
            std::fs::write(folder.path().join("host-journal"), &copy).unwrap();
            let mut host = open(&folder, left);
            host.recover(Leftovers::Undo).await.unwrap();
            assert_eq!(host.executor.host, untouched(), "killed at {cut}");
        }
    }
}

#[tokio::test]
async fn what_was_flushed_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = open(&folder, Recorder::default());
    host.converge(&wanted()).await.unwrap();
    let seen = host.executor.host.clone();
    host.executor.host = untouched();

    assert_eq!(host.reassert().await.unwrap(), 6);
    assert_eq!(host.reassert().await.unwrap(), 0);

    assert_eq!(host.executor.host, seen);
}

#[tokio::test]
async fn a_host_that_forwards_only_because_of_us_is_guarded_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut killed = open(&folder, Recorder::default());
    killed.converge(&wanted()).await.unwrap();
    let left = Recorder { host: killed.executor.host.clone(), ..Recorder::default() };
    drop(killed);

    let mut host = open(&folder, left);
    host.recover(Leftovers::Adopt(&wanted())).await.unwrap();
    assert_eq!(host.converge(&wanted()).await.unwrap(), 0);

    let guards = host.executor.host.firewall.unwrap().guards;
    assert_eq!(guards, BTreeSet::from([SysctlKey::ipv4_forwarding()]));
}

#[test]
fn converging_may_run_on_any_thread() {
    fn check<T: Send>(_: T) {}
    let folder = tempfile::tempdir().unwrap();
    let mut host = open(&folder, Recorder::default());
    check(host.converge(&HostState::default()));
}
