//! What an operator says over the texts: let a plan pass, hold an object, release it, ask about one.

use horizon_api::{
    http::{
        ApiError, ApproveRequest, Done, GatewayWord, HoldRequest, ObjectReport, OwnerKind, ReleaseRequest,
    },
    resource::{Kind, ObjectKey},
};
use horizon_api_server::Refusal;
use horizon_node::clock;
use horizon_planner::{
    compile::{API_SOURCE, is_login},
    hold::{self, Hold},
    manifest::Origin,
    plan::{Breach, Plan},
    status::{self, Answer},
};
use serde_json::{Value as Json, json};
use tracing::error;

use super::{
    Reconciler,
    enrol::CANNOT_WRITE,
    guard::{self, Approval, Guard, KnownPlan},
};
use crate::store::{self, AuditEntry};

/// Who speaks through the socket of the host.
pub(super) const OPERATOR: &str = "operator";
/// Longer than that is a change of the text, not a hold.
pub(super) const HOLD_MAX_S: u64 = 90 * 24 * 3600;

impl Reconciler {
    /// Lets a plan pass that waits. The approval is for its content: another content has another hash.
    pub(super) async fn approve(&mut self, request: &ApproveRequest) -> Result<Done, Refusal> {
        self.check_read()?;
        let plan = self.waiting_plan(&request.hash)?;
        let mut guard = self.state.guard.clone();
        if plan.breach == Breach::Reverted {
            guard.reverted.retain(|key, _| !plan.causes.contains_key(key));
        }
        let known = KnownPlan {
            breach: plan.breach.as_str().to_owned(),
            message: plan.message.clone(),
            held_at_ms: guard.plans.get(&plan.hash).map_or_else(clock::unix_ms, |known| known.held_at_ms),
            approval: Some(Approval { by: OPERATOR.to_owned(), texts: self.state.said(plan.causes.keys()) }),
        };
        guard.plans.insert(plan.hash, known);
        let objects: Vec<_> = plan.causes.keys().map(ToString::to_string).collect();
        let detail = json!({ "hash": plan.hash.to_string(), "message": plan.message, "objects": objects });
        self.set_guard(guard, vec![], audit("approve", "", detail)).await?;
        self.recompile_or_log("approve").await;
        self.check_committed()?;
        Ok(self.done(match guard::still_waits(&self.state.compiled.plans, &plan) {
            None => format!("approved: {}", plan.message),
            Some(other) => {
                let (passed, other) = (&plan.message, other.sentence());
                format!("noted: {passed}; the same objects wait for another approval: {other}")
            }
        }))
    }

    fn waiting_plan(&self, hash: &str) -> Result<Plan, Refusal> {
        let plans = &self.state.compiled.plans;
        for plan in plans {
            match plan.hash.is_named_by(hash) {
                Ok(true) => return Ok(plan.clone()),
                Ok(false) => {}
                Err(error) => {
                    return Err(Refusal::Invalid(ApiError::new(
                        "NoHash",
                        error.to_string(),
                        "copy it from `horizon-controller plan`",
                    )));
                }
            }
        }
        let waiting: Vec<_> =
            plans.iter().map(|plan| format!("{} ({})", plan.hash.short(), plan.message)).collect();
        let hint = if waiting.is_empty() {
            "nothing waits for an approval".to_owned()
        } else {
            format!(
                "look at it again with `horizon-controller plan`; what waits now is {}",
                waiting.join(", ")
            )
        };
        let message = format!("no plan that waits has the hash {hash}");
        Err(Refusal::Conflict(ApiError::new("OutdatedPlan", message, hint)))
    }

