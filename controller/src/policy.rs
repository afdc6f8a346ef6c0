//! `horizon-controller policy why|can`: who may reach what, of the running controller or of folders.

use std::{fmt::Write, process::ExitCode};

use horizon_api::http::{ApiError, PathView, PolicyAnswer, PolicyQuestion};
use horizon_node::{clock, failure::Failure, local};
use horizon_planner::{
    compile::{Input, SourceSnapshot, compile},
    manifest::{File, parse_folder},
    why::{Question, Scene, USAGE},
};
use http::Method;

use crate::{
    args::{PolicyCommand, WhyArgs},
    check::Folders,
    verbs::SOCKET,
};

/// Prints the answer. The exit code is 0 for allowed and 3 for denied.
///
/// # Errors
/// When the question is none, names what is not there, or nobody answers.
pub async fn policy(command: PolicyCommand) -> anyhow::Result<ExitCode> {
    let (args, is_why) = match command {
        PolicyCommand::Why(args) => (args, true),
        PolicyCommand::Can(args) => (args, false),
    };
    let question = Question::parse(&args.source, &args.destination, &args.namespace).map_err(failure)?;
    let answer = if args.manifests.is_empty() { ask(&args).await? } else { compute(&args, &question)? };
    let text = match (args.json, is_why) {
        (true, _) => serde_json::to_string(&answer)? + "\n",
        (false, true) => text(&answer),
        (false, false) => format!("{}\n", word(answer.allowed)),
    };
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        print!("{text}");
    }
    Ok(if answer.allowed { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

async fn ask(args: &WhyArgs) -> anyhow::Result<PolicyAnswer> {
    let question = PolicyQuestion {
        namespace: args.namespace.clone(),
        source: args.source.clone(),
        destination: args.destination.clone(),
        at: args.at.map(|at| at.as_second()),
    };
    let socket = args.data.folder.join(SOCKET);
    local::request(&socket, "controller", Method::POST, "/v1/policy", Some(&question)).await?.json()
}

fn compute(args: &WhyArgs, question: &Question) -> anyhow::Result<PolicyAnswer> {
    let Folders { contents, unread, .. } = Folders::read(&args.manifests);
    if let Some(problem) = unread.first().filter(|_| contents.is_empty()) {
        return Err(Failure::Usage(problem.to_string()).into());
    }
    let files: Vec<File<'_>> = contents.iter().map(|(path, bytes)| (path.as_str(), &**bytes)).collect();
    let at = args.at.map_or_else(clock::unix_s, |at| at.as_second());
    let source =
        SourceSnapshot { source: "files".into(), parsed: parse_folder(&files).into(), is_complete: true };
    let compiled = compile(&Input { sources: vec![source], ..Input::default() }, at);
    let errors = unread.len() + compiled.problems.iter().filter(|problem| problem.is_error()).count();
    if errors > 0 {
        #[expect(clippy::print_stderr, reason = "what makes the answer doubtful")]
        {
            eprintln!("warning: {errors} errors in the manifests, see `horizon-controller check`");
        }
    }
    Ok(Scene::of(&compiled).why(question, at).map_err(failure)?)
}

fn failure(error: ApiError) -> Failure {
    if error.code == USAGE { Failure::Usage(error.to_string()) } else { Failure::Failed(error.to_string()) }
}

fn word(allowed: bool) -> &'static str {
    if allowed { "allowed" } else { "denied" }
}

fn text(answer: &PolicyAnswer) -> String {
    let mut text = format!("{}\n", answer.reason);
    // Writing into a String cannot fail.
    if let Some(path) = &answer.path {
        let PathView { network, source, source_address, destination, destination_address, flow } = path;
        let _ = writeln!(text, "from      {}", with_address(source, source_address));
        let _ = writeln!(text, "to        {}, {flow}", with_address(destination, destination_address));
        let _ = writeln!(text, "network   {network}");
    }
    if let Some(change) = &answer.change {
        let _ = writeln!(text, "until     {}, then {}", change.when, change.reason);
    }
    for note in &answer.notes {
        let _ = writeln!(text, "note      {note}");
    }
    text
}

fn with_address(label: &str, address: &str) -> String {
    if label.contains(address) { label.to_owned() } else { format!("{label}, {address}") }
}
