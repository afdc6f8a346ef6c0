//! The real kubectl against a controller that runs alone: each verb, and what a person sees of it, whole lines.
//! What kubectl prints here, it prints of a real API server with our CRDs too, except for our own words.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "kubectl/access.rs"]
mod access;
#[path = "kubectl/applying.rs"]
mod applying;
#[path = "kubectl/changing.rs"]
mod changing;
#[path = "kubectl/discovery.rs"]
mod discovery;
#[path = "kubectl/mistakes.rs"]
mod mistakes;
#[path = "kubectl/reading.rs"]
mod reading;
#[path = "kubectl/restart.rs"]
mod restart;

use std::{env, path::PathBuf};

use horizon_tests::{kubectl::Kubectl, standalone::Standalone};

/// Two people: one without a label, one with.
pub(crate) const ALICE: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: alice}
spec: {groups: [staff]}
";
pub(crate) const BOB: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: bob, labels: {team: a}}
spec: {groups: [guests], maxDevices: 2}
";

/// Runs a test with an empty controller and its operator's kubectl.
#[expect(clippy::print_stderr, reason = "a failure is told with what the controller said")]
pub(crate) fn alone(test: impl FnOnce(&mut Standalone, &Kubectl) -> anyhow::Result<()>) {
    let Some(program) = program() else { return };
    let mut controller = Standalone::empty().unwrap();
    let kubectl = operator(&controller, program).unwrap();
    if let Err(error) = test(&mut controller, &kubectl) {
        eprintln!("{}", controller.log());
        panic!("{error:#}");
    }
}

/// Runs a test with two people in the controller.
pub(crate) fn with_people(test: impl FnOnce(&Kubectl) -> anyhow::Result<()>) {
    alone(|_, kubectl| {
        kubectl.write("people.yaml", &format!("{ALICE}---\n{BOB}"))?;
        kubectl.done(&["create", "-f", "people.yaml"])?;
        test(kubectl)
    });
}

pub(crate) fn operator(controller: &Standalone, program: PathBuf) -> anyhow::Result<Kubectl> {
    Kubectl::new(program, controller.kubeconfig(&[])?, controller.path().join("operator"))
}

/// Returns kubectl; none when this machine has none and need not.
#[expect(clippy::print_stderr, reason = "a skip is said aloud")]
pub(crate) fn program() -> Option<PathBuf> {
    let program = Kubectl::program();
    if program.is_none() {
        let how = "HORIZON_KUBECTL=\"$(./scripts/kubernetes kubectl)/kubectl\"";
        assert!(env::var_os("HORIZON_E2E_REQUIRED").is_none(), "{how} is missing");
        eprintln!("SKIPPED: set {how}");
    }
    program
}

/// Returns the folder of the examples in the checkout that is tested.
pub(crate) fn manifests() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../manifests")
}
