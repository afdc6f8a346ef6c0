//! References: which objects name others, and whether those exist.

use std::fmt;

use horizon_api::{
    problem::Problem,
    resource::{AccessPolicySpec, AccessTestSpec, Grants, Kind, ObjectKey, Reference, ResourceSpec},
};

use crate::world::{Member, World};

/// Where a reference stands: text only once there is something to say about it.
#[derive(Clone, Copy)]
enum Path {
    Field(&'static str),
    Item(&'static str, usize, &'static str),
    /// A destination of a rule: the numbers of both.
    Destination(usize, usize, &'static str),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(path) => f.write_str(path),
            Self::Item(list, index, field) => write!(f, "{list}[{index}].{field}"),
            Self::Destination(rule, index, field) => write!(f, "spec.rules[{rule}].to[{index}].{field}"),
        }
    }
}

/// Refuses edits that lead nowhere where the last good did not: a slip of the pen takes nothing out of force. What is
/// new, and what lost its target to another change, waits for the target.
pub(crate) fn settle(world: &mut World<'_>) {
    let mut refused = Vec::new();
    for (key, member) in &world.members {
        let Some(committed) = member.changes() else { continue };
        let known: Vec<_> = references(key, &committed.spec).into_iter().map(|(_, target)| target).collect();
        let new = references(key, member.spec).into_iter().filter(|(_, target)| !known.contains(target));
        if let Some((path, target)) = new.into_iter().find(|(_, target)| !world.members.contains_key(target))
        {
            refused.push((*key, missing(key, member, path, &target)));
        }
    }
    for (key, problem) in refused {
        world.refuse(key, problem);
    }
}

fn missing(key: &ObjectKey, member: &Member<'_>, path: Path, target: &ObjectKey) -> Problem {
    let problem = member.problem(key, &path.to_string(), "RefNotFound", format!("{target} does not exist"));
    problem.fix(format!("declare it, or remove the reference to {target}"))
}

/// Returns every reference to an object that is not there.
pub(crate) fn unresolved(world: &World<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    // Most objects name the network that the one before them named.
    let mut known_network = None;
    for (key, member) in &world.members {
        for (path, target) in references(key, member.spec) {
            if known_network.as_ref() == Some(&target) {
                continue;
            }
            if !world.members.contains_key(&target) {
                problems.push(missing(key, member, path, &target));
            } else if target.kind == Kind::Network {
                known_network = Some(target);
            }
        }
    }
    problems
}

/// Returns whether objects of a kind may name others.
pub(crate) fn has_references(kind: Kind) -> bool {
    match kind {
        Kind::Server
        | Kind::RegistrationKey
        | Kind::PersonalKey
        | Kind::Device
        | Kind::AccessPolicy
        | Kind::AccessTest
        | Kind::ConnectionProfile => true,
        Kind::Network | Kind::User | Kind::Admin | Kind::AlertRule => false,
    }
}

