//! What a watch sees, and when.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{problems, texts, write};
use crate::source::files::{FolderScan, FolderWatch, Incomplete, Watch, watch};

/// Watches with events alone: the regular look is too far away to help.
async fn watched(root: &Path) -> FolderWatch {
    watch(Watch { rescan: Duration::from_secs(3_600), ..Watch::new(root, false) }).await.unwrap()
}

/// Waits until the folder is seen as `expected`.
async fn seen(watch: &mut FolderWatch, expected: &[(&str, &str)]) {
    let is_expected = |scan: &FolderScan| {
        texts(scan).iter().map(|(path, text)| (path.as_str(), text.as_str())).eq(expected.iter().copied())
    };
    let deadline = Duration::from_secs(20);
    let wait = watch.scans.wait_for(|scan| is_expected(scan));
    let is_seen = matches!(tokio::time::timeout(deadline, wait).await, Ok(Ok(_)));
    assert!(is_seen, "expected {expected:?}, saw {:?}", texts(&watch.scans.borrow()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edit_create_rename_and_removal_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "a.yaml", "1");
    let mut watch = watched(root).await;
    seen(&mut watch, &[("a.yaml", "1")]).await;

    write(root, "a.yaml", "2");
    seen(&mut watch, &[("a.yaml", "2")]).await;
    write(root, ".a.yaml.tmp", "3");
    std::fs::rename(root.join(".a.yaml.tmp"), root.join("a.yaml")).unwrap();
    seen(&mut watch, &[("a.yaml", "3")]).await;
    write(root, "sub/folder/b.yaml", "1");
    seen(&mut watch, &[("a.yaml", "3"), ("sub/folder/b.yaml", "1")]).await;
    write(root, "sub/folder/b.yaml", "2");
    seen(&mut watch, &[("a.yaml", "3"), ("sub/folder/b.yaml", "2")]).await;
    std::fs::remove_dir_all(root.join("sub")).unwrap();
    seen(&mut watch, &[("a.yaml", "3")]).await;

    assert!(watch.detections.by_event.load(Ordering::Relaxed) >= 5);
    assert_eq!(watch.detections.by_rescan.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swap_of_the_data_link_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "..v1/a.yaml", "1");
    symlink("..v1", root.join("..data")).unwrap();
    symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
    let mut watch = watched(root).await;
    seen(&mut watch, &[("a.yaml", "1")]).await;

    for version in ["2", "3"] {
        write(root, &format!("..v{version}/a.yaml"), version);
        symlink(format!("..v{version}"), root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        seen(&mut watch, &[("a.yaml", version)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swap_of_a_root_that_is_a_link_is_seen_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("current");
    write(folder.path(), "v1/a.yaml", "1");
    symlink("v1", &root).unwrap();
    let mut watch = watched(&root).await;
    seen(&mut watch, &[("a.yaml", "1")]).await;

    for version in ["2", "3"] {
        write(folder.path(), &format!("v{version}/a.yaml"), version);
        symlink(format!("v{version}"), folder.path().join("tmp")).unwrap();
        std::fs::rename(folder.path().join("tmp"), &root).unwrap();
        seen(&mut watch, &[("a.yaml", version)]).await;
        write(folder.path(), &format!("v{version}/a.yaml"), "edited");
        seen(&mut watch, &[("a.yaml", "edited")]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn root_that_is_removed_and_made_again_is_watched_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    write(&root, "a.yaml", "1");
    let mut watch = watched(&root).await;

    for round in ["2", "3"] {
        std::fs::remove_dir_all(&root).unwrap();
        seen(&mut watch, &[]).await;
        assert!(!watch.scans.borrow().is_complete());
        write(&root, "a.yaml", round);
        seen(&mut watch, &[("a.yaml", round)]).await;
        write(&root, "a.yaml", "edited");
        seen(&mut watch, &[("a.yaml", "edited")]).await;
    }
    std::fs::remove_file(root.join("a.yaml")).unwrap();
    seen(&mut watch, &[]).await;

    assert_eq!(watch.scans.borrow().incomplete, Some(Incomplete::SuddenlyEmpty));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regular_look_finds_what_raises_no_event() {
    let folder = tempfile::tempdir().unwrap();
    // The link that is swapped is neither the root nor its parent.
    write(folder.path(), "v1/manifests/a.yaml", "1");
    write(folder.path(), "v2/manifests/a.yaml", "2");
    symlink("v1", folder.path().join("current")).unwrap();
    let options = Watch {
        rescan: Duration::from_millis(100),
        ..Watch::new(folder.path().join("current/manifests"), false)
    };
    let mut watch = watch(options).await.unwrap();
    seen(&mut watch, &[("a.yaml", "1")]).await;

    symlink("v2", folder.path().join("tmp")).unwrap();
    std::fs::rename(folder.path().join("tmp"), folder.path().join("current")).unwrap();
    seen(&mut watch, &[("a.yaml", "2")]).await;

    assert_eq!(watch.detections.by_rescan.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn burst_of_writes_is_few_looks() {
    let folder = tempfile::tempdir().unwrap();
    let mut watch = watched(folder.path()).await;
    let started = Instant::now();

    for number in 0..30_000 {
        write(folder.path(), &format!("{}.yaml", number % 10), &number.to_string());
    }
    let texts: Vec<_> = (0..10).map(|n| (format!("{n}.yaml"), (29_990 + n).to_string())).collect();
    let expected: Vec<_> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    seen(&mut watch, &expected).await;

    let scans = watch.detections.scans.load(Ordering::Relaxed);
    let bound = 4 + started.elapsed().as_secs();
    assert!(scans <= bound, "{scans} scans, {bound} allowed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_causes_no_look() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", "1");
    let options = Watch {
        settle: Duration::from_millis(1),
        rescan: Duration::from_millis(500),
        ..Watch::new(folder.path(), false)
    };
    let started = Instant::now();
    let watch = watch(options).await.unwrap();

    while watch.detections.scans.load(Ordering::Relaxed) < 4 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    // Three looks of the clock: were reading an event, they would follow each other at once.
    assert!(started.elapsed() >= Duration::from_millis(1_400), "{:?}", started.elapsed());
    assert!(!watch.scans.has_changed().unwrap());
}

const COMMIT: &str = "8f2c0a4d3b1e5f60718293a4b5c6d7e8f9012345";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_git_pull_is_never_seen() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, ".git/HEAD", "ref: refs/heads/main\n");
    write(root, ".git/refs/heads/main", &format!("{}\n", COMMIT.replace('8', "7")));
    write(root, "a.yaml", "old");
    write(root, "b.yaml", "old");
    let options = Watch {
        settle: Duration::from_millis(10),
        rescan: Duration::from_millis(50),
        git_max: Duration::from_secs(60),
        ..Watch::new(root, false)
    };
    let mut watch = watch(options).await.unwrap();
    seen(&mut watch, &[("a.yaml", "old"), ("b.yaml", "old")]).await;

    // As Git does it: lock, files one by one, unlock, and the branch at last.
    write(root, ".git/index.lock", "");
    write(root, "a.yaml", "new");
    let looks = watch.detections.scans.load(Ordering::Relaxed);
    while watch.detections.scans.load(Ordering::Relaxed) < looks + 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!watch.scans.has_changed().unwrap(), "half was seen: {:?}", texts(&watch.scans.borrow()));
    write(root, "b.yaml", "new");
    std::fs::rename(root.join(".git/index.lock"), root.join(".git/index")).unwrap();
    write(root, ".git/refs/heads/main", &format!("{COMMIT}\n"));

    seen(&mut watch, &[("a.yaml", "new"), ("b.yaml", "new")]).await;
    let is_shown = |scan: &Arc<FolderScan>| scan.commit.as_deref() == Some(COMMIT);
    watch.scans.wait_for(is_shown).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lock_that_git_left_behind_is_told_and_what_was_seen_stays() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, ".git/HEAD", COMMIT);
    write(root, "a.yaml", "old");
    let options = Watch { git_max: Duration::from_millis(300), ..Watch::new(root, false) };
    let mut watch = watch(options).await.unwrap();
    seen(&mut watch, &[("a.yaml", "old")]).await;

    write(root, ".git/index.lock", "");
    write(root, "a.yaml", "new");
    let scan = watch.scans.wait_for(|scan| !scan.is_complete()).await.unwrap().clone();

    let lock = root.canonicalize().unwrap().join(".git/index.lock");
    assert_eq!(scan.incomplete, Some(Incomplete::GitAtWork));
    assert_eq!(texts(&scan), [("a.yaml".into(), "old".into())]);
    assert_eq!(
        problems(&scan),
        [format!(": Git is changing the files: remove {} if no Git is running", lock.display())]
    );
    std::fs::remove_file(lock).unwrap();
    write(root, "a.yaml", "newer");
    seen(&mut watch, &[("a.yaml", "newer")]).await;
    assert!(watch.scans.borrow().is_complete());
}
