//! The house rules that no compiler knows: who may import whom, what pure crates may not touch, how files look.
//! Changing a table here is an architecture change.

mod tidy {
    pub(crate) mod edges;
    pub(crate) mod sources;

    use std::{env, path::PathBuf};

    use anyhow::Context;

    /// Returns the root of the checkout that is tested. Asked when the test runs, because checkouts
    /// that share a target directory share this program too.
    pub(crate) fn root() -> anyhow::Result<PathBuf> {
        let tests = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("run this with cargo")?);
        Ok(tests.parent().context("no workspace")?.to_owned())
    }
}

use tidy::{
    edges::{ONLY, PURE, TABLE, Workspace},
    sources::{Source, sources},
};

#[test]
fn crates_import_only_what_the_table_allows() {
    let workspace = Workspace::read().unwrap();
    let mut wrong = Vec::new();

    for package in &workspace.packages {
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == package.name) else {
            wrong.push(format!("{} is not in the table", package.name));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|name| workspace.is_ours(name)) {
            if !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{} imports {dependency}", package.name));
            }
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
    for (name, _) in TABLE {
        assert!(workspace.is_ours(name), "the table names {name}, which is no crate of ours");
    }
}

#[test]
fn heavy_libraries_stay_in_their_rooms() {
    let workspace = Workspace::read().unwrap();
    let mut wrong = Vec::new();

    for package in &workspace.packages {
        for (library, rooms) in ONLY {
            if package.dependencies.iter().any(|name| name == library)
                && !rooms.contains(&package.name.as_str())
            {
                wrong.push(format!("{} imports {library}, which only {rooms:?} may", package.name));
            }
        }
        for library in &package.always {
            if PURE.contains(&package.name.as_str()) && IMPURE.contains(&library.as_str()) {
                wrong.push(format!("{} is pure and imports {library}", package.name));
            }
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_crates_reach_no_file_clock_thread_or_socket() {
    let folders = [
        "api/src/",
        "controller/planner/src/",
        "controller/machinery/src/",
        "controller/trust/src/",
        "gateway/dataplane/src/",
        "gateway/seal/src/",
    ];
    let sources = sources().unwrap();
    let pure =
        || sources.iter().filter(|source| folders.iter().any(|folder| source.path.starts_with(folder)));
    let mut wrong = Vec::new();

    for source in pure().filter(|source| !source.is_test) {
        for (number, line) in source.product_lines() {
            let found = EFFECTS.iter().find(|effect| line.contains(*effect));
            wrong.extend(found.map(|effect| format!("{}:{number} uses {effect}", source.path)));
        }
        for module in imported_of_std(source).iter().filter(|module| EFFECTS.contains(&module.as_str())) {
            wrong.push(format!("{} imports {module}", source.path));
        }
    }

    assert!(pure().count() > 20, "the pure crates were not found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the modules of `use std::{…}`, however the list is broken into lines.
fn imported_of_std(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.product_lines().map(|(_, line)| line).collect();
    let text = lines.join(" ");
    let lists = text.split("use std::{").skip(1).filter_map(|rest| rest.split(';').next());
    lists.flat_map(modules_of_list).collect()
}

fn modules_of_list(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut modules = vec![String::new()];
    for character in list.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => modules.push(String::new()),
            _ if depth == 0 => modules.last_mut().expect("there is one from the start").push(character),
            _ => {}
        }
    }
    let first = |module: String| module.split([':', ' ']).find(|part| !part.is_empty()).map(str::to_owned);
    modules.into_iter().filter_map(first).map(|module| format!("std::{module}")).collect()
}

#[test]
fn an_effect_in_a_list_of_imports_is_found() {
    let text = "//! x\nuse std::{\n    collections::{BTreeMap, fs},\n    env::{self}, fs as files,\n};\n";
    let source = Source { path: "api/src/x.rs".into(), text: text.into(), is_test: false };

    assert_eq!(imported_of_std(&source), ["std::collections", "std::env", "std::fs"]);
}

#[test]
fn files_keep_to_the_style() {
    let sources = sources().unwrap();

    let wrong: Vec<String> = sources.iter().flat_map(complaints).collect();

    assert!(sources.len() > 100, "the sources were not found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn complaints(source: &Source) -> Vec<String> {
    let path = &source.path;
    let mut wrong = Vec::new();
    let mut complain = |text: &str| wrong.push(format!("{path} {text}"));
    if !source.text.starts_with("//!") {
        complain("does not begin with //!, which says what the file is for");
    }
    if !source.is_test && source.product_lines().count() > 600 {
        complain("has more than 600 lines: split it");
    }
    if path.ends_with("/main.rs") && !source.is_test && source.text.lines().count() > 40 {
        complain("has more than 40 lines: a main reads arguments, starts the log and runs");
    }
    let names: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    for bad in ["mod", "utils", "util", "common", "helpers", "types", "misc"] {
        if names.contains(&bad) {
            complain(&format!("is called `{bad}`, which says nothing"));
        }
    }
    // In two pieces, so that this file does not complain of itself.
    let mark = concat!("TO", "DO");
    for line in source.text.lines() {
        if let Some((_, rest)) = line.split_once(mark)
            && !rest.trim_start_matches("(#").starts_with(|c: char| c.is_ascii_digit())
        {
            complain(&format!("has a {mark} without the number of an issue: {}", line.trim()));
        }
    }
    wrong
}

const IMPURE: [&str; 9] =
    ["getrandom", "libc", "libsql", "notify", "quinn", "quinn-udp", "rand", "socket2", "tokio"];

const EFFECTS: [&str; 10] = [
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
];

/// A claim of safety is worth what its test is worth.
#[test]
fn every_attack_in_the_threat_table_is_played() {
    let root = tidy::root().unwrap();
    let table = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut wrong = Vec::new();

    for row in rows {
        let tests: Vec<_> = row.split('`').filter(|text| text.contains("::")).collect();
        if tests.is_empty() {
            wrong.push(format!("no test: {row}"));
        }
        for test in tests {
            let (module, name) = test.rsplit_once("::").unwrap();
            let file = root.join("tests/tests").join(format!("{}.rs", module.replace("::", "/")));
            let played =
                std::fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {name}()")));
            if !played {
                wrong.push(format!("no such test: {test}"));
            }
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
}
