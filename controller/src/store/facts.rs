//! What the store promises as a whole.

use std::os::unix::fs::PermissionsExt as _;

use horizon_node::data_folder::DataFolderError;
use serde_json::json;

use super::{
    Allocation, Assignment, AuditEntry, AuditState, Challenge, CommitOutcome, CommitRevision, Event, Guard,
    IssueOutcome, IssuedKey, NewLink, Object, ObjectConditions, Restored, Revision, Revoke, Section,
    Severity, Store, StoreError, TakeLink, Trust,
};

/// What only tests look at.
impl Store {
    pub(super) async fn section(&self, hash: Vec<u8>) -> Option<Section> {
        self.parts.readers.read(move |statements| super::section::find(statements, &hash)).await.unwrap()
    }

    pub(super) async fn audit_length(&self) -> usize {
        self.parts.readers.read(|statements| super::audit::tail(statements, i64::MAX)).await.unwrap().len()
    }

    /// Makes every write to the store of a folder fail until what is returned is dropped.
    pub(crate) fn lock_out(data: &std::path::Path) -> impl Sized + use<> {
        let mut other = super::writer::connect(&data.join("horizon.db")).unwrap();
        other.execute("BEGIN IMMEDIATE", vec![]).unwrap();
        other
    }

    pub(super) async fn verify_audit(&self) -> AuditState {
        self.parts.readers.read(|statements| super::audit::verify(statements, i64::MAX)).await.unwrap()
    }
}

pub(super) fn object(uid: &str, revision: i64) -> Object {
    Object {
        uid: uid.into(),
        kind: "Network".into(),
        namespace: "default".into(),
        name: uid.into(),
        generation: revision,
        source: "files:manifests".into(),
        locator: "manifests/a.yaml:1".into(),
        spec: format!("{{\"revision\":{revision}}}"),
        conditions: "[]".into(),
        created_at: 1,
        revision,
    }
}

pub(super) fn audit() -> AuditEntry {
    AuditEntry {
        at: 1,
        actor: "files".into(),
        action: "Commit".into(),
        object: String::new(),
        detail: json!({}),
    }
}

pub(super) fn commit(number: i64) -> CommitRevision {
    CommitRevision {
        revision: Revision {
            number,
            epoch: 1,
            hash: blake3::hash(&number.to_be_bytes()).as_bytes().to_vec(),
            created_at: number,
            summary: format!("revision {number}"),
        },
        objects: vec![],
        deleted: vec![],
        withdrawn: vec![],
        reenrolled: vec![],
        released: vec![],
        allocated: vec![],
        sections: vec![],
        assignments: vec![],
        unassigned: vec![],
        revoked: vec![],
        lifted: vec![],
        restored: Restored::default(),
        guard: Guard::default(),
        audit: audit(),
    }
}

fn allocation(owner: &str, address: &str) -> Allocation {
    Allocation { network: "office".into(), owner: owner.into(), address: address.into() }
}

fn section(text: &str) -> Section {
    Section { hash: blake3::hash(text.as_bytes()).as_bytes().to_vec(), bytes: text.into() }
}

fn assignment(server: &str, sections: &[Section]) -> Assignment {
    Assignment {
        server: server.into(),
        bytes: b"signed".to_vec(),
        sections: sections.iter().map(|section| section.hash.clone()).collect(),
    }
}

fn event(id: &str) -> Event {
    Event {
        id: id.into(),
        at: 1,
        kind: "KeyRefused".into(),
        severity: Severity::Medium,
        object: "Server/a\0b".into(),
        remote: "192.0.2.1:5".into(),
        detail: json!({ "reason": "Expired" }),
    }
}

#[track_caller]
fn check_open(prepare: impl FnOnce(&std::path::Path), expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    prepare(&data);
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = Store::open(&data).err().unwrap().to_string();
    let data = data.display().to_string();
    assert_eq!(error.replace(&data, "DATA"), expected);
}

