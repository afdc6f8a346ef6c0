//! What `manifests/` shows is right, and means what its comments say.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use horizon_api::{
    resource::{Kind, ObjectKey},
    section::Section,
};
use horizon_planner::{
    check::{check, to_text},
    compile::{Input, SourceSnapshot, compile},
    manifest::parse_folder,
};

fn manifests() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("run with cargo")).join("../../manifests")
}

fn folder(name: &str) -> Vec<(String, Vec<u8>)> {
    let root = manifests().join(name);
    let mut files: Vec<_> = fs::read_dir(root)
        .expect("the folder exists")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| {
            (
                path.file_name().expect("a file").to_string_lossy().into_owned(),
                fs::read(&path).expect("readable"),
            )
        })
        .collect();
    files.sort();
    files
}

fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect()
}

/// What installs the controller in a cluster, and declares nothing of ours.
const INSTALLS: [&str; 3] = ["helm", "kubernetes", "kubernetes-one-namespace"];

#[test]
fn every_folder_of_manifests_is_fine() {
    let root = manifests();
    let folders: Vec<_> = fs::read_dir(root).expect("manifests/ exists").collect();
    assert!(!folders.is_empty());
    for entry in folders {
        let name = entry.expect("readable").file_name().to_string_lossy().into_owned();
        if INSTALLS.contains(&name.as_str()) {
            continue;
        }
        let files = folder(&name);

        let mut problems = check(&borrowed(&files), 0);

        // The examples show every field, and some that nothing enforces yet.
        problems.retain(|problem| name != "examples" || problem.code != "NotYetEffective");
        assert!(problems.is_empty(), "{name}:\n{}", to_text(&problems, &borrowed(&files)));
    }
}

#[test]
fn the_examples_show_every_kind() {
    let files = folder("examples");

    let parsed = parse_folder(&borrowed(&files));

    let shown: BTreeSet<_> = parsed.manifests.iter().map(|manifest| manifest.key.kind).collect();
    assert_eq!(shown, Kind::ALL.into());
}

#[test]
fn the_quickstart_gives_its_gateway_everything_it_needs() {
    let files = folder("quickstart");
    let source = SourceSnapshot {
        source: "files".into(),
        parsed: parse_folder(&borrowed(&files)).into(),
        is_complete: true,
    };

    let compiled = compile(&Input { sources: vec![source], ..Input::default() }, 0);

    let sections = &compiled.sections[&ObjectKey::new(Kind::Server, "default", "gw-1")];
    let names: Vec<_> = sections.iter().map(|s| (s.header.name.as_str(), s.header.count)).collect();
    assert_eq!(
        names,
        [("identity", 1), ("networks", 1), ("policy/default/office", 4), ("revocations", 0), ("routes", 1)]
    );
    let Ok(Section::Networks(networks)) = Section::decode(&sections[1].bytes) else { panic!("networks") };
    let addresses: Vec<_> = networks[0].addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.77.0.1", "fd77:1::1"]);
}
