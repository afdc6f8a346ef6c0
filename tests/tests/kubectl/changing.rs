//! Create, replace, edit, patch, label, annotate, delete and wait.

use anyhow::ensure;
use horizon_tests::{kubectl::is_told, process::run, wait::wait_for};

use super::{BOB, alone, with_people};

#[test]
fn create_makes_what_is_not_there() {
    with_people(|kubectl| {
        let carol = BOB.replace("bob", "carol");
        kubectl.write("carol.yaml", &carol)?;
        kubectl.write("any.yaml", &carol.replace("name: carol", "generateName: any-"))?;

        kubectl.prints(
            &["create", "-f", "carol.yaml", "--dry-run=server"],
            "user.horizon.dev/carol created (server dry run)",
        )?;
        kubectl.prints(&["create", "-f", "carol.yaml"], "user.horizon.dev/carol created")?;
        kubectl.is_refused(
            &["create", "-f", "carol.yaml"],
            "Error from server (AlreadyExists): error when creating \"carol.yaml\": users.horizon.dev \"carol\" already exists",
        )?;
        let any = kubectl.done(&["create", "-f", "any.yaml", "-o", "name"])?;
        let suffix = any.trim().strip_prefix("user.horizon.dev/any-").unwrap_or_default();
        ensure!(suffix.len() == 5, "{any}");
        Ok(())
    });
}

#[test]
fn replace_needs_the_latest_version() {
    with_people(|kubectl| {
        let before = kubectl.done(&["get", "user", "bob", "-o", "yaml"])?;
        kubectl.write("new.yaml", &before.replace("guests", "staff"))?;
        kubectl.write("late.yaml", &before.replace("guests", "ops"))?;
        kubectl.write("nobody.yaml", &BOB.replace("bob", "nobody"))?;

        kubectl.prints(&["replace", "-f", "new.yaml"], "user.horizon.dev/bob replaced")?;
        kubectl.is_refused(
            &["replace", "-f", "late.yaml"],
            "Error from server (Conflict): error when replacing \"late.yaml\": Operation cannot be fulfilled on users.horizon.dev \"bob\": the object has been modified; please apply your changes to the latest version and try again",
        )?;
        kubectl.is_refused(
            &["replace", "-f", "nobody.yaml"],
            "Error from server (NotFound): error when replacing \"nobody.yaml\": users.horizon.dev \"nobody\" not found",
        )?;
        kubectl.prints(
            &["replace", "--force", "-f", "late.yaml"],
            "user.horizon.dev \"bob\" deleted from default namespace\nuser.horizon.dev/bob replaced",
        )?;
        let uid = ["get", "user", "bob", "-o", "jsonpath={.metadata.uid} {.spec.groups[*]}"];
        let after = kubectl.done(&uid)?;
        let (after, groups) = after.split_once(' ').unwrap();
        ensure!(!before.contains(after) && groups == "ops", "{after} {groups}");
        Ok(())
    });
}

#[test]
fn edit_writes_what_the_editor_leaves() {
    with_people(|kubectl| {
        let edit = |script: &str| {
            kubectl.write("editor.sh", script)?;
            let mut command = kubectl.command(&["edit", "user", "bob"]);
            command.env("KUBE_EDITOR", "sh editor.sh");
            run(command)
        };

        let said = edit("sed -i 's/maxDevices: 2/maxDevices: 3/' \"$1\"\n")?;
        is_told("edit", &said, 0, ["user.horizon.dev/bob edited", ""])?;
        kubectl.prints(&["get", "user", "bob", "-o", "jsonpath={.spec.maxDevices}"], "3")?;
        let said = edit("true\n")?;
        is_told("edit of nothing", &said, 0, ["", "Edit cancelled, no changes made."])?;

        // The second time, the person looks at our words, which kubectl puts above the text, and leaves it.
        let script = "\
if grep -q '^# users.horizon.dev \"bob\" was not valid' \"$1\"; then cp \"$1\" shown.yaml; exit; fi
sed -i 's/maxDevices: 3/maxDevices: 3000/' \"$1\"
";
        let said = edit(script)?;
        ensure!(said.code == 1, "{said:?}");
        let shown = std::fs::read_to_string(kubectl.folder().join("shown.yaml"))?;
        let words = "\n# * spec.maxDevices: Invalid value: 3000: must be an integer from 1 to 1000\n";
        ensure!(shown.contains(words), "{shown}");
        Ok(())
    });
}

