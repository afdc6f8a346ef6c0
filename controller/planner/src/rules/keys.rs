//! Rules of RegistrationKey and PersonalKey.

use horizon_api::resource::{PersonalKeySpec, RegistrationKeySpec};

use super::{Violation, exactly_one};

pub(super) fn check_registration_key(spec: &RegistrationKeySpec) -> Vec<Violation> {
    let token = [("hash", spec.hash.is_some()), ("generate", spec.generate.is_some())];
    let mut violations: Vec<_> = exactly_one("spec", &token).into_iter().collect();
    if spec.max_uses > 1 && spec.expires_at.is_none() {
        let fix = "add `expiresAt:`, such as 2027-01-31T00:00:00Z";
        violations.push(Violation::new(
            "spec",
            "Required",
            "a key for several uses must have `expiresAt`",
            fix,
        ));
    }
    violations
}

pub(super) fn check_personal_key(spec: &PersonalKeySpec) -> Vec<Violation> {
    let token = [
        ("hash", spec.hash.is_some()),
        ("generate", spec.generate.is_some()),
        ("publicKey", spec.public_key.is_some()),
    ];
    exactly_one("spec", &token).into_iter().collect()
}
