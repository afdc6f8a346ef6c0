//! Rules of a Server.

use std::collections::BTreeMap;

use horizon_api::resource::ServerSpec;

use super::{Violation, exactly_one};

pub(super) fn check(spec: &ServerSpec) -> Vec<Violation> {
    let identity = [
        ("registrationKeyRef", spec.identity.registration_key_ref.is_some()),
        ("publicKey", spec.identity.public_key.is_some()),
    ];
    let mut violations: Vec<_> = exactly_one("spec.identity", &identity).into_iter().collect();
    let mut seen = BTreeMap::new();
    for (index, route) in spec.subnet_routes.iter().enumerate() {
        let path = format!("spec.subnetRoutes[{index}]");
        if route.cidr.prefix_len() == 0 {
            let message = "a subnet route may not be everything";
            violations.push(Violation::new(
                format!("{path}.cidr"),
                "Range",
                message,
                "name the subnets behind it",
            ));
        }
        match &route.network_ref {
            None if spec.network_refs.len() > 1 => {
                let message = "`networkRef` is required when the server carries several networks";
                violations.push(Violation::new(&path, "Required", message, "add `networkRef: {name: …}`"));
            }
            Some(network) if !spec.network_refs.contains(network) => {
                let message = format!("the server does not carry network `{}`", network.name);
                let fix = "add it to `spec.networkRefs`";
                violations.push(Violation::new(format!("{path}.networkRef"), "NotCarried", message, fix));
            }
            None | Some(_) => {}
        }
        if let Some(first) = seen.insert((route.cidr, &route.network_ref), index) {
            let message = format!("is the same as `spec.subnetRoutes[{first}]`");
            violations.push(Violation::new(&path, "Duplicate", message, "remove one of them"));
        }
    }
    violations
}
