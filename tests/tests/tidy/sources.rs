//! Every Rust file of the workspace, and which of them are tests.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// A Rust file.
pub(crate) struct Source {
    /// From the root of the workspace.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Below `tests/`, or a module that only tests compile.
    pub(crate) is_test: bool,
}

impl Source {
    /// Returns the numbered lines outside items that only tests compile, without comments.
    pub(crate) fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut part = Part::Product;
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let product = lines.filter(move |(_, line)| {
            let is_product = part == Part::Product && *line != "#[cfg(test)]";
            part = part.after(line);
            is_product
        });
        product.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Where a line is. Our formatting puts the items of a file at the first column, and so the ends of their blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Product,
    /// Behind `#[cfg(test)]`, before the end of the item's first line.
    TestHead,
    TestBlock,
}

impl Part {
    fn after(self, line: &str) -> Self {
        match self {
            Self::Product if line == "#[cfg(test)]" => Self::TestHead,
            Self::Product => Self::Product,
            Self::TestHead if line.ends_with(';') || line.ends_with("{}") => Self::Product,
            Self::TestHead if line.ends_with('{') => Self::TestBlock,
            Self::TestHead => Self::TestHead,
            Self::TestBlock if line == "}" || line == "};" => Self::Product,
            Self::TestBlock => Self::TestBlock,
        }
    }
}

/// Reads them all.
pub(crate) fn sources() -> anyhow::Result<Vec<Source>> {
    let root = &super::root()?;
    let mut paths = Vec::new();
    walk(root, &mut paths)?;
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let path = path.strip_prefix(root)?.to_str().context("a path that is not text")?.to_owned();
        let is_test = path.split('/').any(|part| part == "tests");
        sources.push(Source { path, text, is_test });
    }
    let test_modules = test_modules(&sources);
    for source in &mut sources {
        let module = source.path.trim_end_matches(".rs");
        source.is_test |= test_modules.iter().any(|test| Path::new(module).starts_with(test));
    }
    Ok(sources)
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let is_hidden = name.to_string_lossy().starts_with('.');
        if entry.file_type()?.is_dir() && !is_hidden && name != "target" {
            walk(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Returns the paths without `.rs` of modules that are declared as `#[cfg(test)] mod NAME;`.
fn test_modules(sources: &[Source]) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for source in sources {
        let mut is_for_tests = false;
        for line in source.text.lines().map(str::trim) {
            let name = line.strip_suffix(';').and_then(|line| line.rsplit_once("mod ")).map(|(_, name)| name);
            if let (true, Some(name)) = (is_for_tests, name) {
                modules.insert(format!("{}/{name}", folder_of(&source.path)));
            }
            is_for_tests = line == "#[cfg(test)]" || (is_for_tests && line.starts_with("#["));
        }
    }
    modules
}

/// Returns where the modules of a file live.
fn folder_of(path: &str) -> &str {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    if matches!(file, "lib.rs" | "main.rs") { folder } else { path.trim_end_matches(".rs") }
}