#[test]
fn patch_takes_merge_and_json_and_refuses_strategic() {
    with_people(|kubectl| {
        let patch = |kind: &str, patch: &str| {
            kubectl.run(&["patch", "user", "bob", &format!("--type={kind}"), "-p", patch])
        };
        let patched = ["user.horizon.dev/bob patched", ""];
        let json = r#"[{"op":"test","path":"/spec/maxDevices","value":7},{"op":"replace","path":"/spec/maxDevices","value":8}]"#;

        is_told("merge", &patch("merge", r#"{"spec":{"maxDevices":7}}"#)?, 0, patched)?;
        let same = patch("merge", r#"{"spec":{"maxDevices":7}}"#)?;
        is_told("merge of nothing", &same, 0, ["user.horizon.dev/bob patched (no change)", ""])?;
        is_told("json", &patch("json", json)?, 0, patched)?;
        // Its test fails, so nothing of it is done.
        ensure!(patch("json", json)?.code == 1, "a patch whose test fails was taken");
        kubectl.prints(&["get", "user", "bob", "-o", "jsonpath={.spec.maxDevices}"], "8")?;
        let strategic = patch("strategic", r#"{"spec":{"maxDevices":7}}"#)?;
        let words = "error: application/strategic-merge-patch+json is not supported by horizon.dev/v1alpha1, Kind=User: the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
        is_told("strategic", &strategic, 1, ["", words])?;
        let null = patch("merge", r#"{"spec":{"maxDevices":null}}"#)?;
        is_told("merge with null", &null, 0, patched)?;
        kubectl.prints(&["get", "user", "bob", "-o", "jsonpath={.spec.maxDevices}"], "5")
    });
}

#[test]
fn labels_and_annotations_are_set_and_taken() {
    with_people(|kubectl| {
        kubectl.prints(&["label", "user", "bob", "site=x"], "user.horizon.dev/bob labeled")?;
        kubectl.prints(&["label", "user", "bob", "site=x"], "user.horizon.dev/bob not labeled")?;
        kubectl.is_refused(
            &["label", "user", "bob", "site=y"],
            "error: 'site' already has a value (x), and --overwrite is false",
        )?;
        kubectl.prints(&["label", "user", "bob", "site=y", "--overwrite"], "user.horizon.dev/bob labeled")?;
        kubectl.prints(
            &["label", "users", "--all", "site-"],
            "label \"site\" not found.\nuser.horizon.dev/alice labeled\nuser.horizon.dev/bob unlabeled",
        )?;
        kubectl.prints(&["annotate", "user", "bob", "note=x"], "user.horizon.dev/bob annotated")?;
        kubectl.prints(&["get", "user", "bob", "-o", "jsonpath={.metadata.annotations.note}"], "x")?;
        kubectl.prints(&["annotate", "user", "bob", "note-"], "user.horizon.dev/bob annotated")?;
        // Neither changes what the object is.
        kubectl.prints(&["get", "user", "bob", "-o", "jsonpath={.metadata.generation}"], "1")?;
        kubectl.is_refused(
            &["annotate", "user", "bob", "horizon.dev/owner=x"],
            "The User \"bob\" is invalid: metadata.annotations.horizon.dev/owner: Invalid value: \"x\": keys with `horizon.dev/` are reserved for Horizon; use a prefix of your own",
        )
    });
}

#[test]
fn delete_takes_what_is_named_selected_or_all() {
    with_people(|kubectl| {
        let deleted = |name: &str| format!("user.horizon.dev \"{name}\" deleted from default namespace");

        let dry = |name: &str| format!("{} (server dry run)", deleted(name));
        let both = format!("{}\n{}", dry("alice"), dry("bob"));
        kubectl.prints(&["delete", "users", "--all", "--dry-run=server"], &both)?;
        kubectl.prints(&["delete", "users", "-l", "team=a"], &deleted("bob"))?;
        kubectl.is_refused(
            &["delete", "user", "bob"],
            "Error from server (NotFound): users.horizon.dev \"bob\" not found",
        )?;
        kubectl.prints(&["delete", "user", "bob", "--ignore-not-found"], "")?;
        kubectl.done(&["create", "-f", "people.yaml", "-l", "team=a"])?;
        let all = format!("{}\n{}", deleted("alice"), deleted("bob"));
        kubectl.prints(&["delete", "users", "--all"], &all)?;
        kubectl.prints(&["delete", "users", "--all"], "No resources found")
    });
}

#[test]
fn a_finalizer_keeps_an_object_until_it_is_taken() {
    with_people(|kubectl| {
        let finalizers = |value: &str| {
            let patch = format!("{{\"metadata\":{{\"finalizers\":{value}}}}}");
            kubectl.done(&["patch", "user", "bob", "--type=merge", "-p", &patch])
        };
        finalizers("[\"example.net/wait\"]")?;

        kubectl.done(&["delete", "user", "bob", "--wait=false"])?;

        let moment = kubectl.done(&["get", "user", "bob", "-o", "jsonpath={.metadata.deletionTimestamp}"])?;
        ensure!(!moment.is_empty(), "no deletionTimestamp");
        kubectl.is_refused(
            &["wait", "--for=delete", "user/bob", "--timeout=2s"],
            "error: timed out waiting for the condition on users/bob",
        )?;
        finalizers("null")?;
        kubectl.prints(&["wait", "--for=delete", "user/bob", "--timeout=30s"], "")
    });
}

#[test]
fn wait_ends_when_it_is_so() {
    alone(|_, kubectl| {
        kubectl.write("bob.yaml", BOB)?;
        let waiting = kubectl.start(&["wait", "--for=create", "user/bob", "--timeout=30s"], "create.log")?;
        kubectl.done(&["create", "-f", "bob.yaml"])?;
        wait_for("the creation is seen", || Ok(waiting.log() == "user.horizon.dev/bob condition met\n"))?;

        kubectl.prints(
            &["wait", "--for=condition=Ready", "user/bob", "--timeout=30s"],
            "user.horizon.dev/bob condition met",
        )?;
        kubectl.prints(
            &["wait", "--for=jsonpath={.spec.maxDevices}=2", "user/bob", "--timeout=30s"],
            "user.horizon.dev/bob condition met",
        )?;
        kubectl.is_refused(
            &["wait", "--for=condition=Nonsense", "user/bob", "--timeout=2s"],
            "error: timed out waiting for the condition on users/bob",
        )?;
        kubectl.done(&["delete", "user", "bob", "--wait=false"])?;
        kubectl.prints(&["wait", "--for=delete", "user/bob", "--timeout=30s"], "")
    });
}
