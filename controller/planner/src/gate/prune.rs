//! The prune gate: a folder that loses much at once was rather emptied by mistake.

use horizon_api::resource::ObjectKey;

use crate::{
    compile::{API_SOURCE, Input, draft::Draft},
    plan::{Breach, Plan},
};

/// Of a source's objects.
const PERCENT_MAX: usize = 20;
/// In a small folder, a fifth is an ordinary edit.
const OBJECTS_MAX: usize = 5;

pub(super) fn plans(input: &Input, draft: &Draft<'_>) -> Vec<Plan> {
    let folders = input.sources.iter().filter(|source| source.source != API_SOURCE);
    let plans = folders.filter_map(|source| {
        let source = source.source.as_str();
        let before = input.previous.iter().filter(|object| object.owner.source == source).count();
        let pruned: Vec<ObjectKey> = draft
            .world
            .pruned
            .iter()
            .filter(|object| object.owner.source == source)
            .map(|object| object.key.clone())
            .collect();
        let count = pruned.len();
        let is_breach = count > OBJECTS_MAX && count * 100 > before * PERCENT_MAX;
        let message = || {
            let folder = source.trim_start_matches("files:");
            format!("{count} of {before} objects of {folder} disappeared ({} %)", count * 100 / before)
        };
        is_breach.then(|| Plan::new(Breach::Prune, pruned, message(), &draft.world))
    });
    plans.collect()
}
