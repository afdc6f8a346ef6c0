//! What is between texts and their effect, as the store keeps it: plans, texts taken back, a change to confirm.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use horizon_api::{resource::ObjectKey, section::ContentHash};
use horizon_planner::{
    compile::Compiled,
    hold::{Hold, Holds},
    plan::PlanHash,
};

use super::before::Before;
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
    pub(super) approved_by: Option<String>,
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
            let known = KnownPlan {
                breach: plan.breach,
                message: plan.message,
                held_at_ms: plan.held_at,
                approved_by: Some(plan.approved_by).filter(|by| !by.is_empty()),
            };
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
        let plans = self.plans.iter().map(|(hash, plan)| store::Plan {
            hash: hash.as_bytes().to_vec(),
            breach: plan.breach.clone(),
            message: plan.message.clone(),
            held_at: plan.held_at_ms,
            approved_by: plan.approved_by.clone().unwrap_or_default(),
        });
        let reverted = self.reverted.iter().map(|(object, text)| store::Reverted {
            object: object.to_string(),
            text: text.as_bytes().to_vec(),
        });
        Ok(store::Guard {
            plans: plans.collect(),
            reverted: reverted.collect(),
            armed: self.armed.as_ref().map(Armed::to_stored).transpose()?,
        })
    }

    pub(super) fn approved(&self) -> BTreeSet<PlanHash> {
        self.plans.iter().filter(|(_, plan)| plan.approved_by.is_some()).map(|(hash, _)| *hash).collect()
    }

    /// Returns what there is once a compilation is in force: what it holds back, and what is still taken back.
    /// An approval that it made use of is spent.
    pub(super) fn after(&self, compiled: &Compiled, now_ms: i64) -> Self {
        let plans = compiled.plans.iter().map(|plan| {
            let held_at_ms = self.plans.get(&plan.hash).map_or(now_ms, |known| known.held_at_ms);
            let (breach, message) = (plan.breach.as_str().to_owned(), plan.message.clone());
            (plan.hash, KnownPlan { breach, message, held_at_ms, approved_by: None })
        });
        Self { plans: plans.collect(), reverted: compiled.reverted.clone(), armed: self.armed.clone() }
    }

    pub(super) fn provisional(&self) -> Option<&Provisional> {
        self.armed.as_ref()?.provisional.as_ref()
    }
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
