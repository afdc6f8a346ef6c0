//! `horizon-controller check`: the verdict on folders, without a controller.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use horizon_api::problem::Problem;
use horizon_node::clock;
use horizon_planner::check;

use crate::{args::CheckArgs, source::files};

/// Prints every problem. Exit code 0 without errors, 1 with, 2 when a folder cannot be read.
pub fn check(args: &CheckArgs) -> ExitCode {
    let Folders { contents, unread } = Folders::read(&args.folders);
    let named: Vec<_> = contents.iter().map(|(path, bytes)| (path.as_str(), &**bytes)).collect();
    let is_unread = !unread.is_empty();
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
    if is_unread && named.is_empty() {
        return ExitCode::from(2);
    }
    ExitCode::from(u8::from(problems.iter().any(Problem::is_error)))
}

/// Files of several folders, each with the folder in its name.
pub(crate) struct Folders {
    pub(crate) contents: Vec<(String, Arc<[u8]>)>,
    /// What could not be read.
    pub(crate) unread: Vec<Problem>,
}

impl Folders {
    pub(crate) fn read(folders: &[PathBuf]) -> Self {
        let mut read = Self { contents: vec![], unread: vec![] };
        for folder in folders {
            let scan = files::scan(folder, false);
            let root = folder.display().to_string();
            read.unread.extend(scan.problems.into_iter().map(|problem| {
                let file =
                    if problem.path.is_empty() { root.clone() } else { format!("{root}/{}", problem.path) };
                Problem::error(file, "Unreadable", problem.message)
            }));
            let files = scan.files.into_iter();
            read.contents.extend(files.map(|file| (format!("{root}/{}", file.path), file.bytes)));
        }
        read
    }
}
