//! `kill -9` of the controller: what it answered stays, and a watch goes on where it was.

use anyhow::{Context, ensure};
use horizon_tests::{kubectl::Kubectl, wait::wait_for};
use serde_json::Value;

use super::{ALICE, BOB, alone};

fn version(kubectl: &Kubectl, plural: &str) -> anyhow::Result<String> {
    let path = format!("/apis/horizon.dev/v1alpha1/{plural}");
    let list: Value = serde_json::from_str(&kubectl.done(&["get", "--raw", &path])?)?;
    Ok(list["metadata"]["resourceVersion"].as_str().context("a list has no version")?.to_owned())
}

/// Returns what a watch of two seconds from a version tells: TYPE and name of each event.
fn events(kubectl: &Kubectl, plural: &str, from: &str) -> anyhow::Result<Vec<String>> {
    let path =
        format!("/apis/horizon.dev/v1alpha1/{plural}?watch=true&timeoutSeconds=2&resourceVersion={from}");
    let text = kubectl.done(&["get", "--raw", &path])?;
    let events = serde_json::Deserializer::from_str(&text).into_iter::<Value>().map(|event| {
        let event = event?;
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        Ok(format!("{} {}", text(&event["type"]), text(&event["object"]["metadata"]["name"])))
    });
    events.collect()
}

#[test]
fn a_watch_goes_on_after_a_restart() {
    alone(|controller, kubectl| {
        kubectl.write("alice.yaml", ALICE)?;
        kubectl.write("bob.yaml", BOB)?;
        kubectl.done(&["create", "-f", "alice.yaml"])?;
        let quiet = version(kubectl, "networks")?;
        let watch = kubectl.start(&["get", "users", "-w", "-o", "name"], "watch.log")?;
        wait_for("the watch has begun", || Ok(watch.log() == "user.horizon.dev/alice\n"))?;
        kubectl.done(&["create", "-f", "bob.yaml"])?;
        wait_for("the watch tells", || Ok(watch.log().contains("user.horizon.dev/bob\n")))?;
        kubectl.done(&["wait", "--for=condition=Ready", "user/bob", "--timeout=30s"])?;
        let users = version(kubectl, "users")?;

        controller.kill()?;
        controller.start()?;

        kubectl.prints(&["get", "users", "-o", "name"], "user.horizon.dev/alice\nuser.horizon.dev/bob")?;
        kubectl.done(&["delete", "user", "alice"])?;
        // Who had seen everything goes on from there, and nothing has expired.
        let mut told = events(kubectl, "users", &users)?;
        told.retain(|event| !event.starts_with("MODIFIED"));
        ensure!(told == ["DELETED alice"], "{told:?}");
        let told = events(kubectl, "networks", &quiet)?;
        ensure!(told.is_empty(), "a quiet kind is not quiet: {told:?}");
        Ok(())
    });
}

#[test]
fn what_was_answered_is_there_after_a_kill() {
    alone(|controller, kubectl| {
        kubectl.write("bob.yaml", BOB)?;
        let fields = [
            "get",
            "user",
            "bob",
            "-o",
            "jsonpath={.metadata.uid} {.metadata.resourceVersion} {.metadata.creationTimestamp} {.spec}",
        ];
        kubectl.done(&["apply", "-f", "bob.yaml"])?;
        kubectl.done(&["wait", "--for=condition=Ready", "user/bob", "--timeout=30s"])?;
        let before = kubectl.done(&fields)?;

        controller.kill()?;
        controller.start()?;

        let after = kubectl.done(&fields)?;
        ensure!(after == before, "{after} and not {before}");
        kubectl.prints(&["apply", "-f", "bob.yaml"], "user.horizon.dev/bob unchanged")
    });
}
