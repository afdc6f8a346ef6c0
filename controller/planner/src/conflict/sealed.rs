//! Policies that need to see ports, in networks whose packets gateways cannot read.

use horizon_api::{
    problem::Problem,
    resource::{AccessPolicySpec, EndToEnd, Kind, ObjectKey, Protocol, ResourceSpec},
};

use crate::world::{Member, World};

/// Refuses whichever of policy and network is newer. Returns whether it refused something.
pub(super) fn settle(world: &mut World<'_>) -> bool {
    let refused: Vec<_> =
        world.members.iter().filter_map(|(key, member)| refusal(world, key, member)).collect();
    let has_refused = !refused.is_empty();
    for (key, problem) in refused {
        world.refuse(&key, problem);
    }
    has_refused
}

fn refusal(world: &World<'_>, key: &ObjectKey, policy: &Member<'_>) -> Option<(ObjectKey, Problem)> {
    let ResourceSpec::AccessPolicy(spec) = policy.spec else { return None };
    let network_key = key.sibling(Kind::Network, spec.network_ref.name.as_str());
    let network = world.members.get(&network_key)?;
    let is_sealed = matches!(network.spec, ResourceSpec::Network(spec) if spec.e2e == EndToEnd::Required);
    let path = is_sealed.then(|| needs_ports(spec)).flatten()?;
    if policy.seniority() > 0 {
        let message =
            format!("cannot be enforced, because gateways cannot read the packets of {network_key}");
        let fix = format!("remove it, or write `e2e: Disabled` in {network_key}");
        return Some((key.clone(), policy.problem(key, &path, "SealedNetwork", message).fix(fix)));
    }
    (network.seniority() > 0).then(|| {
        let message = format!("cannot be `Required`, because {key} needs to see ports");
        let problem = network.problem(&network_key, "spec.e2e", "SealedNetwork", message);
        (network_key, problem.fix("remove the ports from the policy first"))
    })
}

/// Returns the path of the first thing that only a reader of packets can tell.
fn needs_ports(spec: &AccessPolicySpec) -> Option<String> {
    spec.rules.iter().enumerate().find_map(|(index, rule)| {
        let field = if !rule.ports.is_empty() {
            "ports"
        } else if rule.protocol != Protocol::Any {
            "protocol"
        } else {
            return None;
        };
        Some(format!("spec.rules[{index}].{field}"))
    })
}
