//! What Argo CD and Flux make of our objects, by the snippets of `docs/kubernetes.md`: Argo CD's by Lua, Flux's by
//! Flux's own code.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, ensure};
use horizon_tests::process::{run, run_within};
use serde_json::{Value, json};

use crate::{in_cluster, path, text};

/// Fetching and compiling Flux's code is done once a machine, and takes minutes on two cores.
const BUILD: Duration = Duration::from_secs(15 * 60);

/// An object, and what it is by Argo CD, by Flux without more words, and by Flux with the expressions.
type Case = (Value, [&'static str; 3]);

fn cases() -> Vec<Case> {
    vec![
        (json!({}), ["Progressing", "Current", "Unknown"]),
        (status(1, &[("Ready", "True", "Ready")]), ["Progressing", "InProgress", "InProgress"]),
        (status(2, &[]), ["Progressing", "Current", "InProgress"]),
        (status(2, &[("Ready", "True", "Ready")]), ["Healthy", "Current", "Current"]),
        (ready_false("Pending"), ["Progressing", "InProgress", "InProgress"]),
        (ready_false("NoGateways"), ["Progressing", "InProgress", "InProgress"]),
        (ready_false("NotEnrolled"), ["Suspended", "InProgress", "Current"]),
        (ready_false("AwaitingApproval"), ["Suspended", "InProgress", "Current"]),
        (ready_false("HoldActive"), ["Suspended", "InProgress", "Current"]),
        (ready_false("Exhausted"), ["Healthy", "InProgress", "Current"]),
        (ready_false("Disabled"), ["Healthy", "InProgress", "Current"]),
        (ready_false("Invalid"), ["Degraded", "InProgress", "Failed"]),
        (ready_false("RefNotFound"), ["Degraded", "InProgress", "Failed"]),
        (ready_false("RejectedByGateway"), ["Degraded", "InProgress", "Failed"]),
        (
            status(2, &[("Ready", "False", "Pending"), ("Reconciling", "True", "Pending")]),
            ["Progressing", "InProgress", "InProgress"],
        ),
        (
            status(2, &[("Ready", "False", "RejectedByGateway"), ("Stalled", "True", "RejectedByGateway")]),
            ["Degraded", "Failed", "Failed"],
        ),
    ]
}

#[test]
fn argo_cd_judges_by_the_snippet() {
    in_cluster(|cluster, _| {
        let snippet = block("lua", "local health_of");
        let program = cluster.path().join("health.lua");
        for (object, [expected, ..]) in cases() {
            let object = lua(&server(object));
            let wrapped = format!(
                "obj = {object}\nlocal function judge()\n{snippet}\nend\nlocal health = judge()\n\
                 assert(type(health.message) == 'string')\nio.write(health.status)\n"
            );
            fs::write(&program, wrapped)?;
            let mut command = Command::new("lua5.4");
            command.arg(&program);
            let said = run(command).context("install lua5.4")?.success()?;
            ensure!(said == expected, "{said} and not {expected}: {object}");
        }
        Ok(())
    });
}

#[test]
fn flux_judges_by_the_expressions() {
    in_cluster(|cluster, kubectl| {
        let entry = block("yaml", "healthCheckExprs:");
        // Only kubectl reads YAML here, and it reads objects.
        let wrapped = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: it}}\n{entry}");
        kubectl.write("expressions.yaml", &wrapped)?;
        let words =
            ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "expressions.yaml"];
        let read: Value = serde_json::from_str(&kubectl.done(&words)?)?;
        let expressions = &read["healthCheckExprs"][0];
        ensure!(expressions["kind"] == "Server", "{read:#}");
        let objects: Vec<Value> = cases().into_iter().map(|(object, _)| server(object)).collect();
        let question = cluster.path().join("question.json");
        fs::write(&question, json!({ "expressions": expressions, "objects": objects }).to_string())?;

        let program = cluster.path().join("health");
        let mut build = Command::new("go");
        build.args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o"]).arg(&program).arg(".");
        build.current_dir(path("tests/clients/health")).env("CGO_ENABLED", "0");
        run_within(build, BUILD)?.success().context("Flux's code needs Go 1.24 or later")?;
        let mut ask = Command::new(program);
        ask.arg(question);
        let answers: Vec<Value> = serde_json::from_str(&run(ask)?.success()?)?;

        ensure!(answers.len() == cases().len(), "{answers:?}");
        for ((object, [_, plain, by_expressions]), answer) in cases().into_iter().zip(answers) {
            let expected = json!({ "kstatus": plain, "expressions": by_expressions });
            ensure!(answer == expected, "{answer} and not {expected}: {object}");
        }
        Ok(())
    });
}

/// A Server in its second generation.
fn server(status: Value) -> Value {
    let mut server = json!({
        "apiVersion": "horizon.dev/v1alpha1", "kind": "Server",
        "metadata": { "name": "gw-1", "namespace": "default", "generation": 2 },
        "spec": { "networkRefs": [{ "name": "office" }] },
    });
    if status.as_object().is_some_and(|status| !status.is_empty()) {
        server["status"] = status;
    }
    server
}

fn status(generation: i64, conditions: &[(&str, &str, &str)]) -> Value {
    let conditions = conditions.iter().map(|(kind, status, reason)| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "it is",
            "observedGeneration": generation, "lastTransitionTime": "2027-01-01T00:00:00Z",
        })
    });
    json!({ "observedGeneration": generation, "revision": 7, "conditions": conditions.collect::<Vec<_>>() })
}

fn ready_false(reason: &str) -> Value {
    status(2, &[("Accepted", "True", "Accepted"), ("Ready", "False", reason)])
}

/// Returns the block of the documentation in a language that begins like this.
fn block(language: &str, start: &str) -> String {
    let written = text("docs/kubernetes.md");
    let (_, rest) = written.split_once(&format!("```{language}\n{start}")).unwrap();
    let (block, _) = rest.split_once("\n```").unwrap();
    format!("{start}{block}\n")
}

/// Writes a value as Lua does.
fn lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => format!("{{{}}}", items.iter().map(lua).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("[{name:?}] = {}", lua(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}
