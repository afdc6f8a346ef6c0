//! What the folder source promises, on real folders.

use std::os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use super::{FILES_MAX, FolderScan, FolderWatch, Incomplete, Shelf, Watch, scan, scan_again, watch};

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn texts(scan: &FolderScan) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    scan.files.iter().map(|file| (file.path.clone(), text(&file.bytes))).collect()
}

fn paths(scan: &FolderScan) -> Vec<&str> {
    scan.files.iter().map(|file| file.path.as_str()).collect()
}

fn problems(scan: &FolderScan) -> Vec<String> {
    scan.problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

#[test]
fn manifests_are_found_in_order_and_droppings_are_not() {
    let folder = tempfile::tempdir().unwrap();
    for path in
        ["b.yaml", "a/z.yml", "a.json", "a/b/c.yaml", "README.md", "a.yaml~", ".hidden/a.yaml", ".git/b.yaml"]
    {
        write(folder.path(), path, path);
    }

    let found = scan(folder.path(), true);

    assert_eq!(paths(&found), ["a.json", "a/b/c.yaml", "a/z.yml", "b.yaml"]);
    assert!(found.is_complete() && found.problems.is_empty());
}

#[test]
fn missing_and_empty_roots_are_not_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");

    assert_eq!(scan(&root, false).incomplete, Some(Incomplete::RootMissing));
    std::fs::write(&root, "").unwrap();
    assert_eq!(scan(&root, false).incomplete, Some(Incomplete::RootNotAFolder));
    std::fs::remove_file(&root).unwrap();
    std::fs::create_dir(&root).unwrap();
    assert_eq!(scan(&root, false).incomplete, None);
    assert_eq!(scan(&root, true).incomplete, Some(Incomplete::SuddenlyEmpty));
    write(&root, "README.md", "");
    assert_eq!(scan(&root, true).incomplete, Some(Incomplete::SuddenlyEmpty));
    write(&root, "a.yaml", "");
    assert_eq!(scan(&root, true).incomplete, None);
}

#[test]
fn links_are_followed_inside_the_root_only() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    write(&root, "..v1/a.yaml", "a");
    write(&root, ".releases/5/b.yaml", "b");
    write(folder.path(), "outside/secret.yaml", "secret");
    symlink("..v1", root.join("..data")).unwrap();
    symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
    symlink(".releases/5", root.join("current")).unwrap();
    symlink("..", root.join("current/loop")).unwrap();
    symlink("../outside/secret.yaml", root.join("out.yaml")).unwrap();
    symlink("../outside", root.join("out")).unwrap();
    symlink("nowhere.yaml", root.join("dangling.yaml")).unwrap();

    let found = scan(&root, true);

    assert_eq!(paths(&found), ["a.yaml", "current/b.yaml"]);
    assert_eq!(found.unreadable, ["dangling.yaml", "out.yaml"]);
    assert_eq!(found.incomplete, Some(Incomplete::LinkNotFollowed));
    assert_eq!(
        problems(&found),
        [
            "dangling.yaml: no such file or directory (os error 2)",
            "out: the link leads out of the folder and is not followed",
            "out.yaml: the link leads out of the folder and is not followed",
        ]
    );
}

#[test]
fn a_folder_that_is_not_followed_leaves_the_scan_incomplete() {
    let incomplete = |lead: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.yaml", "a");
        lead(folder.path());
        let found = scan(folder.path(), true);
        assert_eq!(paths(&found), ["a.yaml"]);
        found.incomplete
    };

    let dangling = incomplete(&|root| symlink("releases/6", root.join("current")).unwrap());
    let leading_out = incomplete(&|root| symlink("/usr", root.join("more")).unwrap());
    let no_text = incomplete(&|root| {
        std::fs::create_dir(root.join(std::ffi::OsStr::from_bytes(b"gr\xfc\xdfe"))).unwrap();
    });
    let dropping = incomplete(&|root| symlink("nowhere", root.join(".#a.yaml")).unwrap());

    assert_eq!(dangling, Some(Incomplete::LinkNotFollowed));
    assert_eq!(leading_out, Some(Incomplete::LinkNotFollowed));
    assert_eq!(no_text, Some(Incomplete::NameUnreadable));
    assert_eq!(dropping, None);
}