fn references(key: &ObjectKey, spec: &ResourceSpec) -> Vec<(Path, ObjectKey)> {
    let networks = |refs: &[Reference]| -> Vec<(Path, ObjectKey)> {
        refs.iter()
            .enumerate()
            .map(|(index, network)| {
                (
                    Path::Item("spec.networkRefs", index, "name"),
                    key.sibling(Kind::Network, network.name.as_str()),
                )
            })
            .collect()
    };
    let user =
        |user: &Reference| (Path::Field("spec.userRef.name"), key.sibling(Kind::User, user.name.as_str()));
    match spec {
        ResourceSpec::Server(spec) => {
            let registration_key = spec.identity.registration_key_ref.iter().map(|reference| {
                let path = Path::Field("spec.identity.registrationKeyRef.name");
                (path, key.sibling(Kind::RegistrationKey, reference.name.as_str()))
            });
            networks(&spec.network_refs).into_iter().chain(registration_key).collect()
        }
        ResourceSpec::PersonalKey(spec) => {
            let profiles = spec.profile_refs.iter().enumerate().map(|(index, profile)| {
                let target = key.sibling(Kind::ConnectionProfile, profile.name.as_str());
                (Path::Item("spec.profileRefs", index, "name"), target)
            });
            networks(&spec.network_refs).into_iter().chain([user(&spec.user_ref)]).chain(profiles).collect()
        }
        ResourceSpec::Device(spec) => {
            networks(&spec.network_refs).into_iter().chain(spec.user_ref.as_ref().map(user)).collect()
        }
        ResourceSpec::AccessPolicy(spec) => policy_references(key, spec),
        ResourceSpec::RegistrationKey(spec) => {
            let grants = spec.grants.iter();
            grants.flat_map(|grants| grant_references(key, grants)).collect()
        }
        ResourceSpec::AccessTest(spec) => test_references(key, spec),
        ResourceSpec::ConnectionProfile(spec) => {
            let servers = spec.server_refs.iter().enumerate().map(|(index, server)| {
                (
                    Path::Item("spec.serverRefs", index, "name"),
                    key.sibling(Kind::Server, server.name.as_str()),
                )
            });
            let users = spec.audience.iter().enumerate().filter_map(|(index, selector)| {
                let user = key.sibling(Kind::User, selector.user.as_ref()?.as_str());
                Some((Path::Item("spec.audience", index, "user"), user))
            });
            [network_reference(key, &spec.network_ref)].into_iter().chain(servers).chain(users).collect()
        }
        ResourceSpec::Network(_)
        | ResourceSpec::User(_)
        | ResourceSpec::Admin(_)
        | ResourceSpec::AlertRule(_) => vec![],
    }
}

/// Devices may be named before they exist, because a login makes them; users and servers may not.
fn policy_references(key: &ObjectKey, spec: &AccessPolicySpec) -> Vec<(Path, ObjectKey)> {
    let mut references = vec![network_reference(key, &spec.network_ref)];
    for (index, selector) in spec.from.iter().enumerate() {
        let user = selector.user.iter().map(|user| key.sibling(Kind::User, user.as_str()));
        references.extend(user.map(|target| (Path::Item("spec.from", index, "user"), target)));
    }
    for (rule_index, rule) in spec.rules.iter().enumerate() {
        for (index, selector) in rule.to.iter().enumerate() {
            let path = |field| Path::Destination(rule_index, index, field);
            let user = selector.user.iter().map(|user| key.sibling(Kind::User, user.as_str()));
            references.extend(user.map(|target| (path("user"), target)));
            let server = selector.server.iter().map(|server| key.sibling(Kind::Server, server.as_str()));
            references.extend(server.map(|target| (path("server"), target)));
        }
    }
    references
}

fn network_reference(key: &ObjectKey, network: &Reference) -> (Path, ObjectKey) {
    (Path::Field("spec.networkRef.name"), key.sibling(Kind::Network, network.name.as_str()))
}

fn grant_references(key: &ObjectKey, grants: &Grants) -> Vec<(Path, ObjectKey)> {
    let networks = grants.network_refs.iter().enumerate().map(|(index, network)| {
        let path = Path::Item("spec.grants.networkRefs", index, "name");
        (path, key.sibling(Kind::Network, network.name.as_str()))
    });
    let user = grants
        .user_ref
        .iter()
        .map(|user| (Path::Field("spec.grants.userRef.name"), key.sibling(Kind::User, user.name.as_str())));
    networks.chain(user).collect()
}

/// A test that names nobody tests nothing, so its devices must exist too.
fn test_references(key: &ObjectKey, spec: &AccessTestSpec) -> Vec<(Path, ObjectKey)> {
    let mut references = vec![network_reference(key, &spec.network_ref)];
    for (index, case) in spec.cases.iter().enumerate() {
        let (from, to) = (&case.from, &case.to);
        let named = [
            ("from.user", Kind::User, &from.user),
            ("from.device", Kind::Device, &from.device),
            ("to.user", Kind::User, &to.user),
            ("to.device", Kind::Device, &to.device),
            ("to.server", Kind::Server, &to.server),
        ];
        let targets = named.into_iter().filter_map(|(field, kind, name)| {
            Some((Path::Item("spec.cases", index, field), key.sibling(kind, name.as_ref()?.as_str())))
        });
        references.extend(targets);
    }
    references
}
