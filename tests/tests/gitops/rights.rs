//! What the controller may do in the cluster, all of it.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use horizon_api::resource::{GROUP, Kind};
use horizon_tests::{cluster::Cluster, kubectl::Kubectl};
use serde_json::{Value, json};

use crate::{in_cluster, path, render};

#[test]
fn controller_may_do_what_it_must_and_nothing_else() {
    in_cluster(|cluster, kubectl| {
        kubectl.done(&["apply", "--server-side", "-k", &path("manifests/kubernetes")])?;
        let controller = controller(cluster)?;

        is_exactly(&controller, "horizon", &[kinds(), definitions(), lease()])?;
        is_exactly(&controller, "tenant", &[kinds(), definitions()])
    });
}

#[test]
fn controller_of_one_namespace_sees_nothing_of_others() {
    in_cluster(|cluster, kubectl| {
        kubectl.done(&["apply", "--server-side", "-k", &path("manifests/kubernetes-one-namespace")])?;
        let controller = controller(cluster)?;

        is_exactly(&controller, "horizon", &[kinds(), definitions(), lease()])?;
        is_exactly(&controller, "tenant", &[definitions()])
    });
}

#[test]
fn controller_of_a_chart_for_one_namespace_sees_that_one() {
    in_cluster(|cluster, kubectl| {
        for namespace in ["horizon", "tenant"] {
            kubectl.done(&["create", "namespace", namespace])?;
        }
        let file = render(cluster, kubectl, &["--set", "watchNamespace=tenant"])?;
        kubectl.done(&["apply", "--server-side", "-f", &file])?;
        let controller = controller(cluster)?;

        is_exactly(&controller, "horizon", &[definitions(), lease()])?;
        is_exactly(&controller, "tenant", &[kinds(), definitions()])
    });
}

#[test]
fn controller_does_its_work_with_its_rights_and_no_more() {
    in_cluster(|cluster, kubectl| {
        kubectl.done(&["apply", "--server-side", "-k", &path("manifests/kubernetes")])?;
        cluster.wait_for_crds()?;
        kubectl.done(&["create", "namespace", "tenant"])?;
        kubectl.done(&["-n", "tenant", "create", "secret", "generic", "foreign", "--from-literal=a=b"])?;
        kubectl.write("user.yaml", USER)?;
        kubectl.done(&["apply", "--server-side", "-f", "user.yaml"])?;
        let controller = controller(cluster)?;
        for (file, text) in [
            ("status.yaml", STATUS),
            ("device.yaml", DEVICE),
            ("event.yaml", EVENT),
            ("secret.yaml", SECRET),
            ("lease.yaml", LEASE),
            ("other.yaml", &LEASE.replace("horizon-controller", "other")),
        ] {
            controller.write(file, text)?;
        }
        controller.write("user.yaml", USER)?;

        for words in ALLOWED {
            controller.done(words)?;
        }
        for words in FORBIDDEN {
            let said = controller.run(words)?;
            ensure!(
                said.code != 0 && said.stderr.contains("forbidden"),
                "{words:?}: {}{}",
                said.stdout,
                said.stderr
            );
        }
        let user = kubectl.done(&[
            "-n",
            "tenant",
            "get",
            "user/alice",
            "-o",
            "jsonpath={.status.revision} {.spec.groups}",
        ])?;
        ensure!(user == "7 [\"staff\"]", "{user}");
        Ok(())
    });
}

const ALLOWED: &[&[&str]] = &[
    &["get", "users,admins,registrationkeys", "--all-namespaces"],
    &["get", "customresourcedefinition/users.horizon.dev"],
    &[
        "apply",
        "--server-side",
        "--subresource",
        "status",
        "--field-manager",
        "horizon-controller",
        "-f",
        "status.yaml",
    ],
    &["create", "-f", "device.yaml"],
    &["create", "-f", "event.yaml"],
    &["create", "-f", "secret.yaml"],
    &["create", "-f", "lease.yaml"],
    &["-n", "horizon", "get", "lease/horizon-controller"],
    &["replace", "-f", "lease.yaml"],
];

const FORBIDDEN: &[&[&str]] = &[
    &["apply", "--server-side", "--force-conflicts", "--field-manager", "other", "-f", "user.yaml"],
    &["-n", "tenant", "delete", "user/alice"],
    &["-n", "tenant", "get", "secret/foreign"],
    // Whoever may patch one is shown it.
    &["-n", "tenant", "patch", "secret/foreign", "--type", "merge", "-p", "{}"],
    &["get", "secrets", "--all-namespaces"],
    &["-n", "tenant", "delete", "secret/foreign"],
    &["-n", "horizon", "get", "pods"],
    &["-n", "horizon", "get", "configmaps"],
    &["get", "namespaces"],
    &["get", "customresourcedefinitions"],
    &["delete", "customresourcedefinition/users.horizon.dev"],
    &["-n", "horizon", "get", "leases"],
    &["-n", "horizon", "delete", "lease/horizon-controller"],
    &["-n", "tenant", "get", "lease/horizon-controller"],
    &["-n", "tenant", "get", "events"],
    &["get", "clusterroles"],
];

