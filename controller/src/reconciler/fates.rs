//! What clients of the resource API wrote, and what they are told of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use horizon_api::{
    condition::Condition,
    problem::Problem,
    resource::{AdminRole, AdminSpec, DEFAULT_NAMESPACE, Kind, ObjectKey, ResourceSpec},
};
use horizon_api_server::{Admin, Admins, Counts};
use horizon_node::clock;
use horizon_planner::plan::{Breach, Plan};

use super::{Reconciler, cluster::problems_of_cluster, ledger::Entry, state::State, verb::OPERATOR};
use crate::fate::{ApiChanges, Fate, Fates, InForce, Waiting};

/// Why an object is kept out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WaitingFor {
    reason: String,
    message: String,
}

const NOT_LOOKED_AT: &str = "no revision has taken it in yet";

impl Reconciler {
    /// Takes in what clients wrote.
    pub(super) async fn change_api_objects(&mut self, changes: ApiChanges) {
        let ApiChanges { objects, by } = changes;
        for (key, object) in objects {
            self.state.untold.insert(key.clone());
            // Whoever is removed by somebody else did not do it to themselves.
            if by.as_ref() != Some(&key) {
                self.state.callers.remove(&key);
            }
            match object {
                None => self.state.forget_api_object(&key),
                Some(object) => {
                    let known = self.state.ledger.get(&key);
                    if known.is_some_and(|known| known.uid != object.uid) {
                        // A folder or a login was faster; the registry hears of what there is.
                        continue;
                    }
                    let entry = Entry::new(object.uid, object.created_at_ms);
                    self.state.ledger.entry(key.clone()).or_insert(entry);
                    self.state.written_generations.insert(key.clone(), object.generation);
                    self.state.api_objects.insert(key, Arc::new(object.manifest));
                }
            }
        }
        self.state.callers.extend(by);
        self.recompile_or_log("api").await;
    }

    /// Tells the resource API who may do what.
    pub(super) fn publish_admins(&self) {
        let admins = Arc::new(self.state.admins(clock::unix_s()));
        self.admins.send_if_modified(|known| {
            let is_other = *known != admins;
            *known = admins;
            is_other
        });
    }
}

impl State {
    fn forget_api_object(&mut self, key: &ObjectKey) {
        self.api_objects.remove(key);
        self.api_generations.remove(key);
        self.written_generations.remove(key);
        if !self.committed.contains_key(key) {
            self.ledger.remove(key);
        }
    }

    /// Forgets who made changes, but for those whose change waits because of that.
    pub(super) fn keep_callers(&mut self) {
        let own_ways = self.compiled.plans.iter().filter(|plan| plan.breach == Breach::OwnWay);
        let waiting: BTreeSet<&ObjectKey> = own_ways.flat_map(|plan| plan.causes.keys()).collect();
        self.callers.retain(|caller| waiting.contains(caller));
    }

    /// What clients wrote was looked at.
    pub(super) fn adopt_generations(&mut self) {
        self.api_generations.extend(std::mem::take(&mut self.written_generations));
    }

    /// What is kept out may be so for another reason than before.
    pub(super) fn tell_waiting(&mut self) {
        let plans =
            self.compiled.plans.iter().flat_map(|plan| plan.causes.keys().map(move |key| (key, plan)));
        let plans: BTreeMap<&ObjectKey, &Plan> = plans.collect();
        let mut problems: BTreeMap<&ObjectKey, &Problem> = BTreeMap::new();
        for problem in self.compiled.problems.iter().filter(|problem| problem.is_error()) {
            if let Some(key) = &problem.object {
                problems.entry(key).or_insert(problem);
            }
        }
        let kept_out = self.api_objects.keys().filter(|key| !self.committed.contains_key(*key));
        let words = kept_out.map(|key| {
            let word = self.reason(plans.get(key).copied(), problems.get(key).copied());
            (key.clone(), word)
        });
        let mut waiting: BTreeMap<_, _> = words.collect();
        let problems = problems_of_cluster(&self.compiled.problems);
        for key in self.kept_out_of_cluster() {
            let word = self.reason(plans.get(key).copied(), problems.get(key).copied());
            waiting.insert(key.clone(), word);
        }
        let news = waiting.iter().filter(|(key, word)| self.waiting.get(*key) != Some(*word));
        self.untold.extend(news.map(|(key, _)| key.clone()));
        self.waiting = waiting;
    }

