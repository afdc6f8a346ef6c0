//! What the writer promises: order, isolation of failures, a bounded queue, and no lost row.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::task::{Context, Waker};

use super::{GROUP_MAX, QUEUE_MAX, Writer, connect};
use crate::store::error::StoreError;
use crate::store::statement::Statements;
use crate::store::vigil::Vigil;

const INSERT: &str = "INSERT INTO entry (name) VALUES (?1)";

fn writer(folder: &tempfile::TempDir) -> Writer {
    let mut statements = connect(&folder.path().join("horizon.db")).unwrap();
    statements.run_once("CREATE TABLE entry (seq INTEGER PRIMARY KEY, name TEXT UNIQUE)").unwrap();
    Writer::start(statements, &Vigil::default()).unwrap()
}

fn insert(statements: &mut Statements, name: &str) -> crate::store::error::Result<()> {
    statements.execute(INSERT, vec![name.into()]).map(drop)
}

async fn names(writer: &Writer) -> Vec<String> {
    writer
        .write(|statements| {
            statements.query("SELECT name FROM entry ORDER BY seq", vec![], |row| row.text(0))
        })
        .await
        .unwrap()
}

/// Makes the writer wait until the returned sender is used or dropped.
fn block(writer: &Arc<Writer>) -> (std::sync::mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, released) = channel::<()>();
    let (started, has_started) = channel::<()>();
    let writer = Arc::clone(writer);
    let blocked = tokio::spawn(async move {
        let work = move |_: &mut Statements| {
            started.send(()).unwrap();
            // Ends when the test drops its end.
            assert!(released.recv().is_err());
            Ok(())
        };
        writer.write(work).await.unwrap();
    });
    tokio::task::block_in_place(|| has_started.recv().unwrap());
    (release, blocked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_requests_share_commits_and_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Arc::new(writer(&folder));
    let (release, blocked) = block(&writer);
    let mut waiting = Vec::new();
    for number in 0..600 {
        let work = move |statements: &mut Statements| insert(statements, &format!("{number:03}"));
        let mut request = Box::pin(writer.write(work));
        // A request is handed over by its first poll: one after the other, whatever the machine is busy with.
        let is_done = request.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(!is_done, "the writer is busy");
        waiting.push(request);
    }

    drop(release);
    blocked.await.unwrap();
    for request in waiting {
        request.await.unwrap();
    }

    let expected: Vec<String> = (0..600).map(|number| format!("{number:03}")).collect();
    assert_eq!(names(&writer).await, expected);
    let commits = writer.counters.commits.load(Ordering::Relaxed);
    assert!(commits <= 600 / GROUP_MAX as u64 + 3, "{commits} commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failure_undoes_only_its_own_request() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Arc::new(writer(&folder));
    let (release, blocked) = block(&writer);
    let (first, second, third) = tokio::join!(
        biased;
        writer.write(|statements| insert(statements, "a")),
        writer.write(|statements| {
            insert(statements, "b")?;
            insert(statements, "a")
        }),
        async {
            drop(release);
            writer.write(|statements| insert(statements, "c")).await
        },
    );
    blocked.await.unwrap();

    assert_eq!((first, third), (Ok(()), Ok(())));
    assert!(matches!(second, Err(StoreError::Constraint(_))));
    assert_eq!(names(&writer).await, ["a", "c"]);
    // The four requests before this one were one group.
    assert_eq!(writer.counters.requests.load(Ordering::Relaxed), 5);
    assert!(writer.counters.commits.load(Ordering::Relaxed) <= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_queue_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Arc::new(writer(&folder));
    let (release, blocked) = block(&writer);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..QUEUE_MAX + 10 {
        let writer = Arc::clone(&writer);
        waiting.spawn(async move { writer.write(|_| Ok(())).await });
    }
    let mut refused = 0;
    while refused < 10 {
        assert_eq!(waiting.join_next().await.unwrap().unwrap(), Err(StoreError::Busy));
        refused += 1;
    }

    drop(release);
    blocked.await.unwrap();
    while let Some(outcome) = waiting.join_next().await {
        assert_eq!(outcome.unwrap(), Ok(()));
    }

    assert_eq!(writer.counters.refused_busy.load(Ordering::Relaxed), 10);
    assert_eq!(writer.counters.waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_fails_its_group_and_the_writer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(&folder);
    writer.write(|statements| statements.run_once("PRAGMA max_page_count = 20")).await.unwrap();

    let big = "x".repeat(1_000_000);
    let refused = writer.write(move |statements| insert(statements, &big)).await;
    let accepted = writer.write(|statements| insert(statements, "small")).await;

    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    assert_eq!(accepted, Ok(()));
    assert_eq!(names(&writer).await, ["small"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_is_told_until_something_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(&folder);
    writer.write(|statements| statements.run_once("PRAGMA max_page_count = 20")).await.unwrap();

    let big = "x".repeat(1_000_000);
    writer.write(move |statements| insert(statements, &big)).await.unwrap_err();
    let after_failure = writer.trouble();
    writer.write(|statements| insert(statements, "small")).await.unwrap();

    assert!(matches!(after_failure, Some(StoreError::Full { .. })), "{after_failure:?}");
    assert_eq!(writer.trouble(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_that_cannot_begin_is_answered_with_its_error() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(&folder);
    let mut other = connect(&folder.path().join("horizon.db")).unwrap();
    other.execute("BEGIN IMMEDIATE", vec![]).unwrap();

    let refused = writer.write(|statements| insert(statements, "a")).await;
    other.execute("ROLLBACK", vec![]).unwrap();
    let accepted = writer.write(|statements| insert(statements, "b")).await;

    assert!(matches!(refused, Err(StoreError::Database { .. })), "{refused:?}");
    assert_eq!(accepted, Ok(()));
    assert_eq!(writer.counters.waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn end_of_the_thread_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let vigil = Vigil::default();
    let writer = Writer::start(connect(&folder.path().join("horizon.db")).unwrap(), &vigil).unwrap();

    let refused = writer.write::<(), _>(|_| panic!("a mistake in a statement")).await;
    vigil.ended().await;

    assert_eq!(refused, Err(StoreError::Stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_is_copied_and_emptied_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(&folder);
    writer.write(|statements| insert(statements, "a")).await.unwrap();

    tokio::task::block_in_place(|| drop(writer));

    assert!(!folder.path().join("horizon.db-wal").exists());
    let mut reopened = connect(&folder.path().join("horizon.db")).unwrap();
    let count = reopened.query_one("SELECT count(*) FROM entry", vec![], |row| row.integer(0));
    assert_eq!(count, Ok(Some(1)));
}
