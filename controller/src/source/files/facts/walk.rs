//! What of a folder is read, and what is not.

use std::os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{paths, problems, write};
use crate::source::files::{FILES_MAX, Incomplete, Memory, scan, scan_again};

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
    assert_eq!((found.problems[0].path.as_str(), found.problems[0].line), ("b/.horizonignore", 2));
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
    let (path, mut memory) = (folder.path().join("a.yaml"), Memory::default());
    let mut look = |trusts_times: bool| {
        memory.shelf.begin(trusts_times);
        let (mut found, _) = scan_again(folder.path(), true, &mut memory);
        memory.shelf.end();
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
