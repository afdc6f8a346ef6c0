//! Remarks about an AccessPolicy.

use horizon_api::{
    problem::Severity,
    resource::{AccessPolicySpec, Action, Protocol},
};

use super::Violation;

pub(super) fn check(spec: &AccessPolicySpec) -> Vec<Violation> {
    let is_everybody = spec.action == Action::Allow && spec.from.iter().any(|s| s.any == Some(true));
    if !is_everybody {
        return vec![];
    }
    let rules = spec.rules.iter().enumerate().filter(|(_, rule)| {
        rule.protocol == Protocol::Any && rule.to.iter().any(|selector| selector.any == Some(true))
    });
    rules
        .map(|(index, _)| Violation {
            path: format!("spec.rules[{index}]"),
            code: "AnyToAny",
            message: "everybody may reach everything".to_owned(),
            fix: "name who and what, if you can",
            severity: Severity::Warning,
        })
        .collect()
}
