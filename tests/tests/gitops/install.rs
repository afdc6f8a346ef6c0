//! Installing: twice is once, all ways lead to the same, and what people write is taken.

use std::collections::BTreeMap;

use anyhow::ensure;
use horizon_api::resource::Kind;
use horizon_tests::kubectl::Kubectl;
use serde_json::{Value, json};

use crate::{in_cluster, path, text};

#[test]
fn kustomization_is_applied_once_and_then_unchanged() {
    in_cluster(|cluster, kubectl| {
        let folder = path("manifests/kubernetes");
        let manifest = text("manifests/kubernetes/controller.yaml");
        let (namespace, _) = manifest.split_once("\n---\n").unwrap();
        kubectl.write("namespace.yaml", namespace)?;
        kubectl.done(&["apply", "-f", "namespace.yaml"])?;
        // All but the namespace.
        let count = Kind::ALL.len() + manifest.matches("\n---\n").count();

        ends(
            kubectl,
            &["apply", "--dry-run=server", "-k", &folder],
            &[(count, " created (server dry run)")],
        )?;
        ends(kubectl, &["apply", "-k", &folder], &[(count, " created"), (1, "namespace/horizon unchanged")])?;
        cluster.wait_for_crds()?;
        ends(kubectl, &["apply", "-k", &folder], &[(count + 1, " unchanged")])
    });
}

#[test]
fn plain_manifests_install_the_same_and_leave_it_alone_afterwards() {
    in_cluster(|cluster, kubectl| {
        let (crds, controller) = (path("crds"), path("manifests/kubernetes/controller.yaml"));
        let apply = ["apply", "--server-side", "-f", &crds, "-f", &controller];

        kubectl.done(&apply)?;
        cluster.wait_for_crds()?;
        // A claim that is applied again is stored once more as it is, by every API server.
        kubectl.done(&apply)?;
        let first = versions(kubectl)?;
        kubectl.done(&apply)?;

        is_unchanged(kubectl, &first)?;
        kubectl.done(&["apply", "--server-side", "-k", &path("manifests/kubernetes")])?;
        is_unchanged(kubectl, &first)
    });
}

#[test]
fn both_ports_of_the_service_outlive_a_change() {
    in_cluster(|_, kubectl| {
        let manifest = text("manifests/kubernetes/controller.yaml");
        kubectl.write("first.yaml", &manifest)?;
        kubectl.write("second.yaml", &manifest.replace("      port: 7443\n", "      port: 443\n"))?;

        kubectl.done(&["apply", "--server-side", "-f", "first.yaml"])?;
        kubectl.done(&["apply", "--server-side", "-f", "second.yaml"])?;

        ensure!(ports(kubectl)? == ["TCP 443", "UDP 443"], "{:?}", ports(kubectl)?);
        Ok(())
    });
}

#[test]
fn pod_keeps_to_the_strictest_standard() {
    in_cluster(|_, kubectl| {
        let controller = path("manifests/kubernetes/controller.yaml");
        let said = kubectl.run(&["apply", "--server-side", "-f", &controller])?;
        ensure!(said.stderr.is_empty(), "{}", said.stderr);
        let deployment =
            kubectl.done(&["-n", "horizon", "get", "deployment/horizon-controller", "-o", "json"])?;
        let template = serde_json::from_str::<Value>(&deployment)?["spec"]["template"].take();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "it", "namespace": "horizon" },
            "spec": template["spec"],
        });
        kubectl.write("pod.json", &pod.to_string())?;
        kubectl.write(
            "open.json",
            &pod.to_string().replace(r#""runAsNonRoot":true"#, r#""runAsNonRoot":false"#),
        )?;

        kubectl.done(&["create", "--dry-run=server", "-f", "pod.json"])?;
        let refused = kubectl.run(&["create", "--dry-run=server", "-f", "open.json"])?;

        ensure!(refused.stderr.contains("violates PodSecurity \"restricted"), "{}", refused.stderr);
        Ok(())
    });
}

