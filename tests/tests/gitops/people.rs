//! What people may do by the roles that come with the controller.

use anyhow::ensure;
use horizon_api::resource::{GROUP, Kind};
use horizon_tests::kubectl::Kubectl;

use crate::{in_cluster, path};

#[test]
fn people_may_what_their_role_says() {
    in_cluster(|cluster, kubectl| {
        kubectl.done(&["apply", "--server-side", "-k", &path("manifests/kubernetes")])?;
        cluster.wait_for_crds()?;
        kubectl.done(&["create", "namespace", "tenant"])?;
        for role in ["viewer", "editor", "security-admin"] {
            let of = [format!("--clusterrole=horizon-{role}"), format!("--user={role}")];
            kubectl.done(&["-n", "tenant", "create", "rolebinding", role, &of[0], &of[1]])?;
        }
        // Who gets in and where to; and of that, what only those see who decide about it.
        let hidden = [Kind::Admin, Kind::PersonalKey, Kind::RegistrationKey];
        let seen = [Kind::AccessPolicy, Kind::Device, Kind::Server, Kind::User];

        for kind in Kind::ALL {
            let is_hidden = hidden.contains(&kind);
            let is_secure = is_hidden || seen.contains(&kind);
            for (role, verb, may) in [
                ("viewer", "list", !is_hidden),
                ("viewer", "create", false),
                ("viewer", "delete", false),
                ("editor", "get", !is_hidden),
                ("editor", "patch", !is_secure),
                ("editor", "deletecollection", !is_secure),
                ("security-admin", "watch", is_secure),
                ("security-admin", "create", is_secure),
                ("security-admin", "delete", is_secure),
            ] {
                may_or_not(kubectl, role, verb, &format!("{}.{GROUP}", kind.plural()), may)?;
            }
            let status = kubectl.run(&[
                "-n",
                "tenant",
                "auth",
                "can-i",
                "patch",
                &format!("{}.{GROUP}", kind.plural()),
                "--subresource",
                "status",
                "--as",
                "editor",
            ])?;
            ensure!(
                status.stdout.trim() == "no",
                "an editor writes the status of {kind:?}: {}",
                status.stderr
            );
        }
        may_or_not(kubectl, "editor", "get", "secrets", false)
    });
}

#[test]
fn roles_are_parts_of_those_that_clusters_have() {
    in_cluster(|_, kubectl| {
        kubectl.done(&["apply", "--server-side", "-k", &path("manifests/kubernetes")])?;
        let part_of = |role: &str| {
            let label = format!("rbac.authorization.k8s.io/aggregate-to-{role}=true");
            let found = kubectl.done(&["get", "clusterroles", "-l", &label, "-o", "name"])?;
            let ours = found
                .lines()
                .filter_map(|line| line.split_once("/horizon-"))
                .map(|(_, name)| name.to_owned());
            anyhow::Ok(ours.collect::<Vec<_>>())
        };

        ensure!(part_of("view")? == ["viewer"], "{:?}", part_of("view"));
        ensure!(part_of("edit")? == ["editor", "viewer"], "{:?}", part_of("edit"));
        ensure!(part_of("admin")? == ["editor", "viewer"], "{:?}", part_of("admin"));
        Ok(())
    });
}

fn may_or_not(kubectl: &Kubectl, who: &str, verb: &str, what: &str, may: bool) -> anyhow::Result<()> {
    let said = kubectl.run(&["-n", "tenant", "auth", "can-i", verb, what, "--as", who])?;
    let expected = if may { "yes" } else { "no" };
    ensure!(said.stdout.trim() == expected, "{who} {verb} {what}: {}{}", said.stdout, said.stderr);
    Ok(())
}
