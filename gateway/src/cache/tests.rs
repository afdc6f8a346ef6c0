//! Facts about the configuration on disk.

use horizon_api::{
    assignment::Provisional,
    delegation::{Delegation, Role},
    key::{RootFingerprint, SecretKey},
    section::Section,
};

use super::*;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn pin() -> Pin {
    Pin { root: RootFingerprint::of(&key(1).public()), epoch: 1 }
}

fn delegation() -> Signed {
    let (root, online) = (key(1).public(), key(2).public());
    Delegation { root, online, roles: vec![Role::Config], epoch: 1, not_after: i64::MAX }.sign(&key(1))
}

/// A configuration with one section, and the section's bytes.
fn running(revision: u64) -> (Running, Sections) {
    running_until(revision, None)
}

/// One that must be confirmed, if there is something to go back to.
fn running_until(revision: u64, provisional: Option<Provisional>) -> (Running, Sections) {
    let section = Section::Revocations(vec![key(u8::try_from(revision).expect("small")).public()]).encode();
    let trust = Trust::establish(&delegation(), &pin(), 0).expect("valid");
    let gateway = key(4).public();
    let sections = vec![section.header.clone()];
    let signed = Assignment { epoch: 1, revision, gateway, sections, provisional }.sign(&key(2));
    let verified = Assignment::verify(&signed, &trust, &gateway, None).expect("valid");
    let sections: Sections = [(section.header.hash, section.bytes)].into();
    let config = verified.assemble(|hash| sections.get(hash).cloned()).expect("whole");
    (Running { trust, delegation: delegation(), signed, verified, config }, sections)
}

fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().expect("a folder");
    let data = DataFolder::open(folder.path()).expect("free");
    let cache = Cache::open(&data).expect("made");
    (folder, cache)
}

fn loaded_revision(cache: &Cache) -> Option<u64> {
    let loaded = cache.load(&pin(), &key(4).public()).expect("readable");
    loaded.map(|(running, _)| running.verified.version().revision)
}

#[test]
fn a_damaged_section_is_written_again() {
    let (_folder, cache) = cache();
    let (running, sections) = running(7);
    cache.store(&running, &sections, 0).expect("stored");
    let hash = sections.keys().next().expect("one").to_string();
    fs::write(cache.folder.join(&hash), "damaged").expect("written");
    assert!(cache.load(&pin(), &key(4).public()).is_err());

    cache.store(&running, &sections, 0).expect("stored");

    assert_eq!(loaded_revision(&cache), Some(7));
}

#[test]
fn going_back_takes_one_file_until_the_others_are_forgotten() {
    let (_folder, cache) = cache();
    let ((old, old_sections), (new, new_sections)) = (running(7), running(8));
    cache.store(&old, &old_sections, 0).expect("stored");
    cache.store(&new, &new_sections, 0).expect("stored");
    assert_eq!(loaded_revision(&cache), Some(8));

    cache.store_current(&old, 0).expect("stored");
    assert_eq!(loaded_revision(&cache), Some(7));
    cache.forget_others(&new);

    assert!(cache.load(&pin(), &key(4).public()).is_err(), "its section is forgotten");
}

#[test]
fn what_is_forgotten_is_not_run_again_and_comes_back_by_one_file() {
    let (_folder, cache) = cache();
    let (running, sections) = running(7);
    cache.store(&running, &sections, 0).expect("stored");

    cache.forget_current().expect("removed");
    cache.forget_current().expect("nothing to remove");
    assert_eq!(loaded_revision(&cache), None);
    cache.store_current(&running, 5).expect("stored");

    assert_eq!(loaded_revision(&cache), Some(7));
}

#[test]
fn what_ran_before_is_kept_until_what_came_is_confirmed() {
    let (_folder, cache) = cache();
    let (old, old_sections) = running(7);
    let previous = old.verified.hash();
    let (new, new_sections) = running_until(8, Some(Provisional { revert_at_ms: 60_000, previous }));
    let (confirmed, confirmed_sections) = running(9);
    let gateway = key(4).public();
    cache.store(&old, &old_sections, 0).expect("stored");

    cache.keep_previous(&old, 0).expect("kept");
    cache.store(&new, &new_sections, 0).expect("stored");
    cache.forget_others(&new);
    let (kept, sections) = cache.load_previous(&pin(), &gateway, previous).expect("there");
    assert_eq!((kept.verified.version().revision, sections), (7, old_sections));
    assert!(cache.load_previous(&pin(), &gateway, new.verified.hash()).is_err(), "it is another one");

    cache.store(&confirmed, &confirmed_sections, 0).expect("stored");
    cache.forget_others(&confirmed);
    assert!(cache.load_previous(&pin(), &gateway, previous).is_err(), "nothing is to go back to");
}
