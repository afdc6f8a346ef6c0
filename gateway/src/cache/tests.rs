//! Facts about the configuration on disk.

use horizon_api::assignment::Provisional;

use super::*;
use crate::running::testing::{key, pin, running, running_until};

fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().expect("a folder");
    let data = DataFolder::open(folder.path()).expect("free");
    let cache = Cache::open(&data).expect("made");
    (folder, cache)
}

fn loaded_revision(cache: &Cache) -> Option<u64> {
    let loaded = cache.load(&pin(), &[gateway()]).expect("readable");
    loaded.map(|(running, _)| running.verified.version().revision)
}

#[test]
fn a_damaged_section_is_written_again() {
    let (_folder, cache) = cache();
    let (running, sections) = running(7);
    cache.store(&running, &sections, 0).expect("stored");
    let hash = sections.keys().next().expect("one").to_string();
    fs::write(cache.folder.join(&hash), "damaged").expect("written");
    assert!(cache.load(&pin(), &[gateway()]).is_err());

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

    assert!(cache.load(&pin(), &[gateway()]).is_err(), "its section is forgotten");
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

/// Returns a configuration that must be confirmed, after one that the controller calls the one before.
fn provisional(revision: u64, previous: &Running) -> (Running, Sections) {
    let previous = previous.verified.hash();
    running_until(revision, Some(Provisional { revert_at_ms: 60_000, previous }))
}

fn gateway() -> PublicKey {
    key(4).public()
}

fn previous_revision(cache: &Cache, running: &Running) -> Option<u64> {
    cache.load_previous(&[gateway()], running).ok().map(|(previous, _)| previous.verified.version().revision)
}

#[test]
fn what_ran_before_is_kept_until_what_came_is_confirmed() {
    let (_folder, cache) = cache();
    let (old, old_sections) = running(7);
    let (new, new_sections) = provisional(8, &old);
    let (confirmed, confirmed_sections) = running(9);
    cache.store(&old, &old_sections, 0).expect("stored");

    cache.keep_previous(Some(&old), &new, 0).expect("kept");
    cache.store(&new, &new_sections, 0).expect("stored");
    cache.forget_others(&new);
    let (kept, sections) = cache.load_previous(&[gateway()], &new).expect("there");
    assert_eq!((kept.verified.version().revision, sections), (7, old_sections));

    cache.keep_previous(Some(&new), &confirmed, 0).expect("nothing to keep");
    cache.store(&confirmed, &confirmed_sections, 0).expect("stored");
    cache.forget_others(&confirmed);
    assert_eq!(previous_revision(&cache, &confirmed), None, "nothing is to go back to");
}

#[test]
fn a_gateway_that_missed_the_one_before_goes_back_to_what_it_ran_itself() {
    let (_folder, cache) = cache();
    let ((old, old_sections), (missed, _)) = (running(6), running(7));
    let ((new, new_sections), (next, _)) = (provisional(8, &missed), provisional(9, &missed));
    cache.store(&old, &old_sections, 0).expect("stored");

    cache.keep_previous(Some(&old), &new, 0).expect("kept");
    cache.store(&new, &new_sections, 0).expect("stored");
    cache.forget_others(&new);
    assert_eq!(previous_revision(&cache, &new), Some(6));

    cache.keep_previous(Some(&new), &next, 0).expect("kept already");
    assert_eq!(
        previous_revision(&cache, &next),
        Some(6),
        "what was never confirmed is nothing to go back to"
    );
}

#[test]
fn going_back_takes_no_revocation_back_and_a_restart_neither() {
    let (_folder, cache) = cache();
    let (old, old_sections) = running(7);
    let (new, new_sections) = provisional(8, &old);
    cache.store(&old, &old_sections, 0).expect("stored");
    cache.keep_previous(Some(&old), &new, 0).expect("kept");
    cache.store(&new, &new_sections, 0).expect("stored");

    let (previous, sections) = cache.load_previous(&[gateway()], &new).expect("there");
    cache.store(&previous, &sections, 0).expect("stored");
    let (loaded, _) = cache.load(&pin(), &[gateway()]).expect("readable").expect("there");

    let revoked = [key(7).public(), key(8).public()].into();
    assert_eq!((&previous.config.revoked, &loaded.config.revoked), (&revoked, &revoked));
    assert_eq!(loaded.verified.version().revision, 7);
}
