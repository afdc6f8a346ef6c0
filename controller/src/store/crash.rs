//! Kills a writing process at random moments and looks at what it left.
//!
//! `HORIZON_CRASH_ROUNDS=500` makes it thorough; `HORIZON_CRASH_SEED` repeats a run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::facts::{commit, object};
use super::{AuditState, CommitRevision, Event, Section, Severity, Store};

const CHILD: &str = "HORIZON_CRASH_FOLDER";
const OBJECTS: i64 = 20;

#[test]
fn killed_store_is_one_whole_revision_with_everything_acknowledged() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return write_until_killed(Path::new(&folder));
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = number("HORIZON_CRASH_ROUNDS").unwrap_or(5);
    let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let mut seed = number("HORIZON_CRASH_SEED").unwrap_or((clock & 0xffff_ffff) as u64);
    println!("HORIZON_CRASH_SEED={seed} HORIZON_CRASH_ROUNDS={rounds}");
    let folder = tempfile::tempdir().unwrap();
    let mut promised = Promised::default();

    for round in 0..rounds {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let delay = Duration::from_millis((seed >> 33) % 300);
        promised.acknowledged.extend(killed_after(folder.path(), delay));
        check(folder.path(), &mut promised, round);
    }

    let count = promised.acknowledged.len() as u64;
    assert!(count > rounds, "only {count} acknowledged");
}

/// What the killed processes were told is committed.
#[derive(Default)]
struct Promised {
    acknowledged: BTreeSet<String>,
    /// Events that were there, by their place in the order of arrival: the oldest may go, and no other.
    seen: BTreeMap<i64, String>,
}

impl Promised {
    /// Expects no event any more that was there and is older than the oldest that is kept.
    fn forget_before(&mut self, oldest: i64) {
        let kept = self.seen.split_off(&oldest);
        for id in std::mem::replace(&mut self.seen, kept).into_values() {
            self.acknowledged.remove(&id);
        }
    }
}

/// Starts a writing process, kills it, and returns what it had been told is committed.
fn killed_after(folder: &Path, delay: Duration) -> Vec<String> {
    let name = "killed_store_is_one_whole_revision_with_everything_acknowledged";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&format!("store::crash::{name}"), "--exact", "--nocapture"])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = Vec::new();
    let mut next = || lines.next().map(Result::unwrap);
    while next().unwrap() != "writing" {}
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    while let Some(line) = next() {
        // A line that was cut short by the kill has no full stop.
        told.extend(line.strip_suffix('.').map(str::to_owned));
    }
    told
}

fn check(folder: &Path, promised: &mut Promised, round: u64) {
    let store = Store::open(folder).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stored = runtime.block_on(store.load()).unwrap();
    let events = runtime.block_on(store.recent_events(i64::MAX)).unwrap();
    let audit = runtime.block_on(store.verify_audit());

    let number = stored.revision.as_ref().map_or(0, |revision| revision.number);
    promised.forget_before(events.last().map_or(0, |oldest| oldest.seq));
    promised.seen = events.into_iter().map(|stored| (stored.seq, stored.event.id)).collect();
    let mut found: BTreeSet<String> = promised.seen.values().cloned().collect();
    found.extend((1..=number).map(|number| format!("revision {number}")));
    let lost: Vec<_> = promised.acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "round {round}: lost {lost:?}");
    let expected = if number == 0 { vec![] } else { next_commit(number).objects };
    assert_eq!(stored.objects, expected, "round {round}");
    assert_eq!(stored.sections, if number == 0 { vec![] } else { sections(number) }, "round {round}");
    match audit {
        AuditState::Empty => assert_eq!(number, 0),
        AuditState::Intact { seq, .. } => assert_eq!(seq, number, "round {round}"),
        AuditState::Broken { seq } => panic!("round {round}: audit broken at {seq}"),
    }
}

fn write_until_killed(folder: &Path) {
    let store = Store::open(folder).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let first = store.load().await.unwrap().revision.map_or(0, |revision| revision.number) + 1;
        tell("\nwriting\n");
        for writer in 0..4 {
            let store = store.clone();
            let start = store.start().number;
            tokio::spawn(async move {
                for number in 0.. {
                    let id = format!("event {start}-{writer}-{number}");
                    store.add_event(event(&id)).await.unwrap();
                    tell(&format!("{id}.\n"));
                }
            });
        }
        for number in first.. {
            store.commit_revision(next_commit(number)).await.unwrap();
            tell(&format!("revision {number}.\n"));
        }
    });
}

fn next_commit(number: i64) -> CommitRevision {
    CommitRevision {
        objects: (0..OBJECTS).map(|uid| object(&format!("{uid:02}"), number)).collect(),
        sections: sections(number),
        assignments: vec![super::Assignment {
            server: "s".into(),
            bytes: number.to_be_bytes().to_vec(),
            sections: sections(number).into_iter().map(|section| section.hash).collect(),
        }],
        ..commit(number)
    }
}

fn sections(number: i64) -> Vec<Section> {
    let bytes = number.to_be_bytes().repeat(1_000);
    vec![Section { hash: blake3::hash(&bytes).as_bytes().to_vec(), bytes }]
}

fn event(id: &str) -> Event {
    Event {
        id: id.into(),
        at: 1,
        kind: "Crash".into(),
        severity: Severity::Info,
        object: String::new(),
        remote: String::new(),
        detail: json!({}),
    }
}

/// Writes past the test harness, in one call, so that a kill cannot tear two lines into each other.
fn tell(text: &str) {
    std::io::stdout().lock().write_all(text.as_bytes()).unwrap();
    std::io::stdout().lock().flush().unwrap();
}
