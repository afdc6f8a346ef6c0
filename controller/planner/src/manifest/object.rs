//! The verdict on one object that comes as JSON: that of the same object in a file, by the same rules and words.

use horizon_api::{
    problem::{Problem, Severity},
    resource::{Kind, ResourceSpec},
};
use serde_json::{Value as Json, json};

use super::{read_spec, without_nulls};
pub use crate::secret::is_secret_field;
use crate::{
    cel,
    node::{Entry, Node, Place, Value},
    not_yet, ratchet,
    validate::{Complaint, Complaints, validate_metadata},
};

/// Returns what is wrong with an object and what is hardly meant, given the object that it replaces. The problems name
/// no file and no place in one. What stands against parts that were accepted before and are the same is a warning
/// (KEP-4008).
pub fn check(kind: Kind, object: &Json, before: Option<&Json>) -> Vec<Problem> {
    let root = root(object);
    let mut complaints = Complaints::default();
    if let Some(metadata) = root.field("metadata") {
        complaints.append(validate_metadata(metadata));
    }
    let spec = read_spec(kind, &root, &mut complaints);
    let errors = || complaints.list.iter().filter(|complaint| complaint.severity == Severity::Error);
    let is_unchanged = |before: &Json| {
        let sites =
            |complaint: &Complaint| complaint.sites.clone().unwrap_or_else(|| vec![complaint.path.clone()]);
        let mut sites = errors().flat_map(sites);
        complaints.left_out == 0 && sites.all(|site| ratchet::is_unchanged(kind, before, object, &site))
    };
    let is_sound = errors().next().is_none();
    let is_accepted = is_sound || before.is_some_and(is_unchanged);
    let mut problems: Vec<Problem> =
        complaints.list.into_iter().map(|complaint| complaint.problem("", None)).collect();
    if is_accepted {
        problems.iter_mut().for_each(|problem| problem.severity = problem.severity.max(Severity::Warning));
    }
    if let (true, Some(spec)) = (is_accepted, &spec) {
        let changes = before.map(|before| change_problems(kind, before, spec));
        problems.extend(changes.into_iter().flatten());
        problems.extend(not_yet_effective(spec));
    }
    problems.sort();
    problems
}

/// Returns the parts of an object that people write, as a manifest has them.
fn root(object: &Json) -> Node {
    of_parts(object, &["metadata", "spec"])
}

/// Returns an object of an API server as somebody would have written it: without what the server and programs add.
pub(super) fn manifest(object: &Json) -> Node {
    let mut written = object.clone();
    if let Some(fields) = written.get_mut("metadata").and_then(Json::as_object_mut) {
        fields.retain(|name, _| WRITTEN.contains(&name.as_str()));
        let annotations = fields.get_mut("annotations").and_then(Json::as_object_mut);
        annotations.into_iter().for_each(|texts| texts.retain(|name, _| !name.starts_with(OF_KUBECTL)));
    }
    of_parts(&written, &["apiVersion", "kind", "metadata", "spec"])
}

/// What people write into `metadata`, and a manifest keeps.
const WRITTEN: [&str; 4] = ["name", "namespace", "labels", "annotations"];
/// What kubectl notes for itself, such as a copy of the whole text.
const OF_KUBECTL: &str = "kubectl.kubernetes.io/";

fn of_parts(object: &Json, names: &[&str]) -> Node {
    let part = |name: &&str| {
        let node = Node::of_json(object.get(*name)?);
        Some(Entry { key: (*name).to_owned(), place: Place::default(), node })
    };
    let entries = names.iter().filter_map(part).collect();
    Node { place: Place::default(), value: Value::Map(entries) }
}

fn change_problems(kind: Kind, before: &Json, spec: &ResourceSpec) -> Vec<Problem> {
    let old = without_nulls(before.get("spec").cloned().unwrap_or_default());
    // As the types write it, with what was left out, if they can hold it.
    let old = ResourceSpec::from_json(kind, old.clone()).map_or(old, |spec| json!(spec));
    let violations = cel::check_change(kind, &old, &json!(spec)).into_iter();
    violations.map(|v| Problem { path: v.path, ..Problem::error("", v.code, v.message).fix(v.fix) }).collect()
}

