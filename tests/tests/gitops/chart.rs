//! The Helm chart: it says what the plain manifests say, takes good values and refuses bad ones in words.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use horizon_api::resource::Kind;
use serde_json::{Value, json};

use crate::{helm, in_cluster, install::ports, objects, path, render, text};

#[test]
fn chart_makes_what_the_plain_manifests_say() {
    in_cluster(|cluster, kubectl| {
        let mut plain = by_name(objects(kubectl, &path("manifests/kubernetes/controller.yaml"))?);
        // Helm makes the namespace of a release by a word of its own.
        plain.remove("Namespace horizon").context("no namespace")?;

        let rendered = by_name(objects(kubectl, &render(cluster, kubectl, &[])?)?);

        compare(&rendered, &plain)
    });
}

#[test]
fn chart_for_one_namespace_makes_what_the_overlay_says() {
    in_cluster(|cluster, kubectl| {
        let overlay = kubectl.done(&["kustomize", &path("manifests/kubernetes-one-namespace")])?;
        kubectl.write("overlay.yaml", &overlay)?;
        let mut plain = by_name(objects(kubectl, "overlay.yaml")?);
        plain.retain(|name, _| !name.starts_with("Namespace ") && !name.starts_with("CustomResource"));

        let file = render(cluster, kubectl, &["--set", "watchNamespace=horizon"])?;
        // One release of many has a name of its own in the whole cluster.
        let rendered = std::fs::read_to_string(kubectl.folder().join(&file))?
            .replace("horizon-controller-definitions-horizon", "horizon-controller-definitions");
        kubectl.write(&file, &rendered)?;

        compare(&by_name(objects(kubectl, &file)?), &plain)
    });
}

#[test]
fn definitions_of_the_chart_are_those_of_the_checkout() {
    in_cluster(|cluster, _| {
        let shown = helm(cluster, &["show", "crds", &path("manifests/helm/horizon")])?.success()?;

        let count = shown.matches("kind: CustomResourceDefinition").count();
        ensure!(count == Kind::ALL.len(), "{count} definitions");
        for kind in Kind::ALL {
            let file = format!("crds/{}.yaml", kind.plural());
            ensure!(shown.contains(&text(&file)), "{file} is not in the chart");
        }
        Ok(())
    });
}

#[test]
fn chart_is_of_this_version_and_without_faults() {
    in_cluster(|cluster, _| {
        let version = env!("CARGO_PKG_VERSION");
        let chart = text("manifests/helm/horizon/Chart.yaml");
        for field in ["version", "appVersion"] {
            ensure!(chart.contains(&format!("\n{field}: {version}\n")), "{field} is not {version}");
        }
        helm(cluster, &["lint", "--strict", &path("manifests/helm/horizon")])?.success()?;
        Ok(())
    });
}

#[test]
fn every_value_is_taken_by_the_api_server() {
    in_cluster(|cluster, kubectl| {
        kubectl.done(&["create", "namespace", "horizon"])?;
        kubectl.done(&["create", "namespace", "tenant"])?;
        let everything = json!({
            "image": { "repository": "images.example.net/horizon", "tag": "1", "pullPolicy": "Always", "pullSecrets": ["pull"] },
            "advertise": "[2001:db8::1]:443",
            "service": { "type": "LoadBalancer", "annotations": { "example.net/pool": "public" } },
            "persistence": { "size": "500Mi", "storageClass": "fast", "existingClaim": "" },
            "watchNamespace": "tenant",
            "sources": [{ "configMap": "base" }, { "configMap": "more.of-it" }],
            "generatedKeys": false,
            "people": false,
            "resources": {},
            "nodeSelector": { "disk": "ssd" },
            "tolerations": [{ "key": "it", "operator": "Exists" }],
        });
        kubectl.write("values.yaml", &everything.to_string())?;
        let values = kubectl.folder().join("values.yaml").display().to_string();

        for words in [&[][..], &["--values", &values]] {
            let file = render(cluster, kubectl, &[&["--include-crds"], words].concat())?;
            let said = kubectl.run(&["apply", "--dry-run=server", "-f", &file])?;
            ensure!(said.code == 0 && said.stderr.is_empty(), "{words:?}: {}", said.stderr);
        }

        let file = render(cluster, kubectl, &["--values", &values])?;
        let made = by_name(objects(kubectl, &file)?);
        let container =
            &made["Deployment horizon/horizon-controller"]["spec"]["template"]["spec"]["containers"][0];
        let variables = container["env"].as_array().context("no variables")?;
        let folders = json!({
            "name": "HORIZON_MANIFESTS", "value": "/etc/horizon/manifests/base,/etc/horizon/manifests/more.of-it"
        });
        ensure!(variables.contains(&folders), "{variables:?}");
        ensure!(!made["Role tenant/horizon-controller"].to_string().contains("secrets"), "{made:#?}");
        ensure!(!made.keys().any(|name| name.contains("horizon-viewer")), "{:?}", made.keys());
        Ok(())
    });
}

