//! Rules of an AccessTest: its cases do not contradict each other.

use horizon_api::{
    problem::Severity,
    resource::{AccessCase, AccessTestSpec},
};

use super::Violation;

pub(super) fn check(spec: &AccessTestSpec) -> Vec<Violation> {
    let contradicted = |index: usize, case: &AccessCase| {
        spec.cases[..index].iter().position(|earlier| {
            let flipped = AccessCase { expect: case.expect, ..earlier.clone() };
            flipped == *case && earlier.expect != case.expect
        })
    };
    let cases = spec.cases.iter().enumerate();
    cases
        .filter_map(|(index, case)| {
            let earlier = contradicted(index, case)?;
            Some(Violation {
                path: format!("spec.cases[{index}].expect"),
                code: "Contradiction",
                message: format!("contradicts `spec.cases[{earlier}]`, which is the same case"),
                fix: "remove one of them",
                severity: Severity::Error,
            })
        })
        .collect()
}