    /// Takes an object out of force until a moment.
    pub(super) async fn hold(&mut self, request: HoldRequest) -> Result<Done, Refusal> {
        let HoldRequest { object: key, reason, seconds } = request;
        let Some(object) = self.state.committed.get(&key) else { return Err(self.missing(&key)) };
        hold::check(&key, &object.spec).map_err(|error| {
            let hint = "change its manifest, or hold what allows";
            Refusal::Conflict(ApiError::new("CannotHold", error.to_string(), hint))
        })?;
        if reason.trim().is_empty() || reason.chars().count() > 256 {
            let message = "a hold says why, in 256 characters at most";
            return Err(Refusal::Invalid(ApiError::new("Reason", message, "give --reason")));
        }
        if seconds == 0 || seconds > HOLD_MAX_S {
            let message = "a hold lasts between 1 s and 90 days";
            return Err(Refusal::Invalid(ApiError::new("Range", message, "give --for, such as 2h")));
        }
        let now_ms = clock::unix_ms();
        let until = now_ms / 1000 + i64::try_from(seconds).unwrap_or(i64::MAX / 2);
        let hold = Hold { reason, until, by: OPERATOR.to_owned() };
        let entry = audit("hold", &key.to_string(), json!({ "reason": hold.reason, "until": until * 1000 }));
        let sentence = hold.sentence();
        self.put_hold(key.clone(), hold, entry).await.map_err(|error| refuse_write(&error))?;
        self.recompile_or_log("hold").await;
        self.check_committed()?;
        Ok(self.done(format!("{key} is {sentence}")))
    }

    /// Takes an object out of force from the next compilation on.
    pub(super) async fn put_hold(
        &mut self,
        key: ObjectKey,
        hold: Hold,
        entry: AuditEntry,
    ) -> Result<(), store::StoreError> {
        let row = store::Hold {
            object: key.to_string(),
            reason: hold.reason.clone(),
            by: hold.by.clone(),
            at: entry.at,
            until: hold.until * 1000,
        };
        self.store.hold(row, entry).await?;
        self.state.holds.insert(key, hold);
        Ok(())
    }

    /// Ends a hold before its time.
    pub(super) async fn release(&mut self, request: &ReleaseRequest) -> Result<Done, Refusal> {
        let key = &request.object;
        if !self.state.holds.contains_key(key) {
            let message = format!("{key} is not held");
            let held: Vec<_> = self.state.holds.keys().map(ToString::to_string).collect();
            let hint = if held.is_empty() {
                "nothing is".to_owned()
            } else {
                format!("held are {}", held.join(", "))
            };
            return Err(Refusal::Missing(ApiError::new("NotHeld", message, hint)));
        }
        let entry = audit("release", &key.to_string(), json!({}));
        self.store.end_hold(key.to_string(), entry).await.map_err(|error| refuse_write(&error))?;
        let hold = self.state.holds.remove(key);
        if let Some(hold) = hold {
            self.server_released(key, &hold).await;
        }
        self.recompile_or_log("release").await;
        self.check_committed()?;
        Ok(self.done(format!("{key} is held no more")))
    }

