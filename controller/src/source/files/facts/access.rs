//! What the controller may not see, or cannot see at the moment, keeps what it declared. Each test runs itself once more
//! where that is so: as another user, or with mounts of its own.

use std::fs::{Permissions, copy, create_dir, set_permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{paths, problems, write};
use crate::source::files::{Incomplete, Memory, scan, scan_again};

/// Names the folder to the process that a test starts.
const ROOT: &str = "HORIZON_TEST_ROOT";

fn root_of_child() -> Option<PathBuf> {
    std::env::var_os(ROOT).map(PathBuf::from)
}

/// Runs a test of this file in another process.
fn run_again(mut command: Command, program: &Path, test: &str, root: &Path) {
    let name = format!("source::files::facts::access::{test}");
    let output = command.arg(program).args(["--exact", &name]).env(ROOT, root).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn what_may_not_be_read_keeps_what_it_declared_and_is_named() {
    if let Some(root) = root_of_child() {
        let found = scan(&root, true);

        assert_eq!(paths(&found), ["a.yaml"]);
        assert_eq!(found.unreadable, ["secret.yaml"]);
        assert_eq!(found.incomplete, Some(Incomplete::FolderUnreadable));
        assert_eq!(
            problems(&found),
            ["locked: permission denied (os error 13)", "secret.yaml: permission denied (os error 13)"]
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &str, mode| set_permissions(folder.path().join(path), Permissions::from_mode(mode));
    for path in ["root/a.yaml", "root/secret.yaml", "root/locked/b.yaml"] {
        write(folder.path(), path, path);
    }
    for path in ["", "root", "root/a.yaml"] {
        mode(path, 0o755).unwrap();
    }
    mode("root/secret.yaml", 0).unwrap();
    mode("root/locked", 0).unwrap();

    // Root may read everything; another user may not even start a program of root's folder.
    let mut command = Command::new("env");
    let mut program = std::env::current_exe().unwrap();
    if is_root() {
        command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        copy(&program, folder.path().join("program")).unwrap();
        program = folder.path().join("program");
    }
    run_again(
        command,
        &program,
        "what_may_not_be_read_keeps_what_it_declared_and_is_named",
        &folder.path().join("root"),
    );
    mode("root/locked", 0o755).unwrap();
}

#[test]
fn a_folder_that_is_not_mounted_any_more_is_no_empty_one() {
    let run = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
    };
    if let Some(root) = root_of_child() {
        let sub = root.join("sub");
        let mut memory = Memory::default();
        let mut look = || scan_again(&root, true, &mut memory).0;
        assert!(run("mount", &["-t", "tmpfs", "none", sub.to_str().unwrap()]));
        write(&root, "a.yaml", "a");
        write(&root, "sub/b.yaml", "b");
        let before = look();
        assert!(run("umount", &[sub.to_str().unwrap()]));

        let after = look();
        let again = look();
        std::fs::remove_dir(&sub).unwrap();
        let removed = look();

        assert_eq!((paths(&before).len(), before.is_complete()), (2, true));
        assert_eq!((paths(&after), after.incomplete), (vec!["a.yaml"], Some(Incomplete::FolderUnreadable)));
        assert!(problems(&after)[0].starts_with("sub: it was on another file system before"));
        assert_eq!((again, removed.is_complete()), (after, true));
        return;
    }
    // Who may not mount has the same test with made-up devices.
    if !run("unshare", &["--mount", "true"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    create_dir(folder.path().join("sub")).unwrap();
    let mut command = Command::new("unshare");
    command.arg("--mount");
    run_again(
        command,
        &std::env::current_exe().unwrap(),
        "a_folder_that_is_not_mounted_any_more_is_no_empty_one",
        folder.path(),
    );
}
