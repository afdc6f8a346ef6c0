//! Manifests with mistakes: refused whole, with the place and the fix in the words of our own validator.

use anyhow::ensure;
use horizon_tests::kubectl::Kubectl;

use super::{ALICE, BOB, alone, with_people};

const NETWORK: &str = "\
apiVersion: horizon.dev/v1alpha1
kind: Network
metadata: {name: office}
spec: {addressPools: [{cidr: 10.99.0.1/24}]}
";

fn names(kubectl: &Kubectl) -> anyhow::Result<String> {
    kubectl.done(&["get", "horizon", "-o", "jsonpath={.items[*].metadata.name}"])
}

#[test]
fn a_mistake_is_told_with_its_place_and_its_fix() {
    alone(|_, kubectl| {
        kubectl.write("network.yaml", NETWORK)?;
        let words = "The Network \"office\" is invalid: spec.addressPools[0].cidr: Invalid value: \"10.99.0.1/24\": has bits set behind its length of 24; write 10.99.0.0/24";

        kubectl.is_refused(&["apply", "-f", "network.yaml"], words)?;
        kubectl.is_refused(&["apply", "-f", "network.yaml", "--dry-run=server"], words)?;
        kubectl.is_refused(&["apply", "--server-side", "-f", "network.yaml"], words)?;
        kubectl.is_refused(&["create", "-f", "network.yaml"], words)?;

        ensure!(names(kubectl)?.is_empty(), "a network with a mistake was taken");
        Ok(())
    });
}

#[test]
fn several_mistakes_are_told_at_once() {
    alone(|_, kubectl| {
        let user = BOB.replace("[guests]", "[\"\"]").replace("maxDevices: 2", "maxDevices: 5000");
        kubectl.write("bob.yaml", &user)?;

        let said = kubectl.run(&["create", "-f", "bob.yaml"])?;

        let lines: Vec<&str> = said.stderr.lines().collect();
        ensure!(said.code == 1 && lines.len() == 3, "{said:?}");
        ensure!(lines[0].trim_end() == "The User \"bob\" is invalid:", "{said:?}");
        ensure!(lines[1].starts_with("* spec.groups[0]: Invalid value: \"\": "), "{said:?}");
        ensure!(
            lines[2] == "* spec.maxDevices: Invalid value: 5000: must be an integer from 1 to 1000",
            "{said:?}"
        );
        Ok(())
    });
}

#[test]
fn a_mistake_of_one_object_stops_no_other() {
    alone(|_, kubectl| {
        kubectl.write("all.yaml", &format!("{NETWORK}---\n{ALICE}"))?;

        kubectl.answers(
            &["apply", "-f", "all.yaml"],
            1,
            "user.horizon.dev/alice created",
            "The Network \"office\" is invalid: spec.addressPools[0].cidr: Invalid value: \"10.99.0.1/24\": has bits set behind its length of 24; write 10.99.0.0/24",
        )
    });
}

#[test]
fn an_unknown_field_is_refused_warned_of_or_dropped() {
    alone(|_, kubectl| {
        kubectl.write("bob.yaml", &BOB.replace("maxDevices: 2", "colour: red"))?;
        let strict = "Error from server (BadRequest): error when creating \"bob.yaml\": User in version \"v1alpha1\" cannot be handled as a User: strict decoding error: unknown field \"spec.colour\"";

        kubectl.is_refused(&["apply", "-f", "bob.yaml"], strict)?;
        kubectl.is_refused(&["apply", "-f", "bob.yaml", "--validate=strict"], strict)?;
        kubectl.is_refused(
            &["apply", "--server-side", "-f", "bob.yaml"],
            "Error from server: failed to create typed patch object (default/bob; horizon.dev/v1alpha1, Kind=User): .spec.colour: field not declared in schema",
        )?;
        kubectl.answers(
            &["create", "-f", "bob.yaml", "--validate=warn"],
            0,
            "user.horizon.dev/bob created",
            "Warning: unknown field \"spec.colour\"",
        )?;
        kubectl
            .prints(&["replace", "-f", "bob.yaml", "--validate=ignore"], "user.horizon.dev/bob replaced")?;
        kubectl.prints(
            &["get", "user", "bob", "-o", "jsonpath={.spec}"],
            "{\"groups\":[\"guests\"],\"maxDevices\":5}",
        )
    });
}

#[test]
fn what_is_no_object_of_ours_is_refused() {
    alone(|_, kubectl| {
        kubectl.write("kind.yaml", &BOB.replace("kind: User", "kind: Usr"))?;
        kubectl.write("name.yaml", &BOB.replace("bob", "Bob_1"))?;
        kubectl
            .write("spec.yaml", "apiVersion: horizon.dev/v1alpha1\nkind: User\nmetadata: {name: bob}\n")?;

        kubectl.is_refused(
            &["create", "-f", "kind.yaml"],
            "error: resource mapping not found for name: \"bob\" namespace: \"\" from \"kind.yaml\": no matches for kind \"Usr\" in version \"horizon.dev/v1alpha1\"\nensure CRDs are installed first",
        )?;
        kubectl.is_refused(
            &["create", "-f", "name.yaml"],
            "The User \"Bob_1\" is invalid: metadata.name: Invalid value: \"Bob_1\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        )?;
        kubectl.is_refused(
            &["create", "-f", "spec.yaml"],
            "The User \"bob\" is invalid: spec: Required value: `spec` is required; add `spec:`",
        )
    });
}

#[test]
fn the_status_is_the_controllers() {
    with_people(|kubectl| {
        let patch = ["patch", "user", "bob", "--type=merge", "-p", "{\"status\":{\"revision\":777}}"];

        kubectl.prints(&patch, "user.horizon.dev/bob patched (no change)")?;
        kubectl.is_refused(
            &[&patch[..], &["--subresource=status"]].concat(),
            "Error from server (Forbidden): users.horizon.dev \"bob\" is forbidden: User \"operator\" cannot patch resource \"users/status\" in API group \"horizon.dev\" in the namespace \"default\": only the controller writes a status",
        )
    });
}
