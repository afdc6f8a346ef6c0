//! What a change would do: the folders as they are, or others in their place, against what is in force.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use horizon_api::{
    http::{ApiError, ChangeKind, EffectView, HeldPlan, ObjectChange, Place, PlanAnswer},
    key::PublicKey,
};
use horizon_api_server::Refusal;
use horizon_node::clock;
use horizon_planner::{
    compile::{Committed, Compiled, Input, compile},
    effect::{Change, Effect, effects},
    plan::Plan,
};

use super::{Reconciler, state::State};
use crate::{
    event::{Answer, ReadFolder},
    source::cluster,
};

/// Lines that somebody reads.
const EFFECTS_MAX: usize = 1_000;
/// Approving what waits may bring more to wait: a prune, then what is lost by it.
const ROUNDS_MAX: usize = 8;

/// What there is to compile for an answer, apart from whoever goes on changing it.
pub(super) struct Question {
    input: Input,
    in_force: Compiled,
    live_devices: BTreeSet<PublicKey>,
    revision: u64,
    now: i64,
}

impl Reconciler {
    /// Answers beside the loop: it compiles several times, and nothing depends on it.
    pub(super) fn begin_plan(&self, folders: Vec<ReadFolder>, reply: Answer<PlanAnswer>) {
        if reply.is_closed() {
            return;
        }
        match self.plan(folders) {
            Ok(question) => {
                drop(tokio::task::spawn_blocking(move || drop(reply.send(Ok(question.answer())))));
            }
            Err(refusal) => drop(reply.send(Err(refusal))),
        }
    }

    pub(super) fn plan(&self, folders: Vec<ReadFolder>) -> Result<Question, Refusal> {
        self.check_read()?;
        let mut input = self.input().map_err(|error| {
            let hint = "see the controller's log";
            Refusal::Unavailable(ApiError::new("Unavailable", format!("{error:#}"), hint))
        })?;
        if !folders.is_empty() {
            self.replace_folders(&mut input, folders)?;
        }
        Ok(Question {
            input,
            in_force: self.state.compiled.clone(),
            live_devices: self.state.live_devices(),
            revision: self.state.version.revision,
            now: clock::unix_s(),
        })
    }

    fn replace_folders(&self, input: &mut Input, folders: Vec<ReadFolder>) -> Result<(), Refusal> {
        let is_folder = |source: &&String| !cluster::is_of_cluster(source);
        let sources: Vec<&String> = self.state.sources.keys().filter(is_folder).collect();
        if folders.len() != sources.len() {
            let message =
                format!("{} folders are given, and the controller reads {}", folders.len(), sources.len());
            let read: Vec<_> = sources.iter().map(|source| source.trim_start_matches("files:")).collect();
            let hint = format!("give one in place of each of {}", read.join(", "));
            return Err(Refusal::Invalid(ApiError::new("Folders", message, hint)));
        }
        for (source, folder) in sources.into_iter().zip(folders) {
            let ReadFolder { path, scan, parsed } = folder;
            if let Some(problem) = scan.problems.first().filter(|_| !scan.is_complete()) {
                let message = format!("{path} cannot be read: {}", problem.sentence());
                let hint = "the controller reads it itself: give a folder that it may read";
                return Err(Refusal::Invalid(ApiError::new("Unreadable", message, hint)));
            }
            let (snapshot, _) = State::read_scan(source, &scan, parsed);
            input.sources.retain(|other| other.source != *source);
            input.sources.push(snapshot);
        }
        Ok(())
    }
}

impl Question {
    /// Compiles without committing. What waits for a person counts as done: that is what is to be looked at. Blocks.
    pub(super) fn answer(mut self) -> PlanAnswer {
        let held = compile(&self.input, self.now);
        let mut plans = held.plans.clone();
        let mut passed = held.clone();
        for _ in 0..ROUNDS_MAX {
            if passed.plans.is_empty() {
                break;
            }
            self.input.approved.extend(passed.plans.iter().map(|plan| plan.hash));
            passed = compile(&self.input, self.now);
            plans.extend(
                passed.plans.iter().filter(|plan| !plans.contains(plan)).cloned().collect::<Vec<_>>(),
            );
        }
        let effects = effects(&self.in_force, &passed, &self.live_devices, self.now);
        let is_cut = effects.is_cut || effects.lines.len() > EFFECTS_MAX;
        PlanAnswer {
            revision: self.revision,
            objects: object_changes(&self.input.previous, &passed),
            effects: effects.lines.iter().take(EFFECTS_MAX).map(effect_view).collect(),
            is_cut,
            drops: effects.drops.into_iter().collect(),
            held: plans.iter().map(held_plan).collect(),
            problems: held.problems,
        }
    }
}

impl State {
    /// Returns the keys of the devices that a connected gateway spoke of last.
    fn live_devices(&self) -> BTreeSet<PublicKey> {
        let gateways = self.gateways.values().filter(|gateway| gateway.is_connected());
        let heartbeats = gateways.filter_map(|gateway| gateway.heartbeat.as_ref());
        heartbeats.flat_map(|heartbeat| heartbeat.links.iter().map(|link| link.device)).collect()
    }
}

fn object_changes(previous: &[Arc<Committed>], passed: &Compiled) -> Vec<ObjectChange> {
    let committed: BTreeMap<_, _> = previous.iter().map(|object| (&object.key, object)).collect();
    let now = passed.objects.iter().filter_map(|(key, object)| {
        let change = match committed.get(key) {
            None => ChangeKind::Added,
            Some(old) if old.spec != object.spec || old.metadata != object.metadata => ChangeKind::Changed,
            Some(_) => return None,
        };
        Some(ObjectChange { object: key.clone(), change, place: object.owner.origin.to_string() })
    });
    let gone = committed.iter().filter(|(key, _)| !passed.objects.contains_key(**key));
    let gone = gone.map(|(key, old)| ObjectChange {
        object: (*key).clone(),
        change: ChangeKind::Removed,
        place: old.owner.origin.to_string(),
    });
    now.chain(gone).collect()
}

pub(super) fn held_plan(plan: &Plan) -> HeldPlan {
    let causes = plan
        .causes
        .iter()
        .map(|(object, origin)| Place { object: object.clone(), place: origin.to_string() });
    HeldPlan {
        hash: plan.hash.to_string(),
        breach: plan.breach.as_str().to_owned(),
        message: plan.message.clone(),
        causes: causes.collect(),
    }
}

fn effect_view(effect: &Effect) -> EffectView {
    EffectView {
        gains: effect.change == Change::Gain,
        network: effect.network.to_string(),
        source: effect.source.clone(),
        destination: effect.destination.clone(),
        flows: effect.flows.to_string(),
        devices: effect.devices as u64,
        cause: effect.cause.clone(),
        place: effect.origin.to_string(),
        text: effect.to_string(),
    }
}
