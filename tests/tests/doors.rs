//! One verdict through every door: all manifests of the corpus of bad input and all examples go through the folder,
//! the API of a controller that runs alone, a Kubernetes cluster with the controller in it, and the console's editor.
//! What differs stands in a table with its reason (`doors/table.rs`), which people read as `docs/one-verdict.md`; what is not in it fails,
//! and so does a line of it that is not true any more. `UPDATE=1` writes the page.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "doors/compare.rs"]
mod compare;
#[path = "doors/console.rs"]
mod console;
#[path = "doors/corpus.rs"]
mod corpus;
#[path = "doors/folder.rs"]
mod folder;
#[path = "doors/page.rs"]
mod page;
#[path = "doors/served.rs"]
mod served;
#[path = "doors/table.rs"]
mod table;
#[path = "doors/verdict.rs"]
mod verdict;

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use horizon_tests::{cluster::Cluster, standalone::Standalone};
use tempfile::TempDir;

use self::{compare::Comparison, corpus::World, served::Api, table::Door, verdict::Verdict};

#[test]
fn the_api_of_a_controller_alone_says_what_the_folder_says() {
    let corpus = Corpus::read();

    let kubeconfig = corpus.controller.kubeconfig(&[]).unwrap();
    corpus.compare(Door::Alone, async |worlds| Api::new(&kubeconfig).await?.verdicts(worlds).await);
}

#[test]
fn the_console_says_what_the_folder_says() {
    let corpus = Corpus::read();

    let controller = &corpus.controller;
    let kubeconfig = controller.kubeconfig(&[]).unwrap();
    corpus.compare(Door::Console, async |worlds| console::verdicts(worlds, controller, &kubeconfig).await);
}

#[test]
fn a_cluster_with_the_controller_in_it_says_what_the_folder_says() {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let install = checkout().join("manifests/kubernetes");
    let install = ["apply", "--server-side", "-k", install.to_str().unwrap()];
    cluster.kubectl("admin").unwrap().done(&install).unwrap();
    cluster.wait_for_crds().unwrap();
    let account = cluster.kubeconfig_of("horizon", "horizon-controller").unwrap();
    let _controller = Standalone::in_cluster(&account).unwrap();

    let kubeconfig = cluster.kubeconfig();
    let verdicts = async |worlds: &[World]| Api::new(&kubeconfig).await?.verdicts(worlds).await;
    Corpus::read().compare(Door::Cluster, verdicts);
}

#[test]
fn the_page_is_made_of_the_table() {
    let path = checkout().join("docs/one-verdict.md");
    let page = page::text();
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }

    assert_eq!(fs::read_to_string(path).unwrap_or_default(), page);
}

/// The corpus, and what the folder says of it.
struct Corpus {
    worlds: Vec<World>,
    folder: BTreeMap<String, Verdict>,
    /// Its folder holds what is in force before something changes.
    controller: Standalone,
    _scratch: TempDir,
}

impl Corpus {
    fn read() -> Self {
        let worlds = corpus::worlds().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let before = folder::before(&worlds, scratch.path()).unwrap();
        let controller = Standalone::with_manifests(&before).unwrap();
        let folder = folder::verdicts(&worlds, &controller).unwrap();
        Self { worlds, folder, controller, _scratch: scratch }
    }

    /// Sends everything through a door, and checks that what it says differs as the table says, and not otherwise.
    fn compare(
        &self,
        door: Door,
        verdicts: impl AsyncFnOnce(&[World]) -> anyhow::Result<BTreeMap<String, Verdict>>,
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let said = runtime.block_on(verdicts(&self.worlds)).unwrap();
        let mut comparison = Comparison::default();
        comparison.add(door, &self.folder, &said);

        let wrong = comparison.finish(&[door]);

        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn checkout() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..")
}
