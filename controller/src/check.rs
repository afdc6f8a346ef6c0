//! `horizon-controller check`: the verdict on folders, without a controller.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use horizon_api::problem::Problem;
use horizon_node::clock;
use horizon_planner::check;

use crate::{
    args::CheckArgs,
    source::files::{self, Incomplete},
};

/// Prints every problem. Exit code 0 without errors, 1 with, 2 when one of the folders is none that can be read.
pub fn check(args: &CheckArgs) -> ExitCode {
    let Folders { contents, unread, is_wrong } = Folders::read(&args.folders);
    let named: Vec<_> = contents.iter().map(|(path, bytes)| (path.as_str(), &**bytes)).collect();
    let mut problems = unread;
    problems.extend(check::check(&named, clock::unix_s()));
    let text = if args.json { check::to_json_lines(&problems) } else { check::to_text(&problems, &named) };
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        print!("{text}");
        if !args.json && problems.is_empty() {
            println!("{} files, no problem", named.len());
        }
    }
    if is_wrong {
        return ExitCode::from(2);
    }
    ExitCode::from(u8::from(problems.iter().any(Problem::is_error)))
}

/// Files of several folders, each with the folder in its name.
pub(crate) struct Folders {
    pub(crate) contents: Vec<(String, Arc<[u8]>)>,
    /// What could not be read.
    pub(crate) unread: Vec<Problem>,
    /// One of them is not there, is no folder, or may not be read at all.
    pub(crate) is_wrong: bool,
}

impl Folders {
    pub(crate) fn read(folders: &[PathBuf]) -> Self {
        let mut read = Self { contents: vec![], unread: vec![], is_wrong: false };
        for folder in folders {
            let scan = files::scan(folder, false);
            let root = folder.display().to_string();
            read.is_wrong |= matches!(
                scan.incomplete,
                Some(Incomplete::RootMissing | Incomplete::RootUnreadable | Incomplete::RootNotAFolder)
            );
            read.unread.extend(scan.problems.into_iter().map(|problem| {
                let file =
                    if problem.path.is_empty() { root.clone() } else { format!("{root}/{}", problem.path) };
                Problem::error(file, "Unreadable", problem.message).at(problem.line, problem.line.min(1))
            }));
            let files = scan.files.into_iter();
            read.contents.extend(files.map(|file| (format!("{root}/{}", file.path), file.bytes)));
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{CheckArgs, ExitCode, check};

    #[test]
    fn a_folder_that_is_not_there_is_a_mistake_of_the_call_whatever_else_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let code = |folders: &[PathBuf]| check(&CheckArgs { folders: folders.to_vec(), json: false });
        std::fs::create_dir(path("good")).unwrap();
        std::fs::create_dir(path("bad")).unwrap();
        std::fs::write(path("good/a.yaml"), "# nothing\n").unwrap();
        std::os::unix::fs::symlink("nowhere", path("bad/a.yaml")).unwrap();

        assert_eq!(code(&[path("good")]), ExitCode::SUCCESS);
        assert_eq!(code(&[path("good"), path("bad")]), ExitCode::from(1));
        assert_eq!(code(&[path("bad")]), ExitCode::from(1));
        assert_eq!(code(&[path("good"), path("none")]), ExitCode::from(2));
        assert_eq!(code(&[path("good/a.yaml")]), ExitCode::from(2));
    }
}
