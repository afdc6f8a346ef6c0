//! Remarks about an AccessPolicy, and windows that no week has.

use horizon_api::{
    problem::Severity,
    resource::{AccessPolicySpec, Action, Protocol},
    verdict::WindowError,
};

use super::Violation;
use crate::compile::policy;

pub(super) fn check(spec: &AccessPolicySpec) -> Vec<Violation> {
    any_to_any(spec).into_iter().chain(windows(spec)).collect()
}

fn any_to_any(spec: &AccessPolicySpec) -> Vec<Violation> {
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

fn windows(spec: &AccessPolicySpec) -> impl Iterator<Item = Violation> {
    spec.windows.iter().enumerate().filter_map(|(index, window)| {
        let error = policy::window(window).err()?;
        let (field, fix) = match error {
            WindowError::NoDay => ("days", "name one"),
            WindowError::Start(_) => ("start", "write 00:00, and the day after"),
            WindowError::End(_) => ("end", "write 24:00"),
            WindowError::Zone(_) => ("timeZone", "name a zone of the IANA database, such as `Europe/Berlin`"),
        };
        let path = format!("spec.windows[{index}].{field}");
        let severity = Severity::Error;
        Some(Violation { path, code: "Window", message: error.to_string(), fix, severity })
    })
}
