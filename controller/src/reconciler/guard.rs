//! What is between texts and their effect, as the store keeps it: plans, texts taken back, a change to confirm.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use horizon_api::{resource::ObjectKey, section::ContentHash};
use horizon_planner::{
    compile::Compiled,
    hold::{Hold, Holds},
    plan::{Plan, PlanHash},
};

use super::{before::Before, state::State};
use crate::store;

#[derive(Clone, Default, PartialEq)]
pub(super) struct Guard {
    pub(super) plans: BTreeMap<PlanHash, KnownPlan>,
    pub(super) reverted: BTreeMap<ObjectKey, ContentHash>,
    pub(super) armed: Option<Armed>,
}

/// A plan that was seen, whether approved or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownPlan {
    pub(super) breach: String,
    pub(super) message: String,
    pub(super) held_at_ms: i64,
    pub(super) approval: Option<Approval>,
}

/// What a person let pass: these objects, as long as their texts say what they said then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Approval {
    pub(super) by: String,
    pub(super) texts: BTreeMap<ObjectKey, ContentHash>,
}

/// The next change must be confirmed, or the one in force.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Armed {
    pub(super) by: String,
    pub(super) at_ms: i64,
    pub(super) within_ms: i64,
    pub(super) provisional: Option<Provisional>,
}

/// A change that is taken back unless somebody confirms it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Provisional {
    pub(super) revision: u64,
    pub(super) revert_at_ms: i64,
    pub(super) before: Before,
}

impl Guard {
    pub(super) fn from_stored(stored: store::Guard) -> anyhow::Result<Self> {
        let plans = stored.plans.into_iter().map(|plan| {
            let hash: [u8; 32] = plan.hash.as_slice().try_into().context("read the hash of a plan")?;
            let approval = Approval::from_stored(plan.approved_by, &plan.texts)?;
            let (breach, message, held_at_ms) = (plan.breach, plan.message, plan.held_at);
            let known = KnownPlan { breach, message, held_at_ms, approval };
            Ok((PlanHash::from_bytes(hash), known))
        });
        let reverted = stored.reverted.into_iter().map(|reverted| {
            let text: [u8; 32] = reverted.text.as_slice().try_into().context("read the hash of a text")?;
            Ok((reverted.object.parse()?, ContentHash::from_bytes(text)))
        });
        Ok(Self {
            plans: plans.collect::<anyhow::Result<_>>()?,
            reverted: reverted.collect::<anyhow::Result<_>>()?,
            armed: stored.armed.map(Armed::from_stored).transpose()?,
        })
    }

    pub(super) fn to_stored(&self) -> anyhow::Result<store::Guard> {
        let plans = self.plans.iter().map(|(hash, plan)| {
            let texts = plan.approval.as_ref().map(|approval| serde_json::to_string(&approval.texts));
            Ok(store::Plan {
                hash: hash.as_bytes().to_vec(),
                breach: plan.breach.clone(),
                message: plan.message.clone(),
                held_at: plan.held_at_ms,
                approved_by: plan.approval.as_ref().map(|approval| approval.by.clone()).unwrap_or_default(),
                texts: texts.transpose()?.unwrap_or_default(),
            })
        });
        let reverted = self.reverted.iter().map(|(object, text)| store::Reverted {
            object: object.to_string(),
            text: text.as_bytes().to_vec(),
        });
        Ok(store::Guard {
            plans: plans.collect::<anyhow::Result<_>>()?,
            reverted: reverted.collect(),
            armed: self.armed.as_ref().map(Armed::to_stored).transpose()?,
        })
    }

    pub(super) fn approved(&self) -> BTreeSet<PlanHash> {
        self.plans.iter().filter(|(_, plan)| plan.approval.is_some()).map(|(hash, _)| *hash).collect()
    }

    /// Returns what there is once a compilation is in force: what it holds back, and what is still taken back.
    /// An approval stays until all that it is for is in force, which may take another one for the same objects.
    pub(super) fn after(state: &State, compiled: &Compiled, now_ms: i64) -> Self {
        let old = &state.guard;
        let waiting = compiled.plans.iter().map(|plan| {
            let held_at_ms = old.plans.get(&plan.hash).map_or(now_ms, |known| known.held_at_ms);
            let (breach, message) = (plan.breach.as_str().to_owned(), plan.message.clone());
            (plan.hash, KnownPlan { breach, message, held_at_ms, approval: None })
        });
        let is_needed = |approval: &Approval| {
            let waits = |key| compiled.objects.get(key).is_some_and(|object| object.stale.is_some());
            approval.texts.keys().any(waits) && state.said(approval.texts.keys()) == approval.texts
        };
        let approved = old.plans.iter().filter(|(_, plan)| plan.approval.as_ref().is_some_and(is_needed));
        let approved = approved.map(|(hash, plan)| (*hash, plan.clone()));
        Self {
            plans: waiting.chain(approved).collect(),
            reverted: compiled.reverted.clone(),
            armed: old.armed.clone(),
        }
    }

    pub(super) fn provisional(&self) -> Option<&Provisional> {
        self.armed.as_ref()?.provisional.as_ref()
    }
}

impl Approval {
    fn from_stored(by: String, texts: &str) -> anyhow::Result<Option<Self>> {
        if by.is_empty() {
            return Ok(None);
        }
        // One of a version that did not keep the texts is spent.
        let texts = if texts.is_empty() { "{}" } else { texts };
        Ok(Some(Self { by, texts: serde_json::from_str(texts).context("read what was approved")? }))
    }
}

/// Returns a plan that keeps back what another one would have let pass.
pub(super) fn still_waits<'a>(plans: &'a [Plan], passed: &Plan) -> Option<&'a Plan> {
    plans.iter().find(|plan| plan.causes.keys().any(|key| passed.causes.contains_key(key)))
}

impl Armed {
    fn from_stored(stored: store::Armed) -> anyhow::Result<Self> {
        let revision = u64::try_from(stored.revision).unwrap_or(0);
        let provisional = if revision == 0 {
            None
        } else {
            let before = serde_json::from_str(&stored.before).context("read what was in force before")?;
            Some(Provisional { revision, revert_at_ms: stored.revert_at, before })
        };
        Ok(Self { by: stored.by, at_ms: stored.at, within_ms: stored.within, provisional })
    }

    fn to_stored(&self) -> anyhow::Result<store::Armed> {
        let provisional = self.provisional.as_ref();
        Ok(store::Armed {
            by: self.by.clone(),
            at: self.at_ms,
            within: self.within_ms,
            revision: provisional.map_or(Ok(0), |provisional| i64::try_from(provisional.revision))?,
            revert_at: provisional.map_or(0, |provisional| provisional.revert_at_ms),
            before: match provisional {
                Some(provisional) => serde_json::to_string(&provisional.before)?,
                None => String::new(),
            },
        })
    }
}

/// Reads the holds of the store.
pub(super) fn holds(stored: Vec<store::Hold>) -> anyhow::Result<Holds> {
    let holds = stored.into_iter().map(|hold| {
        let key = hold.object.parse().context("read a hold")?;
        Ok((key, Hold { reason: hold.reason, until: hold.until / 1000, by: hold.by }))
    });
    holds.collect()
}