const USER: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: alice, namespace: tenant}
spec: {groups: [staff]}
";
const STATUS: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: User
metadata: {name: alice, namespace: tenant}
status: {observedGeneration: 1, revision: 7, conditions: []}
";
const DEVICE: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Device
metadata: {name: laptop, namespace: tenant}
spec: {userRef: {name: alice}, networkRefs: [{name: office}]}
";
const EVENT: &str = "\
apiVersion: v1
kind: Event
metadata: {name: alice.1, namespace: tenant}
involvedObject: {apiVersion: horizon.dev/v1alpha1, kind: User, name: alice, namespace: tenant}
type: Normal
reason: Accepted
message: it is
";
const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: gw-1, namespace: tenant}
stringData: {token: hzn}
";
const LEASE: &str = "\
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: horizon-controller, namespace: horizon}
spec: {holderIdentity: it, leaseDurationSeconds: 15}
";

/// Returns kubectl with the token of the controller's account.
fn controller(cluster: &Cluster) -> anyhow::Result<Kubectl> {
    cluster.kubectl_with(cluster.kubeconfig_of("horizon", "horizon-controller")?, "controller")
}

/// Checks everything that somebody may do in a namespace, as the API server says it.
fn is_exactly(kubectl: &Kubectl, namespace: &str, expected: &[Vec<String>]) -> anyhow::Result<()> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": { "namespace": namespace },
    });
    kubectl.write("review.json", &review.to_string())?;
    // To check it first, kubectl would list definitions.
    let words = ["create", "--validate=false", "-f", "review.json", "-o", "json"];
    let said: Value = serde_json::from_str(&kubectl.done(&words)?)?;
    ensure!(said["status"]["incomplete"] == json!(false), "{said:#}");
    let rules = said["status"]["resourceRules"].as_array().context("no rules")?;
    let mut found: BTreeSet<String> = rules.iter().flat_map(rights).collect();
    // What everybody may ask about oneself.
    found.retain(|right| {
        !right.contains("authorization.k8s.io/") && !right.contains("authentication.k8s.io/")
    });

    let wanted: BTreeSet<String> = expected.iter().flatten().cloned().collect();
    let (more, less): (Vec<_>, Vec<_>) =
        (found.difference(&wanted).collect(), wanted.difference(&found).collect());
    ensure!(more.is_empty() && less.is_empty(), "in {namespace} too much: {more:#?}, too little: {less:#?}");
    Ok(())
}

/// Spells out a rule: `VERB GROUP/RESOURCE`, with a name behind it where it is about one.
fn rights(rule: &Value) -> Vec<String> {
    let list = |field: &str| -> Vec<String> {
        let items = rule[field].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut names: Vec<String> = list("resourceNames").iter().map(|name| format!(" {name}")).collect();
    if names.is_empty() {
        names.push(String::new());
    }
    let mut rights = Vec::new();
    for group in list("apiGroups") {
        for resource in list("resources") {
            for verb in list("verbs") {
                rights.extend(names.iter().map(|name| format!("{verb} {group}/{resource}{name}")));
            }
        }
    }
    rights
}

/// What the controller needs where objects are declared.
fn kinds() -> Vec<String> {
    let of_kind = Kind::ALL.into_iter().flat_map(|kind| {
        let resource = format!("{GROUP}/{}", kind.plural());
        let verbs = ["get", "list", "watch"].into_iter();
        verbs
            .map(|verb| format!("{verb} {resource}"))
            .chain([format!("patch {resource}/status")])
            .collect::<Vec<_>>()
    });
    let others = ["create horizon.dev/devices", "create /events", "create /secrets"];
    of_kind.chain(others.map(str::to_owned)).collect()
}

/// What it needs in the whole cluster.
fn definitions() -> Vec<String> {
    let name =
        |kind: Kind| format!("get apiextensions.k8s.io/customresourcedefinitions {}.{GROUP}", kind.plural());
    Kind::ALL.map(name).into()
}

/// What it needs where it runs.
fn lease() -> Vec<String> {
    let leases = "coordination.k8s.io/leases";
    vec![
        format!("create {leases}"),
        format!("get {leases} horizon-controller"),
        format!("update {leases} horizon-controller"),
    ]
}
