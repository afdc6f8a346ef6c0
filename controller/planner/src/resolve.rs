//! References: which objects name others, and whether those exist.

use horizon_api::{
    problem::Problem,
    resource::{AccessPolicySpec, Kind, ObjectKey, Reference, ResourceSpec},
};

use crate::world::World;

/// Returns every reference to an object that is not there.
pub(crate) fn unresolved(world: &World<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, member) in &world.members {
        for (path, target) in references(key, member.spec) {
            if !world.members.contains_key(&target) {
                let message = format!("{target} does not exist");
                let problem = member.problem(key, &path, "RefNotFound", message);
                problems.push(problem.fix(format!("declare it, or remove the reference to {target}")));
            }
        }
    }
    problems
}

/// Returns whether objects of a kind may name others.
pub(crate) fn has_references(kind: Kind) -> bool {
    match kind {
        Kind::Server | Kind::PersonalKey | Kind::Device | Kind::AccessPolicy => true,
        Kind::Network | Kind::RegistrationKey | Kind::User => false,
    }
}

fn references(key: &ObjectKey, spec: &ResourceSpec) -> Vec<(String, ObjectKey)> {
    let networks = |refs: &[Reference]| -> Vec<(String, ObjectKey)> {
        refs.iter()
            .enumerate()
            .map(|(index, network)| {
                (format!("spec.networkRefs[{index}].name"), key.sibling(Kind::Network, network.name.as_str()))
            })
            .collect()
    };
    let user =
        |user: &Reference| ("spec.userRef.name".to_owned(), key.sibling(Kind::User, user.name.as_str()));
    match spec {
        ResourceSpec::Server(spec) => {
            let registration_key = spec.identity.registration_key_ref.iter().map(|reference| {
                let path = "spec.identity.registrationKeyRef.name".to_owned();
                (path, key.sibling(Kind::RegistrationKey, reference.name.as_str()))
            });
            networks(&spec.network_refs).into_iter().chain(registration_key).collect()
        }
        ResourceSpec::PersonalKey(spec) => {
            networks(&spec.network_refs).into_iter().chain([user(&spec.user_ref)]).collect()
        }
        ResourceSpec::Device(spec) => {
            networks(&spec.network_refs).into_iter().chain([user(&spec.user_ref)]).collect()
        }
        ResourceSpec::AccessPolicy(spec) => policy_references(key, spec),
        ResourceSpec::Network(_) | ResourceSpec::RegistrationKey(_) | ResourceSpec::User(_) => vec![],
    }
}

/// Devices may be named before they exist, because a login makes them; users and servers may not.
fn policy_references(key: &ObjectKey, spec: &AccessPolicySpec) -> Vec<(String, ObjectKey)> {
    let network = key.sibling(Kind::Network, spec.network_ref.name.as_str());
    let mut references = vec![("spec.networkRef.name".to_owned(), network)];
    for (index, selector) in spec.from.iter().enumerate() {
        let user = selector.user.iter().map(|user| key.sibling(Kind::User, user.as_str()));
        references.extend(user.map(|target| (format!("spec.from[{index}].user"), target)));
    }
    for (rule_index, rule) in spec.rules.iter().enumerate() {
        for (index, selector) in rule.to.iter().enumerate() {
            let path = |field: &str| format!("spec.rules[{rule_index}].to[{index}].{field}");
            let user = selector.user.iter().map(|user| key.sibling(Kind::User, user.as_str()));
            references.extend(user.map(|target| (path("user"), target)));
            let server = selector.server.iter().map(|server| key.sibling(Kind::Server, server.as_str()));
            references.extend(server.map(|target| (path("server"), target)));
        }
    }
    references
}