fn not_yet_effective(spec: &ResourceSpec) -> impl Iterator<Item = Problem> {
    not_yet::not_yet_effective(spec).into_iter().map(|(path, sentence)| {
        let remark = Problem { path, ..Problem::error("", "NotYetEffective", sentence) };
        remark.fix("it takes effect with the version that enforces it").warning()
    })
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::ObjectKey;

    use super::*;
    use crate::manifest::{parse_file, parse_object};

    fn network(mtu: u32) -> Json {
        let pools = json!([{ "cidr": "10.77.0.0/16" }]);
        json!({
            "apiVersion": "horizon.dev/v1alpha1", "kind": "Network",
            "metadata": { "name": "office", "uid": "7", "managedFields": [] },
            "spec": { "addressPools": pools, "mtu": mtu },
        })
    }

    fn key(namespace: &str, name: &str) -> ObjectKey {
        ObjectKey::new(Kind::Network, namespace, name)
    }

    fn errors(object: &Json, before: Option<&Json>) -> Vec<String> {
        let problems = check(Kind::Network, object, before).into_iter().filter(Problem::is_error);
        problems.map(|problem| format!("{}: {}", problem.path, problem.sentence())).collect()
    }

    #[test]
    fn an_object_and_a_file_get_the_same_verdict() {
        let text = "apiVersion: horizon.dev/v1alpha1\nkind: Network\nmetadata: {name: office}\n\
                    spec: {addressPools: [{cidr: 10.77.0.1/16}], mtu: 7}\n";
        let of_file = parse_file("a.yaml", text.as_bytes()).problems.into_iter();
        let of_file: Vec<String> = of_file.map(|p| format!("{}: {}", p.path, p.sentence())).collect();
        let mut object = network(7);
        object["spec"]["addressPools"][0]["cidr"] = "10.77.0.1/16".into();

        let mut of_object = errors(&object, None);

        of_object.sort();
        let mut of_file = of_file;
        of_file.sort();
        assert_eq!(of_object, of_file);
        assert_eq!(of_file.len(), 2);
        assert_eq!(errors(&network(1280), None), Vec::<String>::new());
    }

    #[test]
    fn an_object_of_a_cluster_is_read_as_the_text_that_somebody_wrote() {
        let mut object = network(1280);
        object["metadata"]["namespace"] = "office".into();
        object["metadata"]["finalizers"] = json!(["example.com/x"]);
        object["metadata"]["annotations"] =
            json!({ "kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "a" });
        object["status"] = json!({ "revision": 7 });

        let parsed = parse_object(&key("office", "office"), "office/networks/office", &object);

        assert_eq!((parsed.problems, parsed.broken_files.len()), (vec![], 0));
        let [manifest] = parsed.manifests.as_slice() else { panic!("one object") };
        assert_eq!(manifest.key.to_string(), "Network/office/office");
        assert_eq!(manifest.metadata.annotations.iter().collect::<Vec<_>>(), [("team", "a")]);
        assert_eq!(manifest.origin.to_string(), "office/networks/office");
    }

    #[test]
    fn a_bad_object_of_a_cluster_is_named_and_refused_in_the_words_of_a_file() {
        let parsed = parse_object(&key("default", "office"), "default/networks/office", &network(7));

        assert_eq!((parsed.manifests.len(), parsed.rejected.len(), parsed.broken_files.len()), (0, 1, 0));
        let said = parsed.problems[0].to_string();
        assert!(said.starts_with("default/networks/office: error: Network/office spec.mtu:"), "{said}");
    }

    #[test]
    fn a_name_that_an_api_server_takes_and_we_do_not_is_refused_and_holds_nothing_back() {
        for name in ["a.b", &"a".repeat(100)] {
            let mut object = network(1280);
            object["metadata"]["name"] = name.into();

            let parsed = parse_object(&key("default", name), "it", &object);

            assert_eq!((parsed.manifests.len(), parsed.broken_files.len()), (0, 0), "{name}");
            assert_eq!(parsed.rejected[0].key, key("default", name));
            assert!(parsed.problems[0].to_string().contains("metadata.name"), "{:?}", parsed.problems);
        }
    }

    /// The whole corpus of bad manifests, object by object. What only a text can say, such as unknown top-level fields
    /// and odd numbers, is no part of an object.
    #[test]
    fn every_bad_manifest_gets_the_same_verdict_as_json() {
        let mut compared = 0;
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-input");
        for entry in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            for document in crate::parse::parse("a", &bytes).documents {
                let json = document.to_json();
                let kind = json["kind"].as_str().and_then(|kind| kind.parse::<Kind>().ok());
                let Some(kind) = kind.filter(|_| json["apiVersion"] == "horizon.dev/v1alpha1") else {
                    continue;
                };
                let text = json.to_string();
                let of_file = parse_file("a", text.as_bytes());
                if of_file.manifests.len() + of_file.rejected.len() == 0 || json.get("sops").is_some() {
                    continue;
                }
                let is_of_object = |problem: &Problem| {
                    ["", "metadata", "spec"].contains(&problem.path.split(['.', '[']).next().unwrap())
                };
                let sentences = |problems: Vec<Problem>| {
                    let errors =
                        problems.into_iter().filter(|problem| problem.is_error() && is_of_object(problem));
                    let told = errors.map(|p| format!("{} {}: {}", p.path, p.code, p.sentence()));
                    told.collect::<std::collections::BTreeSet<String>>()
                };

                let of_object = sentences(check(kind, &json, None));

                let of_file = sentences(of_file.problems);
                assert_eq!(of_object, of_file, "{text}");
                compared += usize::from(!of_file.is_empty());
            }
        }
        assert!(compared > 50, "{compared}");
    }

    #[test]
    fn what_was_accepted_stays_accepted_until_it_changes() {
        let old = network(7);
        let mut new = network(7);
        new["metadata"]["labels"] = json!({ "team": "a" });

        assert_eq!(errors(&new, Some(&old)), Vec::<String>::new());
        assert!(!check(Kind::Network, &new, Some(&old)).is_empty());
        assert_eq!(errors(&network(8), Some(&old)).len(), 1);
    }
}
