//! What goes through the doors: worlds of manifests, good ones and bad ones, document by document.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use horizon_api::resource::{API_VERSION, Kind};

/// Files that make a world of their own: nothing in them refers to another one.
pub(crate) struct World {
    /// Also the namespace in which it is sent.
    pub(crate) name: String,
    pub(crate) files: Vec<File>,
    /// What is in force when it arrives.
    pub(crate) before: Option<File>,
}

pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) documents: Vec<Document>,
}

/// What stands between two `---`: what a client of an API sends at once.
pub(crate) struct Document {
    /// `FILE#NUMBER`; files of folders that are read whole have their folder before them.
    pub(crate) id: String,
    pub(crate) first_line: u32,
    pub(crate) text: String,
    /// What a client must know before it can send anything: none where the text does not say it.
    pub(crate) kind: Option<Kind>,
}

/// Reads the corpus of the planner, in which each file is a world, and the folders of examples.
pub(crate) fn worlds() -> anyhow::Result<Vec<World>> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("run this with cargo")?).join("..");
    let bad = root.join("controller/planner/tests/bad-input");
    let mut worlds = vec![];
    for name in names(&bad)? {
        let Some(stem) = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".json")) else { continue };
        if stem.ends_with(".before") {
            continue;
        }
        let before = format!("{stem}.before.yaml");
        let before = bad.join(&before).is_file().then(|| File::read(&bad, &before, "")).transpose()?;
        worlds.push(World { name: stem.to_owned(), files: vec![File::read(&bad, &name, "")?], before });
    }
    ensure!(worlds.len() > 30, "the corpus was not found");
    for folder in ["examples", "quickstart"] {
        let path = root.join("manifests").join(folder);
        let files = names(&path)?.into_iter().map(|name| File::read(&path, &name, folder));
        let files: Vec<File> = files.collect::<anyhow::Result<_>>()?;
        ensure!(!files.is_empty(), "{} is empty", path.display());
        worlds.push(World { name: folder.to_owned(), files, before: None });
    }
    Ok(worlds)
}

fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<anyhow::Result<_>>()?;
    names.sort();
    Ok(names)
}

impl World {
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Document> {
        self.files.iter().flat_map(|file| &file.documents)
    }
}

impl File {
    fn read(folder: &Path, name: &str, prefix: &str) -> anyhow::Result<Self> {
        let text = fs::read_to_string(folder.join(name)).with_context(|| format!("read {name}"))?;
        let shown = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        Ok(Self { name: name.to_owned(), documents: documents(&shown, &text), text })
    }

    /// Returns the document in which a line is.
    pub(crate) fn document_at(&self, line: u32) -> Option<&Document> {
        self.documents.iter().rev().find(|document| document.first_line <= line.max(1))
    }
}

/// Splits a text as clients do. What says nothing is nothing.
fn documents(file: &str, text: &str) -> Vec<Document> {
    let mut documents = vec![];
    let (mut start, mut body) = (1, String::new());
    let lines = text.split_inclusive('\n').chain(["---"]).zip(1_u32..);
    for (line, number) in lines {
        if line.trim_end() != "---" {
            body.push_str(line);
            continue;
        }
        let text = std::mem::take(&mut body);
        let says_something =
            |line: &str| !line.trim().is_empty() && !line.starts_with('#') && !line.starts_with('%');
        if text.lines().any(says_something) {
            let id = format!("{file}#{}", documents.len() + 1);
            documents.push(Document { id, first_line: start, kind: kind(&text), text });
        }
        start = number + 1;
    }
    documents
}

/// Finds the kind of an object of ours; clients find the path to send it to by that.
fn kind(text: &str) -> Option<Kind> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let kind = field("kind:")?.parse::<Kind>().ok()?;
    (field("apiVersion:") == Some(API_VERSION)).then_some(kind)
}