#[test]
fn what_horizonignore_names_is_not_there_and_the_nearest_one_decides() {
    let folder = tempfile::tempdir().unwrap();
    for path in
        ["a.yaml", "drafts/a.yaml", "b/drafts/a.yaml", "b/test-1.yaml", "b/c/test-2.yaml", "keep/test.yaml"]
    {
        write(folder.path(), path, path);
    }
    write(folder.path(), ".horizonignore", "# not yet\n/drafts/\n**/test*.yaml\n");
    write(folder.path(), "b/c/.horizonignore", "!test-2.yaml\n");
    symlink("drafts", folder.path().join("link")).unwrap();

    let found = scan(folder.path(), true);

    // A link is no folder that the rules name, as for Git; what it leads to comes by its name.
    assert_eq!(paths(&found), ["a.yaml", "b/c/test-2.yaml", "b/drafts/a.yaml", "link/a.yaml"]);
    assert_eq!((found.is_complete(), problems(&found)), (true, vec![]));
}

#[test]
fn what_is_ignored_counts_for_no_limit() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..FILES_MAX + 10 {
        std::fs::write(folder.path().join(format!("n{number:05}.yaml")), "").unwrap();
    }
    write(folder.path(), ".horizonignore", "n*");
    write(folder.path(), "z.yaml", "z");

    let found = scan(folder.path(), true);

    assert_eq!((paths(&found), found.is_complete()), (vec!["z.yaml"], true));
}

#[test]
fn rules_that_nobody_understands_let_nothing_in_and_remove_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", "a");
    write(folder.path(), "b/b.yaml", "b");
    write(folder.path(), "b/.horizonignore", "ok.yaml\n[z-a].yaml\n");

    let found = scan(folder.path(), true);

    assert_eq!((paths(&found), found.incomplete), (vec!["a.yaml"], Some(Incomplete::IgnoreUnreadable)));
    let problems = problems(&found);
    assert!(problems[0].starts_with("b/.horizonignore: line 2: "), "{problems:?}");
    assert!(problems[0].ends_with("; nothing of its folder is read until it is right"), "{problems:?}");

    std::fs::remove_file(folder.path().join("b/.horizonignore")).unwrap();
    std::fs::create_dir(folder.path().join("b/.horizonignore")).unwrap();
    assert_eq!(scan(folder.path(), true).incomplete, Some(Incomplete::IgnoreUnreadable));
}

#[test]
fn special_file_is_a_problem_and_never_blocks() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", "a");
    assert!(Command::new("mkfifo").arg(folder.path().join("b.yaml")).status().unwrap().success());
    symlink("/dev/zero", folder.path().join("c.yaml")).unwrap();

    let found = scan(folder.path(), true);

    assert_eq!(paths(&found), ["a.yaml"]);
    assert_eq!(found.unreadable, ["b.yaml", "c.yaml"]);
    assert_eq!(problems(&found)[0], "b.yaml: it is not a regular file");
}

#[test]
fn limits_make_the_scan_incomplete() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &format!("{}a.yaml", "d/".repeat(40)), "deep");
    assert_eq!(scan(folder.path(), false).incomplete, Some(Incomplete::TooDeep));

    let folder = tempfile::tempdir().unwrap();
    for name in 'a'..='j' {
        let file = std::fs::File::create(folder.path().join(format!("{name}.yaml"))).unwrap();
        file.set_len(15 << 20).unwrap();
    }
    let found = scan(folder.path(), false);
    assert_eq!(found.incomplete, Some(Incomplete::TooManyBytes));
    assert_eq!(paths(&found).len(), 8);
    assert_eq!(found.unreadable, ["i.yaml", "j.yaml"]);
    assert_eq!(problems(&found)[0], "i.yaml: with it the manifests exceed 128 MiB");
}

#[test]
fn huge_file_is_refused_by_name_and_the_others_still_apply() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", "a");
    let junk = std::fs::File::create(folder.path().join("b.yaml")).unwrap();
    junk.set_len(2 << 30).unwrap();
    write(folder.path(), "c.yaml", "c");

    let found = scan(folder.path(), true);

    assert_eq!(paths(&found), ["a.yaml", "c.yaml"]);
    assert_eq!(found.unreadable, ["b.yaml"]);
    assert_eq!(problems(&found), ["b.yaml: it is larger than 16 MiB"]);
    assert!(found.is_complete(), "what the file held stays by its own");
}

