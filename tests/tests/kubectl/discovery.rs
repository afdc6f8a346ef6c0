//! What kubectl learns of the server: kinds, their fields, its version.

use anyhow::ensure;

use super::alone;

const KINDS: [(&str, &str); 11] = [
    ("accesspolicies", "AccessPolicy"),
    ("accesstests", "AccessTest"),
    ("admins", "Admin"),
    ("alertrules", "AlertRule"),
    ("connectionprofiles", "ConnectionProfile"),
    ("devices", "Device"),
    ("networks", "Network"),
    ("personalkeys", "PersonalKey"),
    ("registrationkeys", "RegistrationKey"),
    ("servers", "Server"),
    ("users", "User"),
];

#[test]
fn api_resources_lists_our_kinds() {
    alone(|_, kubectl| {
        kubectl.prints(
            &["api-resources", "--api-group=horizon.dev"],
            "\
NAME                 SHORTNAMES   APIVERSION             NAMESPACED   KIND
accesspolicies       hap          horizon.dev/v1alpha1   true         AccessPolicy
accesstests          hat          horizon.dev/v1alpha1   true         AccessTest
admins               hadm         horizon.dev/v1alpha1   true         Admin
alertrules           hal          horizon.dev/v1alpha1   true         AlertRule
connectionprofiles   hcp          horizon.dev/v1alpha1   true         ConnectionProfile
devices              hdev         horizon.dev/v1alpha1   true         Device
networks             hnet         horizon.dev/v1alpha1   true         Network
personalkeys         hpk          horizon.dev/v1alpha1   true         PersonalKey
registrationkeys     hrk          horizon.dev/v1alpha1   true         RegistrationKey
servers              hsrv         horizon.dev/v1alpha1   true         Server
users                hu           horizon.dev/v1alpha1   true         User
",
        )?;
        kubectl.prints(
            &["api-resources", "--namespaced=false", "-o", "name"],
            "\
namespaces
customresourcedefinitions.apiextensions.k8s.io
selfsubjectreviews.authentication.k8s.io
selfsubjectaccessreviews.authorization.k8s.io
selfsubjectrulesreviews.authorization.k8s.io
",
        )?;
        kubectl.prints(
            &["api-versions"],
            "\
apiextensions.k8s.io/v1
authentication.k8s.io/v1
authorization.k8s.io/v1
events.k8s.io/v1
horizon.dev/v1alpha1
v1
",
        )
    });
}

#[test]
fn explain_knows_every_field() {
    alone(|_, kubectl| {
        kubectl.prints(
            &["explain", "users.spec", "--recursive"],
            "\
GROUP:      horizon.dev
KIND:       User
VERSION:    v1alpha1

FIELD: spec <Object>


DESCRIPTION:
    A person, the groups that policies know them by, and how many devices they
    may have.

FIELDS:
  disabled\t<boolean>
  displayName\t<string>
  email\t<string>
  expiresAt\t<string>
  groups\t<[]string>
  maxDevices\t<integer>
",
        )?;
        for (plural, kind) in KINDS {
            let text = kubectl.done(&["explain", plural, "--recursive"])?;
            let head = format!("GROUP:      horizon.dev\nKIND:       {kind}\nVERSION:    v1alpha1\n");
            ensure!(text.starts_with(&head), "{text}");
            ensure!(text.contains("\n  spec\t<Object> -required-\n"), "{text}");
            ensure!(text.contains("\n    conditions\t<[]Object>\n"), "{text}");
        }
        kubectl.answers(
            &["explain", "servers.spec.nonsense"],
            1,
            "GROUP:      horizon.dev\nKIND:       Server\nVERSION:    v1alpha1\n",
            "error: field \"nonsense\" does not exist",
        )
    });
}

#[test]
fn the_version_is_one_that_kubectl_goes_with() {
    alone(|_, kubectl| {
        let said = kubectl.run(&["version"])?;

        // kubectl warns of a server that is more than one minor version away.
        ensure!(said.code == 0 && said.stderr.is_empty(), "{said:?}");
        ensure!(said.stdout.contains("\nServer Version: v1.34."), "{}", said.stdout);
        kubectl.prints(&["get", "--raw", "/healthz"], "ok")
    });
}

#[test]
fn what_is_not_served_is_not_found() {
    alone(|_, kubectl| {
        let not_found = "Error from server (NotFound): the server could not find the requested resource";

        kubectl.is_refused(&["get", "--raw", "/apis/horizon.dev/v1alpha2"], not_found)?;
        kubectl.is_refused(&["get", "--raw", "/apis/apps/v1/deployments"], not_found)?;
        kubectl.is_refused(&["get", "--raw", "/nope"], not_found)?;
        kubectl.is_refused(&["get", "pods"], "error: the server doesn't have a resource type \"pods\"")
    });
}