#[test]
fn folders_of_manifests_are_taken_by_the_api_server() {
    in_cluster(|cluster, kubectl| {
        cluster.install_crds()?;
        for folder in ["manifests/quickstart", "manifests/examples"] {
            let said = kubectl.run(&["apply", "--server-side", "--dry-run=server", "-f", &path(folder)])?;
            ensure!(said.code == 0 && said.stderr.is_empty(), "{folder}: {}", said.stderr);
        }
        kubectl
            .write("bad.yaml", &text("manifests/quickstart/people.yaml").replace("maxDevices", "devices"))?;
        let refused = kubectl.run(&["apply", "--server-side", "--dry-run=server", "-f", "bad.yaml"])?;
        ensure!(refused.stderr.contains(".spec.devices: field not declared in schema"), "{}", refused.stderr);
        Ok(())
    });
}

#[test]
fn overlay_of_the_documentation_is_applied() {
    in_cluster(|cluster, kubectl| {
        let written = text("docs/kubernetes.md");
        let (_, overlay) = written.split_once("```yaml\n# kustomization.yaml\n").unwrap();
        let (overlay, _) = overlay.split_once("```").unwrap();
        // Kustomize knows no absolute paths.
        let up = "../".repeat(kubectl.folder().canonicalize()?.components().count() - 1);
        let base = format!("{up}{}", path("manifests/kubernetes").trim_start_matches('/'));
        kubectl.write("kustomization.yaml", &overlay.replace("../horizon/manifests/kubernetes", &base))?;

        kubectl.done(&["apply", "--server-side", "-k", "."])?;

        cluster.wait_for_crds()?;
        let read = |what: &str, path: &str| {
            kubectl.done(&["-n", "horizon", "get", what, "-o", &format!("jsonpath={path}")])
        };
        let container = "{.spec.template.spec.containers[0]";
        let image = read("deployment/horizon-controller", &format!("{container}.image}}"))?;
        ensure!(image == "images.example.net/horizon-controller:0.1.0", "{image}");
        let advertise = format!("{container}.env[?(@.name==\"HORIZON_ADVERTISE\")].value}}");
        let advertise = read("deployment/horizon-controller", &advertise)?;
        ensure!(advertise == "vpn.example.net:7443", "{advertise}");
        let service = read("service/horizon-controller", "{.spec.type} {.spec.externalTrafficPolicy}")?;
        ensure!(service == "LoadBalancer Local", "{service}");
        Ok(())
    });
}

/// Checks how many of the lines that kubectl prints end with each of these, that it prints some, and that it has
/// nothing to say aside.
fn ends(kubectl: &Kubectl, words: &[&str], expected: &[(usize, &str)]) -> anyhow::Result<()> {
    let said = kubectl.run(words)?;
    ensure!(said.code == 0 && said.stderr.is_empty(), "{words:?}: {}", said.stderr);
    for (count, end) in expected {
        let found = said.stdout.lines().filter(|line| line.ends_with(end)).count();
        ensure!(
            found == *count,
            "{words:?}: {found} lines and not {count} end with {end:?}:\n{}",
            said.stdout
        );
    }
    Ok(())
}

/// Returns the version of everything that is installed. What controllers of a cluster write into it is not there.
fn versions(kubectl: &Kubectl) -> anyhow::Result<BTreeMap<String, String>> {
    let kinds = "namespaces,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,\
                 persistentvolumeclaims,services,deployments,customresourcedefinitions";
    let columns = "custom-columns=K:.kind,S:.metadata.namespace,N:.metadata.name,V:.metadata.resourceVersion";
    let table = kubectl.done(&["get", kinds, "--all-namespaces", "--no-headers", "-o", columns])?;
    let ours = table.lines().filter(|line| line.contains("horizon"));
    let found: BTreeMap<_, _> = ours
        .filter_map(|line| line.trim_end().rsplit_once(' '))
        .map(|(name, version)| (name.trim_end().to_owned(), version.to_owned()))
        .collect();
    ensure!(found.len() > 20, "{found:?}");
    Ok(found)
}

fn is_unchanged(kubectl: &Kubectl, before: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let after = versions(kubectl)?;
    let changed: Vec<_> = after.iter().filter(|(name, version)| before.get(*name) != Some(version)).collect();
    ensure!(changed.is_empty() && after.len() == before.len(), "{changed:?}");
    Ok(())
}

/// Returns the ports of the Service, in their order.
pub(crate) fn ports(kubectl: &Kubectl) -> anyhow::Result<Vec<String>> {
    let each = "jsonpath={range .spec.ports[*]}{.protocol} {.port}{\"\\n\"}{end}";
    let said = kubectl.done(&["-n", "horizon", "get", "service/horizon-controller", "-o", each])?;
    Ok(said.lines().map(str::to_owned).collect())
}
