//! `horizon-controller check`: the verdict on folders, without a controller.

use std::process::ExitCode;

use horizon_api::problem::Problem;
use horizon_node::clock;
use horizon_planner::check;

use crate::{args::CheckArgs, source::files};

/// Prints every problem. Exit code 0 without errors, 1 with, 2 when a folder cannot be read.
pub fn check(args: &CheckArgs) -> ExitCode {
    let mut contents = Vec::new();
    let mut unread = Vec::new();
    for folder in &args.folders {
        let scan = files::scan(folder, false);
        let root = folder.display().to_string();
        unread.extend(scan.problems.into_iter().map(|problem| {
            let file =
                if problem.path.is_empty() { root.clone() } else { format!("{root}/{}", problem.path) };
            Problem::error(file, "Unreadable", problem.message)
        }));
        contents.extend(scan.files.into_iter().map(|file| (format!("{root}/{}", file.path), file.bytes)));
    }
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