    /// Forgets the holds that are over; the compiler does not heed them already.
    pub(super) async fn end_holds(&mut self) {
        let now = clock::unix_s();
        let over: Vec<_> = self
            .state
            .holds
            .iter()
            .filter(|(_, hold)| !hold.is_active(now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            let entry = AuditEntry {
                actor: "controller".into(),
                ..audit("release", &key.to_string(), json!({ "reason": "its time is over" }))
            };
            match self.store.end_hold(key.to_string(), entry).await {
                Ok(()) => drop(self.state.holds.remove(&key)),
                Err(error) => error!(%error, "a hold that is over is not forgotten yet"),
            }
        }
    }

    /// Says everything that is known about one object.
    pub(super) fn object(&self, key: &ObjectKey) -> Result<ObjectReport, Refusal> {
        let Some(object) = self.state.committed.get(key) else { return self.object_kept_out(key) };
        let reports = self.state.gateway_reports();
        let answers = status::answers(&self.state.compiled, self.state.progress(&reports), key);
        let words = answers.into_iter().map(|(server, answer)| {
            let is_away = reports.get(&server).is_some_and(|report| !report.is_connected);
            let word = match answer {
                None => "never connected".to_owned(),
                Some(Answer::Pending) => "not applied yet".to_owned(),
                Some(Answer::Applied) => "applied".to_owned(),
                Some(Answer::Refused(nack)) => format!("refused: {}", nack.reason),
            };
            GatewayWord { server, word: if is_away { format!("away; last: {word}") } else { word } }
        });
        Ok(ObjectReport {
            object: key.clone(),
            source: object.owner.source.to_string(),
            owner: owner_kind(&object.owner.source, &object.owner.origin),
            place: object.owner.origin.to_string(),
            generation: object.generation,
            conditions: self.state.ledger.get(key).map(|entry| entry.conditions.to_vec()).unwrap_or_default(),
            gateways: words.collect(),
            server: (key.kind == Kind::Server).then(|| self.state.server_report(key)),
            key: self.state.key_view(key),
        })
    }

    /// What a client wrote may wait for its turn.
    fn object_kept_out(&self, key: &ObjectKey) -> Result<ObjectReport, Refusal> {
        let Some(manifest) = self.state.api_objects.get(key) else { return Err(self.missing(key)) };
        Ok(ObjectReport {
            object: key.clone(),
            source: API_SOURCE.to_owned(),
            owner: owner_kind(API_SOURCE, &manifest.origin),
            place: manifest.origin.to_string(),
            generation: self.state.api_generations.get(key).copied().unwrap_or(0),
            conditions: self.state.waiting_conditions(key).to_vec(),
            gateways: vec![],
            server: None,
            key: None,
        })
    }

    pub(super) fn done(&self, message: String) -> Done {
        Done { message, revision: self.state.version.revision }
    }

    pub(super) fn check_read(&self) -> Result<(), Refusal> {
        if self.state.has_read_all {
            return Ok(());
        }
        let message = "the controller has not read its manifests yet";
        let hint = "try again in a moment; `horizon-controller status` says which folder is not read";
        Err(Refusal::Unavailable(ApiError::new("NotReady", message, hint)))
    }

    pub(super) fn check_committed(&self) -> Result<(), Refusal> {
        if self.state.stalled.is_some() { Err(cannot_write()) } else { Ok(()) }
    }

    /// Writes down which plans wait when no revision does.
    pub(super) async fn keep_guard(&mut self, guard: Guard) -> anyhow::Result<()> {
        if guard != self.state.guard {
            let new = guard.plans.iter().filter(|(hash, _)| !self.state.guard.plans.contains_key(*hash));
            let audits = new.map(|(hash, plan)| AuditEntry {
                actor: "reconciler".into(),
                ..audit("hold-back", "", json!({ "hash": hash.to_string(), "message": plan.message }))
            });
            self.store.set_guard(guard.to_stored()?, vec![], audits.collect()).await?;
            self.state.guard = guard;
        }
        Ok(())
    }
}

fn owner_kind(source: &str, origin: &Origin) -> OwnerKind {
    if source != API_SOURCE {
        OwnerKind::Source
    } else if is_login(source, origin) {
        OwnerKind::Login
    } else {
        OwnerKind::Client
    }
}

/// An entry of the audit log for what an operator did.
pub(super) fn audit(action: &str, object: &str, detail: Json) -> AuditEntry {
    AuditEntry {
        at: clock::unix_ms(),
        actor: OPERATOR.into(),
        action: action.into(),
        object: object.into(),
        detail,
    }
}

pub(super) fn cannot_write() -> Refusal {
    Refusal::Unavailable(ApiError::new("Unavailable", CANNOT_WRITE, "try again; see the controller's log"))
}

fn refuse_write(error: &store::StoreError) -> Refusal {
    error!(%error, "the store refuses what an operator says");
    cannot_write()
}
