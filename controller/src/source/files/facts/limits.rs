//! Too much of something is refused by name.

use super::{paths, problems, write};
use crate::source::files::{FILES_MAX, Incomplete, scan};

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

/// Names of one file; some file systems take no more than 65,000.
const LINKS: usize = 50_000;

#[test]
fn of_too_many_files_the_first_are_read_and_the_next_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a/first.yaml", "a");
    let file = |number: usize| folder.path().join(format!("n{number:07}.yaml"));
    for number in 0..1_000_000 {
        // Those that may be read are files of their own; a name more of one of the others is quicker made.
        let own = number - number % LINKS;
        if number <= FILES_MAX || number == own {
            std::fs::write(file(number), "").unwrap();
        } else {
            std::fs::hard_link(file(own), file(number)).unwrap();
        }
    }
    // What is no manifest counts for nothing.
    write(folder.path(), "b.txt", "");
    write(folder.path(), "z/last.yaml", "z");

    let found = scan(folder.path(), false);

    assert_eq!(found.incomplete, Some(Incomplete::TooManyFiles));
    assert_eq!((found.files.len(), paths(&found)[0]), (FILES_MAX, "a/first.yaml"));
    let expected =
        format!("n{:07}.yaml: more than {FILES_MAX} manifests, the rest was not read", FILES_MAX - 1);
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