#[test]
fn bad_values_are_refused_in_words() {
    in_cluster(|cluster, _| {
        for (values, words) in [
            ("advertise=nowhere", "advertise is \"nowhere\"; write HOST:PORT"),
            ("advertise=vpn.example.net:70000", "advertise is \"vpn.example.net:70000\"; write HOST:PORT"),
            ("advertise=https://vpn.example.net:7443", "; write HOST:PORT"),
            (
                "service.type=Ingress",
                "'/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'",
            ),
            ("service.port=443", "'/service': additional properties 'port' not allowed"),
            ("replicas=2", "additional properties 'replicas' not allowed"),
            ("people=maybe", "'/people': got string, want boolean"),
            (
                "persistence.size=large",
                "persistence.size is \"large\"; write a number of bytes with its unit",
            ),
            (
                "persistence.existingClaim=A",
                "persistence.existingClaim is \"A\"; write the name of a PersistentVolumeClaim",
            ),
            ("watchNamespace=a_b", "watchNamespace is \"a_b\"; write the name of a Namespace"),
            ("sources[0].configMap=Base", "sources[0].configMap is \"Base\"; write the name of a ConfigMap"),
            ("sources[0].folder=base", "'/sources/0': missing property 'configMap'"),
            ("image.tag=host/it", "image.tag is \"host/it\"; write a tag alone"),
            ("image.pullSecrets[0]=A", "image.pullSecrets[0] is \"A\"; write the name of a Secret"),
            ("resources.request.cpu=1", "'/resources': additional properties 'request' not allowed"),
        ] {
            let chart = path("manifests/helm/horizon");
            let said = helm(cluster, &["template", "horizon", &chart, "--set", values])?;
            ensure!(
                said.code == 1 && said.stderr.contains(words),
                "{values}: {}{}",
                said.stdout,
                said.stderr
            );
        }
        Ok(())
    });
}

#[test]
fn release_is_installed_upgraded_and_keeps_its_keys_when_it_goes() {
    in_cluster(|cluster, kubectl| {
        let chart = path("manifests/helm/horizon");
        let release = ["horizon", &chart, "--namespace", "horizon"];
        let said = helm(cluster, &[&["install", "--create-namespace"], &release[..]].concat())?.success()?;
        ensure!(said.contains("horizon-controller.horizon.svc:7443, which only the cluster knows"), "{said}");
        cluster.wait_for_crds()?;

        let words = ["--set", "service.type=LoadBalancer,advertise=vpn.example.net:7443"];
        let said = helm(cluster, &[&["upgrade"], &release[..], &words].concat())?.success()?;

        ensure!(!said.contains("which only the cluster knows"), "{said}");
        ensure!(ports(kubectl)? == ["TCP 7443", "UDP 7443"], "{:?}", ports(kubectl)?);
        helm(cluster, &["uninstall", "horizon", "--namespace", "horizon"])?.success()?;
        let left = kubectl.done(&[
            "-n",
            "horizon",
            "get",
            "deployments,services,persistentvolumeclaims",
            "-o",
            "name",
        ])?;
        ensure!(left.trim() == "persistentvolumeclaim/horizon-controller", "{left}");
        Ok(())
    });
}

/// Sorts objects by kind and name, without what Helm says of itself.
fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let named = objects.into_iter().map(|mut object| {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, namespace, name) = (text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
        let metadata = &mut object["metadata"];
        for (map, is_helms) in [
            (
                "labels",
                (|key| key == "helm.sh/chart" || key == "app.kubernetes.io/managed-by") as fn(&str) -> bool,
            ),
            ("annotations", |key| key == "helm.sh/resource-policy"),
        ] {
            if let Some(entries) = metadata[map].as_object_mut() {
                entries.retain(|key, _| !is_helms(key));
            }
            if metadata[map].as_object().is_none_or(serde_json::Map::is_empty) {
                metadata.as_object_mut().into_iter().for_each(|fields| drop(fields.remove(map)));
            }
        }
        let place = if namespace.is_empty() { name } else { format!("{namespace}/{name}") };
        (format!("{kind} {place}"), object)
    });
    named.collect()
}

fn compare(rendered: &BTreeMap<String, Value>, plain: &BTreeMap<String, Value>) -> anyhow::Result<()> {
    ensure!(plain.len() > 10, "{:?}", plain.keys());
    let names = |of: &BTreeMap<String, Value>| of.keys().cloned().collect::<Vec<_>>();
    ensure!(names(rendered) == names(plain), "{:?}\n{:?}", names(rendered), names(plain));
    for (name, wanted) in plain {
        ensure!(rendered[name] == *wanted, "{name}\n{:#}\nand not\n{wanted:#}", rendered[name]);
    }
    Ok(())
}
