//! The first door: a folder. The real `horizon-controller` says what is wrong with it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use horizon_api::{http::PlanAnswer, problem::Problem};
use horizon_tests::{process::run, program, standalone::Standalone};

use super::{
    corpus::{File, World},
    verdict::{Verdict, Word},
};

/// Returns what `check` says of each document, and for what changes something what `plan` says to the controller that
/// has read [`before`].
pub(crate) fn verdicts(
    worlds: &[World],
    controller: &Standalone,
) -> anyhow::Result<BTreeMap<String, Verdict>> {
    let folder = tempfile::tempdir()?;
    let mut verdicts = BTreeMap::new();
    for world in worlds.iter().filter(|world| world.before.is_none()) {
        let folder = folder.path().join(&world.name);
        fs::create_dir(&folder)?;
        for file in &world.files {
            fs::write(folder.join(&file.name), &file.text)?;
        }
        let mut command = Command::new(program::path("horizon-controller")?);
        command.arg("check").arg(&folder).arg("--json");
        let said = run(command)?;
        let problems = said.stdout.lines().map(serde_json::from_str::<Problem>);
        let problems: Vec<Problem> = problems.collect::<Result<_, _>>().with_context(|| said.stderr)?;
        let is_bad = problems.iter().any(Problem::is_error);
        ensure!(said.code == i32::from(is_bad), "{}: exit code {}", world.name, said.code);
        verdicts.extend(world.files.iter().flat_map(|file| of_file(file, &problems)));
    }
    verdicts.extend(changes(worlds, controller, &folder.path().join("changes"))?);
    Ok(verdicts)
}

fn changes(
    worlds: &[World],
    controller: &Standalone,
    folder: &Path,
) -> anyhow::Result<Vec<(String, Verdict)>> {
    let changed: Vec<_> = worlds.iter().filter(|world| world.before.is_some()).collect();
    fs::create_dir(folder)?;
    for (world, file) in changed.iter().flat_map(|world| world.files.iter().map(move |file| (world, file))) {
        fs::write(folder.join(&file.name), in_realm(world, file)?)?;
    }
    let path = folder.to_str().context("a path that is not text")?;
    let said = controller.verb(&["plan", path, "--json"])?.success()?;
    let plan: PlanAnswer = serde_json::from_str(&said)?;
    let of_world = |world: &&World| {
        let verdicts = world.files.iter().flat_map(|file| of_file(file, &plan.problems));
        let realm = realm(world);
        verdicts.map(|(id, verdict)| (id, verdict.without_realm(&realm))).collect::<Vec<_>>()
    };
    Ok(changed.iter().flat_map(of_world).collect())
}

/// Writes what is in force before the changes arrive into a folder that a controller can read, and returns it. Each
/// world is a realm of its own there.
pub(crate) fn before(worlds: &[World], folder: &Path) -> anyhow::Result<PathBuf> {
    let folder = folder.join("before");
    fs::create_dir(&folder)?;
    for world in worlds {
        if let Some(before) = &world.before {
            // It must be the same file that changes later.
            fs::write(folder.join(&world.files[0].name), in_realm(world, before)?)?;
        }
    }
    Ok(folder)
}

/// Returns a file with all of its objects in a namespace; no line moves.
fn in_realm(world: &World, file: &File) -> anyhow::Result<String> {
    let metadata = format!("metadata: {{namespace: {}, name: ", realm(world));
    let text = file.text.replace("metadata: {name: ", &metadata);
    ensure!(text.matches(&metadata).count() == file.documents.len(), "{} has another form", file.name);
    Ok(text)
}

fn realm(world: &World) -> String {
    format!("folder-{}", world.name)
}

/// Returns what these problems say of each document of a file.
pub(crate) fn of_file(file: &File, problems: &[Problem]) -> Vec<(String, Verdict)> {
    let mut words: BTreeMap<&str, Vec<Word>> = BTreeMap::new();
    let is_of_file = |problem: &&Problem| problem.file.rsplit('/').next() == Some(file.name.as_str());
    for problem in problems.iter().filter(is_of_file).filter(|problem| problem.is_error()) {
        if let Some(document) = file.document_at(problem.line) {
            let word = Word::new(&problem.code, &problem.path, problem.sentence());
            words.entry(&document.id).or_default().push(word);
        }
    }
    let verdict = |id: &str| words.remove(id).map_or(Verdict::Accepted, Verdict::Refused);
    let mut verdict = verdict;
    file.documents.iter().map(|document| (document.id.clone(), verdict(&document.id))).collect()
}