#[test]
fn of_too_many_files_the_first_are_read_and_the_next_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a/first.yaml", "a");
    for number in 0..FILES_MAX + 500 {
        std::fs::write(folder.path().join(format!("n{number:05}.yaml")), "").unwrap();
    }
    // What is no manifest counts for nothing.
    write(folder.path(), "b.txt", "");
    write(folder.path(), "z/last.yaml", "z");

    let found = scan(folder.path(), false);

    assert_eq!(found.incomplete, Some(Incomplete::TooManyFiles));
    assert_eq!((found.files.len(), paths(&found)[0]), (FILES_MAX, "a/first.yaml"));
    let expected =
        format!("n{:05}.yaml: more than {FILES_MAX} manifests, the rest was not read", FILES_MAX - 1);
    assert_eq!(problems(&found), [expected]);
}

#[test]
fn of_too_many_folders_the_next_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..FILES_MAX + 10 {
        std::fs::create_dir(folder.path().join(format!("{number:05}"))).unwrap();
    }

    let found = scan(folder.path(), false);

    assert_eq!(found.incomplete, Some(Incomplete::TooManyFiles));
    // The root is one of them.
    let expected = format!("{:05}: more than {FILES_MAX} folders, the rest was not read", FILES_MAX - 1);
    assert_eq!(problems(&found), [expected]);
}

#[test]
fn what_is_called_a_manifest_and_is_none_is_told_and_never_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "folder.yaml/a.yaml", "a");
    let _listener = UnixListener::bind(folder.path().join("socket.yaml")).unwrap();
    symlink("loop-2.yaml", folder.path().join("loop-1.yaml")).unwrap();
    symlink("loop-1.yaml", folder.path().join("loop-2.yaml")).unwrap();

    let found = scan(folder.path(), true);

    assert_eq!(paths(&found), ["folder.yaml/a.yaml"]);
    assert_eq!(
        problems(&found),
        [
            "loop-1.yaml: too many levels of symbolic links (os error 40)",
            "loop-2.yaml: too many levels of symbolic links (os error 40)",
            "socket.yaml: it is not a regular file",
        ]
    );
}

#[test]
fn only_names_that_could_be_manifests_must_be_utf8() {
    let folder = tempfile::tempdir().unwrap();
    let latin = |ending: &str| [b"gr\xfc\xdfe", ending.as_bytes()].concat();
    let write =
        |name: &[u8]| std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
    write(b"a.yaml");

    write(&latin(".png"));
    assert_eq!(scan(folder.path(), true).incomplete, None);
    write(&latin(".yaml"));
    let found = scan(folder.path(), true);

    assert_eq!(found.incomplete, Some(Incomplete::NameUnreadable));
    assert_eq!(problems(&found), [": a name in it is not UTF-8: gr\u{fffd}\u{fffd}e.yaml"]);
}

#[test]
fn content_decides_and_the_same_text_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut shelf) = (folder.path().join("a.yaml"), Shelf::default());
    let mut look = |trusts_times: bool| {
        shelf.begin(trusts_times);
        let mut found = scan_again(folder.path(), true, &mut shelf);
        shelf.end();
        found.files.pop().unwrap().bytes
    };
    let date = |time: SystemTime| {
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    std::fs::write(&path, "one").unwrap();
    let first = look(true);

    assert!(Arc::ptr_eq(&first, &look(true)), "not read again");
    assert!(Arc::ptr_eq(&first, &look(false)), "read again, and the same");
    date(SystemTime::now() - Duration::from_secs(3_600));
    assert!(Arc::ptr_eq(&first, &look(true)), "older, and the same");
    // The clock was wrong once: the time says nothing, so nobody asks it.
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(2_147_483_648);
    std::fs::write(&path, "two").unwrap();
    date(far);
    assert_eq!(*look(true), *b"two");
    std::fs::write(&path, "six").unwrap();
    date(far);
    assert_eq!(*look(true), *b"six");
}

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