#[test]
fn folder_that_cannot_be_used_is_refused_in_one_line() {
    check_open(
        |data| std::fs::write(data, "a file").unwrap(),
        "cannot use DATA: file exists (os error 17); name another data folder with --data DIR",
    );
    check_open(
        |data| {
            private_folder(data);
            std::fs::write(data.join("horizon.db"), "some other file, longer than a header".repeat(99))
                .unwrap();
        },
        "DATA/horizon.db is not a Horizon database: move it away, or restore a backup",
    );
    check_open(
        |data| {
            private_folder(data);
            std::fs::create_dir(data.join("horizon.db")).unwrap();
        },
        "cannot use DATA/horizon.db: is a directory (os error 21); name another data folder with --data DIR",
    );
}

fn private_folder(path: &std::path::Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(path).unwrap();
}

#[tokio::test]
async fn second_controller_is_refused_by_name_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path()).unwrap();

    let refused = Store::open(folder.path()).err();
    first.close().await;
    let second = Store::open(folder.path()).unwrap();

    let pid = std::process::id().to_string();
    assert!(second.start().is_fresh);
    assert_eq!(refused, Some(DataFolderError::InUse { path: folder.path().into(), holder: pid }.into()));
    assert_eq!(second.start().number, 2);
}

#[test]
fn files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _store = Store::open(&data).unwrap();

    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for name in ["lock", "horizon.db", "horizon.db-wal", "horizon.db-shm"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn committed_revision_is_loaded_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut first = commit(1);
    first.objects = vec![object("a", 1), object("b", 1)];
    first.allocated = vec![allocation("a", "10.0.0.1"), allocation("b", "10.0.0.2")];
    first.sections = vec![section("networks"), section("policy")];
    first.assignments = vec![assignment("s", &[section("networks"), section("policy")])];
    let mut second = commit(2);
    second.objects = vec![object("a", 2)];
    second.deleted = vec!["b".into()];
    second.released = vec![allocation("b", "10.0.0.2")];
    second.sections = vec![section("other policy")];
    second.assignments = vec![assignment("s", &[section("networks"), section("other policy")])];

    assert_eq!(store.commit_revision(first).await, Ok(CommitOutcome::Committed));
    assert_eq!(store.commit_revision(second.clone()).await, Ok(CommitOutcome::Committed));
    assert_eq!(store.commit_revision(second.clone()).await, Ok(CommitOutcome::AlreadyCommitted));
    let conditions = ObjectConditions { uid: "a".into(), conditions: "[1]".into() };
    store.set_conditions(vec![conditions]).await.unwrap();
    let before = store.load().await.unwrap();
    store.close().await;
    let store = Store::open(folder.path()).unwrap();
    let stored = store.load().await.unwrap();

    assert_eq!(stored, before);
    assert_eq!(stored.revision, Some(second.revision));
    assert_eq!(stored.objects, [Object { conditions: "[1]".into(), ..object("a", 2) }]);
    assert_eq!(stored.allocations, [allocation("a", "10.0.0.1")]);
    assert_eq!(stored.assignments[0].revision, 2);
    let mut sections = vec![section("networks"), section("other policy")];
    sections.sort_by(|a, b| a.hash.cmp(&b.hash));
    assert_eq!(stored.sections, sections);
    assert_eq!(store.section(section("policy").hash).await, Some(section("policy")));
    assert!(matches!(store.start().audit, AuditState::Intact { seq: 2, .. }));
}

#[tokio::test]
async fn refused_commit_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut first = commit(1);
    first.objects = vec![object("a", 1)];
    first.allocated = vec![allocation("a", "10.0.0.1")];
    store.commit_revision(first).await.unwrap();
    let before = store.load().await.unwrap();

    let mut taken = commit(1);
    taken.revision.hash = vec![9; 32];
    assert_eq!(store.commit_revision(taken).await, Err(StoreError::RevisionTaken { number: 1 }));
    assert_eq!(store.commit_revision(commit(3)).await, Err(StoreError::RevisionGap { number: 3, last: 1 }));
    let mut restored = commit(2);
    restored.revision.epoch = 2;
    assert_eq!(store.commit_revision(restored).await, Err(StoreError::EpochChanged { stored: 1, given: 2 }));
    let mut collision = commit(2);
    collision.objects = vec![object("b", 2)];
    collision.allocated = vec![allocation("b", "10.0.0.1")];
    assert!(matches!(
        store.commit_revision(collision).await,
        Err(StoreError::AddressTaken { owner, .. }) if owner == "a"
    ));
    let mut absent = commit(2);
    absent.assignments = vec![assignment("s", &[section("absent")])];
    assert!(matches!(store.commit_revision(absent).await, Err(StoreError::Constraint(_))));

    assert_eq!(store.load().await.unwrap(), before);
}

