//! Configurations for tests.

use horizon_api::{
    assignment::{Assignment, Provisional},
    delegation::{Delegation, Pin, Role, Trust},
    key::{RootFingerprint, SecretKey},
    section::Section,
    signed::Signed,
};

use super::{Running, Sections};

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub(crate) fn pin() -> Pin {
    Pin { root: RootFingerprint::of(&key(1).public()), epoch: 1, floor: 0 }
}

fn delegation() -> Signed {
    let (root, online) = (key(1).public(), key(2).public());
    Delegation { root, online, roles: vec![Role::Config], epoch: 1, serial: 0, floor: 0, not_after: i64::MAX }
        .sign(&key(1))
}

/// Returns the root's word for its online key with a number, which is its seed but for ten.
pub(crate) fn word(serial: u8, floor: u64) -> Signed {
    let (root, online, serial) = (key(1).public(), key(10 + serial).public(), u64::from(serial));
    let roles = vec![Role::Link, Role::Config, Role::Grant];
    Delegation { root, online, roles, epoch: 1, serial, floor, not_after: i64::MAX }.sign(&key(1))
}

/// Returns a configuration with one section, which revokes the key of its revision, and the section's bytes.
pub(crate) fn running(revision: u64) -> (Running, Sections) {
    running_until(revision, None)
}

/// Returns one that must be confirmed, if there is something to go back to.
pub(crate) fn running_until(revision: u64, provisional: Option<Provisional>) -> (Running, Sections) {
    let section = Section::Revocations(vec![key(u8::try_from(revision).expect("small")).public()]).encode();
    let trust = Trust::establish(&delegation(), &pin(), 0).expect("valid");
    let gateway = key(4).public();
    let sections = vec![section.header.clone()];
    let signed = Assignment { epoch: 1, revision, gateway, sections, provisional }.sign(&key(2));
    let verified = Assignment::verify(&signed, &trust, &[gateway], None).expect("valid");
    let sections: Sections = [(section.header.hash, section.bytes)].into();
    let config = verified.assemble(|hash| sections.get(hash).cloned()).expect("whole");
    (Running::new(trust, delegation(), signed, verified, config), sections)
}
