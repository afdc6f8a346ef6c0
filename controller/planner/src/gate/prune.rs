//! The prune gate: a folder that loses much at once was rather emptied by mistake.

use std::collections::BTreeSet;

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
    let sources: BTreeSet<&str> = input.sources.iter().map(|source| whole(&source.source)).collect();
    let plans = sources.into_iter().filter(|source| *source != API_SOURCE).filter_map(|source| {
        let before = input.previous.iter().filter(|object| whole(&object.owner.source) == source).count();
        let pruned: Vec<ObjectKey> = draft
            .world
            .pruned
            .iter()
            .filter(|object| whole(&object.owner.source) == source)
            .map(|object| object.key.clone())
            .collect();
        let count = pruned.len();
        let is_breach = count > OBJECTS_MAX && count * 100 > before * PERCENT_MAX;
        let message = || {
            let folder = if source == CLUSTER { "the cluster" } else { source.trim_start_matches("files:") };
            format!("{count} of {before} objects of {folder} disappeared ({} %)", count * 100 / before)
        };
        is_breach.then(|| Plan::new(Breach::Prune, pruned, message(), &draft.world))
    });
    plans.collect()
}

/// A cluster has a source for each kind, and whoever empties it empties all of them.
fn whole(source: &str) -> &str {
    if source.starts_with(CLUSTER) { CLUSTER } else { source }
}

/// What the sources of a cluster begin with.
const CLUSTER: &str = "kube:";
