//! What `manifests/` puts into a cluster, against a real API server: installing by kubectl, kustomize and Helm, the
//! rights that follow, and the snippets of `docs/kubernetes.md` by which others judge the health of objects.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "gitops/chart.rs"]
mod chart;
#[path = "gitops/health.rs"]
mod health;
#[path = "gitops/install.rs"]
mod install;
#[path = "gitops/people.rs"]
mod people;
#[path = "gitops/rights.rs"]
mod rights;

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, ensure};
use horizon_tests::{
    cluster::Cluster,
    kubectl::Kubectl,
    process::{Outcome, last_lines, run},
};
use serde_json::Value;

/// Runs a test in an empty cluster.
#[expect(clippy::print_stderr, reason = "a failure is told with what the API server said")]
pub(crate) fn in_cluster(test: impl FnOnce(&Cluster, &Kubectl) -> anyhow::Result<()>) {
    let Some(cluster) = Cluster::start().unwrap() else { return };
    let kubectl = cluster.kubectl("operator").unwrap();
    if let Err(error) = test(&cluster, &kubectl) {
        eprintln!("{}", last_lines(&cluster.log(), 20));
        panic!("{error:#}");
    }
}

#[test]
fn api_server_that_was_killed_or_stopped_comes_back_with_its_data() {
    let Some(mut cluster) = Cluster::start().unwrap() else { return };
    let kubectl = cluster.kubectl("operator").unwrap();
    cluster.install_crds().unwrap();
    kubectl.done(&["create", "namespace", "kept"]).unwrap();
    let url = cluster.url();

    cluster.kill_api_server().unwrap();
    assert!(kubectl.done(&["get", "namespace", "kept"]).is_err());
    cluster.start_api_server().unwrap();
    cluster.stop_api_server().unwrap();
    cluster.start_api_server().unwrap();

    assert_eq!(cluster.url(), url);
    kubectl.done(&["get", "namespace", "kept"]).unwrap();
    cluster.wait_for_crds().unwrap();
}

/// Returns the path of something in the checkout that is tested.
pub(crate) fn path(name: &str) -> String {
    let tests = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    tests.parent().unwrap().join(name).display().to_string()
}

/// Returns a file of the checkout that is tested.
pub(crate) fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// Runs Helm as the operator of a cluster.
pub(crate) fn helm(cluster: &Cluster, words: &[&str]) -> anyhow::Result<Outcome> {
    let mut command = Command::new(cluster.program("helm"));
    command.args(words).env("KUBECONFIG", cluster.kubeconfig()).env("HOME", cluster.path());
    run(command).context("./scripts/kubernetes builds helm too")
}

/// Returns what the chart makes of these values, as a file in the operator's folder.
pub(crate) fn render(cluster: &Cluster, kubectl: &Kubectl, words: &[&str]) -> anyhow::Result<String> {
    let chart = path("manifests/helm/horizon");
    let words = [&["template", "horizon", &chart, "--namespace", "horizon"], words].concat();
    let rendered = helm(cluster, &words)?.success()?;
    kubectl.write("rendered.yaml", &rendered)?;
    Ok("rendered.yaml".to_owned())
}

/// Returns the objects of a file as they stand there.
pub(crate) fn objects(kubectl: &Kubectl, file: &str) -> anyhow::Result<Vec<Value>> {
    let read = kubectl.done(&["create", "--dry-run=client", "--output", "json", "-f", file])?;
    let found: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(&read).into_iter().collect();
    let found = found?;
    ensure!(!found.is_empty(), "{file} has no objects");
    Ok(found)
}