    /// Says why an object is kept out.
    fn reason(&self, plan: Option<&Plan>, problem: Option<&Problem>) -> WaitingFor {
        let (reason, message) = match (plan, problem) {
            (Some(plan), _) => {
                let hash = plan.hash;
                let message = format!("{}; `horizon-controller approve {hash}` lets it pass", plan.message);
                ("AwaitingApproval", message)
            }
            (None, Some(problem)) => {
                let message = format!("{} {}", problem.path, problem.sentence());
                (problem.code.as_str(), message.trim_start().to_owned())
            }
            (None, None) => ("Pending", NOT_LOOKED_AT.to_owned()),
        };
        WaitingFor { reason: reason.to_owned(), message }
    }

    /// Returns the newest word about everything of which it was not told.
    pub(super) fn take_fates(&mut self) -> Fates {
        let untold = self.untold.take_for_registry();
        untold.into_iter().map(|key| (key.clone(), self.fate(&key))).collect()
    }

    pub(super) fn fate(&self, key: &ObjectKey) -> Fate {
        let observed = self.api_generations.get(key).copied();
        let entry = self.ledger.get(key);
        if let (Some(object), Some(entry)) = (self.committed.get(key), entry) {
            let Entry { uid, created_at_ms, revision, conditions } = entry.clone();
            let object = Arc::clone(object);
            return Fate::InForce(Box::new(InForce {
                object,
                uid,
                created_at_ms,
                revision,
                conditions,
                observed,
            }));
        }
        match entry.filter(|_| self.api_objects.contains_key(key)) {
            Some(entry) => {
                let conditions = self.waiting_conditions(key);
                Fate::Waiting(Waiting { uid: entry.uid.clone(), observed, conditions })
            }
            None => Fate::Gone,
        }
    }

    pub(super) fn waiting_conditions(&self, key: &ObjectKey) -> Arc<[Condition]> {
        let now = clock::unix_s();
        let (reason, message) = match (self.waiting.get(key), &self.stalled) {
            (Some(word), _) => (word.reason.as_str(), word.message.as_str()),
            (None, Some(why)) => ("Pending", why.as_str()),
            (None, None) => ("Pending", NOT_LOOKED_AT),
        };
        ["Accepted", "Ready"].map(|kind| Condition::fails(kind, reason, message, now)).into()
    }

    /// Counts what tables show of keys and networks.
    pub(super) fn counts(&self) -> Counts {
        let uses = self.facts.uses.iter().map(|(key, uses)| (key.clone(), u64::from(*uses)));
        let mut allocated = BTreeMap::new();
        for (network, _, addresses) in self.allocations.iter() {
            if let Some((namespace, name)) = network.as_str().split_once('/') {
                let count = u64::try_from(addresses.len()).unwrap_or(u64::MAX);
                *allocated.entry(ObjectKey::new(Kind::Network, namespace, name)).or_default() += count;
            }
        }
        Counts { uses: uses.collect(), last_uses: self.last_uses_of_keys(), allocated }
    }

    /// Returns the Admins in force who may sign in, and the operator of the host.
    fn admins(&self, now: i64) -> Admins {
        let operator = Admin { key: None, uid: String::new(), role: AdminRole::Owner, namespace: None };
        let first = ObjectKey::new(Kind::Admin, "", "");
        let objects = self.committed.range(first..).take_while(|(key, _)| key.kind == Kind::Admin);
        let declared = objects.filter_map(|(key, object)| {
            let ResourceSpec::Admin(spec) = &object.spec else { return None };
            let is_held = self.holds.get(key).is_some_and(|hold| hold.is_active(now));
            let uid = self.ledger.get(key)?.uid.as_str();
            (is_enabled(spec, now) && !is_held).then(|| (subject(key), admin(key, uid, spec)))
        });
        [(OPERATOR.to_owned(), operator)].into_iter().chain(declared).collect()
    }
}

fn admin(key: &ObjectKey, uid: &str, spec: &AdminSpec) -> Admin {
    // The Admins of this namespace govern every other.
    let governs_all = key.namespace == DEFAULT_NAMESPACE;
    let namespace = (!governs_all).then(|| key.namespace.to_string());
    Admin { key: Some(key.clone()), uid: uid.to_owned(), role: spec.role, namespace }
}

/// Returns how tokens name an Admin.
pub(super) fn subject(key: &ObjectKey) -> String {
    format!("{}/{}", key.namespace, key.name)
}

fn is_enabled(spec: &AdminSpec, now: i64) -> bool {
    !spec.disabled && spec.expires_at.is_none_or(|end| end.as_second() > now)
}