#[tokio::test]
async fn old_assignments_and_their_sections_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut quiet = commit(1);
    quiet.sections = vec![section("quiet")];
    quiet.assignments = vec![assignment("quiet", &[section("quiet")])];
    store.commit_revision(quiet).await.unwrap();

    for number in 2..40 {
        let mut next = commit(number);
        let policy = section(&format!("policy {number}"));
        next.sections = vec![policy.clone()];
        next.assignments = vec![assignment("busy", &[policy])];
        store.commit_revision(next).await.unwrap();
    }

    assert_eq!(store.section(section("policy 5").hash).await, None);
    assert!(store.section(section("policy 30").hash).await.is_some());
    assert!(store.section(section("quiet").hash).await.is_some());
    assert_eq!(store.load().await.unwrap().assignments.len(), 2);
}

#[tokio::test]
async fn event_is_stored_once_and_with_any_text() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();

    for id in ["a", "b", "a"] {
        store.add_event(event(id)).await.unwrap();
    }
    let recent = store.recent_events(10).await.unwrap();

    let ids: Vec<&str> = recent.iter().map(|stored| stored.event.id.as_str()).collect();
    assert_eq!(ids, ["b", "a"]);
    assert_eq!(recent[0].event, Event { object: "Server/a\u{fffd}b".into(), ..event("b") });
}

#[tokio::test]
async fn secret_of_a_key_is_issued_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let key = |digest: u8| IssuedKey { uid: "k".into(), digest: vec![digest; 32] };

    assert_eq!(store.issue_key(key(1), audit()).await, Ok(IssueOutcome::Issued));
    assert_eq!(store.issue_key(key(2), audit()).await, Ok(IssueOutcome::AlreadyIssued));

    assert_eq!(store.load().await.unwrap().issued_keys, [key(1)]);
}

#[tokio::test]
async fn withdrawn_secret_is_forgotten_and_another_can_be_issued() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let key = |digest: u8| IssuedKey { uid: "k".into(), digest: vec![digest; 32] };
    store.issue_key(key(1), audit()).await.unwrap();
    let mut rotation = commit(1);
    rotation.withdrawn = vec!["k".into()];

    store.commit_revision(rotation).await.unwrap();
    let forgotten = store.load().await.unwrap().issued_keys;
    let again = store.issue_key(key(2), audit()).await;

    assert_eq!(forgotten, []);
    assert_eq!(again, Ok(IssueOutcome::Issued));
}

#[tokio::test]
async fn server_without_a_gateway_has_no_assignment_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut first = commit(1);
    first.sections = vec![section("policy")];
    first.assignments = vec![assignment("s", &[section("policy")])];
    store.commit_revision(first).await.unwrap();
    let mut second = commit(2);
    second.unassigned = vec!["s".into()];

    store.commit_revision(second).await.unwrap();
    store.close().await;
    let stored = Store::open(folder.path()).unwrap().load().await.unwrap();

    assert_eq!((stored.assignments, stored.sections), (vec![], vec![]));
}

#[tokio::test]
async fn first_revocation_of_a_key_stands_until_its_own_reason_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let revoke = |key: u8, reason: &str| Revoke {
        public_key: vec![key; 32],
        owner: "d".into(),
        reason: reason.into(),
        now: 5,
    };

    let shown = async || {
        let revocations = store.load().await.unwrap().revocations.into_iter();
        revocations.map(|r| (r.number, r.public_key[0], r.reason)).collect::<Vec<_>>()
    };

    let revoked = vec![revoke(1, "lost"), revoke(1, "stolen"), revoke(2, "lost")];
    store.commit_revision(CommitRevision { revoked, ..commit(1) }).await.unwrap();
    assert_eq!(shown().await, [(1, 1, "lost".to_owned()), (2, 2, "lost".to_owned())]);

    let lifted = vec![revoke(1, "stolen"), revoke(2, "lost")];
    store.commit_revision(CommitRevision { lifted, ..commit(2) }).await.unwrap();
    assert_eq!(shown().await, [(1, 1, "lost".to_owned())]);
    // Two commits, two revocations and the end of one.
    assert_eq!(store.audit_length().await, 5);
}

