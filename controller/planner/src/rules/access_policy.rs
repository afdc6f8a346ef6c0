//! Rules of an AccessPolicy.

use horizon_api::resource::{AccessPolicySpec, Action, DestinationSelector, Protocol, SourceSelector};

use super::{Violation, exactly_one};

pub(super) fn check(spec: &AccessPolicySpec) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, selector) in spec.from.iter().enumerate() {
        check_source(selector, &format!("spec.from[{index}]"), &mut violations);
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        for (index, selector) in rule.to.iter().enumerate() {
            check_destination(spec, selector, &format!("{path}.to[{index}]"), &mut violations);
        }
        if !rule.ports.is_empty() && !matches!(rule.protocol, Protocol::Tcp | Protocol::Udp) {
            let message = "`ports` may not be set unless `protocol` is `Tcp` or `Udp`";
            violations.push(Violation::new(
                format!("{path}.ports"),
                "Forbidden",
                message,
                "add `protocol: Tcp`",
            ));
        }
        let is_everything = |any: Option<bool>| any == Some(true);
        let to_all = rule.to.iter().any(|s| is_everything(s.any))
            && rule.protocol == Protocol::Any
            && spec.action == Action::Allow;
        if to_all && spec.from.iter().any(|s| is_everything(s.any)) {
            let message = "everybody may reach everything";
            let warning = Violation::new(&path, "AnyToAny", message, "name who and what, if you can");
            violations.push(Violation { is_warning: true, ..warning });
        }
    }
    violations
}

fn check_source(selector: &SourceSelector, path: &str, violations: &mut Vec<Violation>) {
    let SourceSelector { user, group, tag, device, cidr, any } = selector;
    let fields = [
        ("user", user.is_some()),
        ("group", group.is_some()),
        ("tag", tag.is_some()),
        ("device", device.is_some()),
        ("cidr", cidr.is_some()),
        ("any", any.is_some()),
    ];
    violations.extend(exactly_one(path, &fields));
    check_any(*any, path, violations);
}

fn check_destination(
    spec: &AccessPolicySpec,
    selector: &DestinationSelector,
    path: &str,
    violations: &mut Vec<Violation>,
) {
    let DestinationSelector { user, group, tag, device, cidr, server, network, service, any } = selector;
    let fields = [
        ("user", user.is_some()),
        ("group", group.is_some()),
        ("tag", tag.is_some()),
        ("device", device.is_some()),
        ("cidr", cidr.is_some()),
        ("server", server.is_some()),
        ("network", network.is_some()),
        ("service", service.is_some()),
        ("any", any.is_some()),
    ];
    violations.extend(exactly_one(path, &fields));
    check_any(*any, path, violations);
    if network.as_ref().is_some_and(|network| *network != spec.network_ref.name) {
        let message = format!("must be the policy's own network `{}`", spec.network_ref.name);
        let fix = "a policy is about one network; write another one for the other";
        violations.push(Violation::new(format!("{path}.network"), "OtherNetwork", message, fix));
    }
}

fn check_any(any: Option<bool>, path: &str, violations: &mut Vec<Violation>) {
    if any == Some(false) {
        let message = "`any: false` selects nothing";
        violations.push(Violation::new(
            format!("{path}.any"),
            "Forbidden",
            message,
            "write `any: true` or remove it",
        ));
    }
}
