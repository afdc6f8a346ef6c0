//! Who may do what: the operator, an Auditor, somebody whose tokens were ended; and what belongs to a folder.

use anyhow::ensure;
use horizon_tests::{folder::Folder, kubectl::Kubectl, standalone::Standalone};

use super::{ALICE, alone, operator, program, with_people};

const AUDITOR: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Admin
metadata: {name: eve}
spec:
  login: eve
  role: Auditor
  auth:
    passwordHash: $argon2id$v=19$m=19456,t=2,p=1$ZXhhbXBsZXNhbHRzYWx0$bm90YXJlYWxoYXNoYnV0b25lb2Z0aGVyaWdodGxlbmd0aA
";
const LOCKED_OUT: &str = "error: You must be logged in to the server (Unauthorized)";

#[test]
fn the_operator_may_do_everything() {
    with_people(|kubectl| {
        kubectl.prints(
            &["auth", "whoami"],
            "\
ATTRIBUTE                      VALUE
Username                       operator
Groups                         [system:authenticated]
Extra: horizon.dev/namespace   [*]
Extra: horizon.dev/role        [Owner]
",
        )?;
        kubectl.prints(&["auth", "can-i", "create", "users"], "yes")?;
        kubectl.prints(&["auth", "can-i", "*", "*"], "yes")?;
        kubectl.prints(&["auth", "can-i", "list", "servers", "-A"], "yes")?;
        let list = kubectl.done(&["auth", "can-i", "--list"])?;
        let row = list.lines().find(|line| line.starts_with("users.horizon.dev ")).unwrap_or_default();
        let words: Vec<&str> = row.split_whitespace().collect();
        let verbs = "users.horizon.dev [] [] [delete deletecollection get list patch create update watch]";
        ensure!(words.join(" ") == verbs, "{list}");
        Ok(())
    });
}

#[test]
fn an_auditor_reads_and_writes_nothing() {
    alone(|controller, kubectl| {
        kubectl.write("people.yaml", &format!("{AUDITOR}---\n{ALICE}"))?;
        kubectl.done(&["apply", "-f", "people.yaml"])?;
        let config = controller.kubeconfig(&["eve"])?;
        let eve = Kubectl::new(program().unwrap(), config, controller.path().join("eve"))?;
        eve.write("carol.yaml", &ALICE.replace("alice", "carol"))?;
        let forbidden = |verb: &str, name: &str| {
            format!(
                "Error from server (Forbidden): users.horizon.dev{name} is forbidden: User \"default/eve\" cannot {verb} resource \"users\" in API group \"horizon.dev\" in the namespace \"default\": an Auditor changes nothing"
            )
        };

        eve.prints(
            &["auth", "whoami"],
            "\
ATTRIBUTE                      VALUE
Username                       default/eve
Groups                         [system:authenticated]
Extra: horizon.dev/namespace   [*]
Extra: horizon.dev/role        [Auditor]
",
        )?;
        eve.prints(&["get", "users", "-o", "name"], "user.horizon.dev/alice")?;
        eve.is_refused(&["delete", "user", "alice"], &forbidden("delete", " \"alice\""))?;
        eve.is_refused(&["label", "user", "alice", "a=b"], &forbidden("patch", " \"alice\""))?;
        let create = forbidden("create", "");
        let create = create.replacen(": users", ": error when creating \"carol.yaml\": users", 1);
        eve.is_refused(&["create", "-f", "carol.yaml"], &create)?;
        eve.answers(&["auth", "can-i", "create", "users"], 1, "no - an Auditor changes nothing", "")?;
        eve.prints(&["auth", "can-i", "get", "users"], "yes")?;
        kubectl.prints(&["get", "users", "-o", "name"], "user.horizon.dev/alice")
    });
}

#[test]
fn a_deleted_admin_is_locked_out() {
    alone(|controller, kubectl| {
        kubectl.write("eve.yaml", AUDITOR)?;
        kubectl.done(&["apply", "-f", "eve.yaml"])?;
        let config = controller.kubeconfig(&["eve"])?;
        let eve = Kubectl::new(program().unwrap(), config, controller.path().join("eve"))?;
        eve.done(&["get", "users"])?;

        kubectl.done(&["delete", "admin", "eve"])?;

        eve.is_refused(&["get", "users"], LOCKED_OUT)
    });
}

#[test]
fn ended_tokens_lock_out() {
    alone(|controller, kubectl| {
        kubectl.write("eve.yaml", AUDITOR)?;
        kubectl.done(&["apply", "-f", "eve.yaml"])?;
        // Thirty days, when nothing is said.
        let config = controller.path().join("of-eve.yaml");
        controller.verb(&["kubeconfig", "eve", "--out", config.to_str().unwrap()])?.success()?;
        let eve = Kubectl::new(program().unwrap(), config, controller.path().join("eve"))?;
        eve.done(&["get", "users"])?;

        controller.verb(&["kubeconfig", "eve", "--end"])?.success()?;
        eve.is_refused(&["get", "users"], LOCKED_OUT)?;
        kubectl.done(&["get", "users"])?;

        controller.verb(&["kubeconfig", "--end"])?.success()?;
        kubectl.is_refused(&["get", "users"], LOCKED_OUT)?;
        let again = operator(controller, program().unwrap())?;
        again.done(&["get", "users"]).map(drop)
    });
}

#[test]
fn what_a_folder_declares_is_changed_there() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let manifests = Folder::office(folder.path().join("manifests")).unwrap();
    let controller = Standalone::with_manifests(manifests.path()).unwrap();
    let kubectl = operator(&controller, program).unwrap();
    let place = format!(
        "Operation cannot be fulfilled on users.horizon.dev \"alice\": it is declared at people.yaml:1 in {}: change it there",
        manifests.path().display()
    );
    let refused = format!("Error from server (Conflict): {place}");

    kubectl.is_refused(&["label", "user", "alice", "a=b"], &refused).unwrap();
    kubectl.is_refused(&["delete", "user", "alice"], &refused).unwrap();
    kubectl.write("alice.yaml", ALICE).unwrap();
    let said = kubectl.run(&["apply", "--server-side", "-f", "alice.yaml"]).unwrap();

    assert!(said.code == 1 && said.stderr.starts_with(&format!("error: {place}\n")), "{said:?}");
    kubectl
        .prints(&["get", "users", "alice", "-o", "jsonpath={.metadata.labels}{.spec.groups[*]}"], "staff")
        .unwrap();
}