#[tokio::test]
async fn link_opens_one_session() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (secret, subject, uid) = (b"link".to_vec(), "alice".to_owned(), "u-1".to_owned());
    let link = NewLink { secret, subject, uid, now: 10, expires_at: 20 };
    let take = |link: &str, session: &str, now: i64| TakeLink {
        link_secret: link.into(),
        session_secret: session.into(),
        now,
        session_expires_at: 100,
    };
    store.create_link(link).await.unwrap();

    assert_eq!(store.take_link(take("link", "late", 20)).await, Ok(None));
    assert_eq!(store.take_link(take("other", "one", 11)).await, Ok(None));
    let session = store.take_link(take("link", "one", 11)).await.unwrap().unwrap();
    assert_eq!((session.subject.as_str(), session.uid.as_str()), ("alice", "u-1"));
    assert_eq!(store.take_link(take("link", "one", 12)).await, Ok(Some(session.clone())));
    assert_eq!(store.take_link(take("link", "two", 12)).await, Ok(None));

    assert_eq!(store.session(b"one".to_vec(), 99).await, Ok(Some(session)));
    assert_eq!(store.session(b"one".to_vec(), 100).await, Ok(None));
    assert_eq!(store.session(b"two".to_vec(), 12).await, Ok(None));
    store.end_session(b"one".to_vec()).await.unwrap();
    assert_eq!(store.session(b"one".to_vec(), 12).await, Ok(None));
}

/// The rule that saves committed rows: one connection writes and checkpoints, whatever reads beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_between_checkpoints_and_readers() {
    const WRITERS: usize = 8;
    const EACH: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move {
            for number in 0..EACH {
                store.add_event(event(&format!("{writer}-{number}"))).await.unwrap();
                let newest = store.recent_events(1).await.unwrap();
                assert_eq!(newest.len(), 1);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let commits = store.counters().commits;
    store.close().await;

    let store = Store::open(folder.path()).unwrap();
    let count = store.recent_events(1_000_000).await.unwrap().len();

    assert_eq!(count, WRITERS * EACH);
    assert!(commits > 500, "{commits} commits make no checkpoint");
}

#[test]
fn only_one_file_names_the_library() {
    let folder = std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("src");
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).is_ok_and(|text| text.contains(concat!("libsql", "::")))
            {
                found.push(path.file_name().unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert_eq!(found, ["pitfall.rs", "statement.rs"]);
}

#[tokio::test]
async fn the_newest_challenges_of_a_server_are_kept_and_go_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let two = CommitRevision { objects: vec![object("a", 1), object("b", 1)], ..commit(1) };
    store.commit_revision(two).await.unwrap();
    let challenge = |at| Challenge { at, latency_us: 5, failure: String::new() };
    let trust =
        |owner: &str, record: u8, challenges| Trust { owner: owner.into(), record: vec![record], challenges };

    store.keep_trust(vec![trust("a", 1, vec![challenge(1), challenge(2)])], 3).await.unwrap();
    let more = vec![challenge(3), challenge(4)];
    store
        .keep_trust(vec![trust("a", 2, more), trust("b", 3, vec![challenge(9)]), trust("gone", 1, vec![])], 3)
        .await
        .unwrap();
    let kept = store.load().await.unwrap().trust;
    store.commit_revision(CommitRevision { deleted: vec!["a".into()], ..commit(2) }).await.unwrap();

    let newest = vec![challenge(2), challenge(3), challenge(4)];
    assert_eq!(kept, [trust("a", 2, newest), trust("b", 3, vec![challenge(9)])]);
    assert_eq!(store.load().await.unwrap().trust, [trust("b", 3, vec![challenge(9)])]);
}
