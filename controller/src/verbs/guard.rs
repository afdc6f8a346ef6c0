//! The verbs about what is between texts and their effect: plans, approvals, holds, confirmations.

use std::{fmt::Write, path::Path};

use anyhow::Context;
use horizon_api::{
    http::{
        ApproveDeviceRequest, ApproveRequest, ArmRequest, ChangeKind, Done, HeldPlan, HoldRequest, KeyView,
        ObjectReport, ObjectRequest, PlanAnswer, PlanRequest, ReleaseRequest, View,
    },
    problem::printable,
    resource::ObjectKey,
};
use horizon_node::failure::Failure;
use http::Method;
use jiff::Timestamp;
use serde::Serialize;

use super::ask;
use crate::args::{ApproveArgs, ArmArgs, ConfirmArgs, HoldArgs, PlanArgs, ReleaseArgs};

/// Prints what a change does.
///
/// # Errors
/// When no controller answers; [`Failure::Refused`] when something of it waits for a person.
pub async fn plan(args: PlanArgs) -> anyhow::Result<()> {
    let mut folders = Vec::new();
    for folder in &args.folders {
        let path = std::path::absolute(folder).with_context(|| format!("find {}", folder.display()))?;
        folders.push(path.to_string_lossy().into_owned());
    }
    let request = PlanRequest { folders };
    let answer: PlanAnswer =
        ask(&args.data.folder, Method::POST, "/v1/plan", Some(&request)).await?.json()?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    if args.json {
        println!("{}", serde_json::to_string(&answer)?);
    } else {
        print!("{}", plan_text(&answer));
    }
    match answer.held.as_slice() {
        [] => Ok(()),
        held => {
            let hashes: Vec<_> = held.iter().map(|plan| short(&plan.hash)).collect();
            let text = format!("a part waits for an approval: {}", hashes.join(", "));
            Err(Failure::Refused(text).into())
        }
    }
}

/// Lets a plan pass, or a device in.
///
/// # Errors
/// When no controller answers, or nothing of the kind waits.
pub async fn approve(args: ApproveArgs) -> anyhow::Result<()> {
    // No hash has a slash, and every object does.
    if !args.what.contains('/') {
        return done(&args.data.folder, "/v1/approve", &ApproveRequest { hash: args.what }).await;
    }
    let device = args.what.parse::<ObjectKey>().map_err(|e| Failure::Usage(format!("{}: {e}", args.what)))?;
    done(&args.data.folder, "/v1/approve-device", &ApproveDeviceRequest { device }).await
}

/// Holds an object.
///
/// # Errors
/// When no controller answers, or the object cannot be held.
pub async fn hold(args: HoldArgs) -> anyhow::Result<()> {
    let seconds = u64::from(args.time.as_seconds());
    let request = HoldRequest { object: args.object, reason: args.reason, seconds };
    done(&args.data.folder, "/v1/hold", &request).await
}

/// Ends a hold.
///
/// # Errors
/// When no controller answers, or nothing is held.
pub async fn release(args: ReleaseArgs) -> anyhow::Result<()> {
    done(&args.data.folder, "/v1/release", &ReleaseRequest { object: args.object }).await
}

/// Makes the next change provisional.
///
/// # Errors
/// When no controller answers, or a change waits already.
pub async fn arm(args: ArmArgs) -> anyhow::Result<()> {
    let within = u64::from(args.confirm_within.as_seconds());
    done(&args.data.folder, "/v1/arm", &ArmRequest { within }).await
}

/// Confirms the change.
///
/// # Errors
/// When no controller answers, or nothing waits.
pub async fn confirm(args: ConfirmArgs) -> anyhow::Result<()> {
    done(&args.data.folder, "/v1/confirm", &()).await
}

/// Prints everything about one object.
///
/// # Errors
/// When no controller answers, or there is no such object.
pub(super) async fn object(object: ObjectKey, data: &Path, json: bool) -> anyhow::Result<()> {
    let request = ObjectRequest { object };
    let report: ObjectReport = ask(data, Method::POST, "/v1/object", Some(&request)).await?.json()?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", object_text(&report));
    }
    Ok(())
}

pub(super) async fn done<B: Serialize + Sync>(data: &Path, path: &str, request: &B) -> anyhow::Result<()> {
    let done: Done = ask(data, Method::POST, path, Some(request)).await?.json()?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        println!("{} (revision {})", printable(&done.message), done.revision);
    }
    Ok(())
}

/// Returns what `status` says of it: nothing when nothing is out of the ordinary.
pub(super) fn text(view: &View) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    for plan in &view.plans {
        let _ = writeln!(text, "plan        {}", plan_line(plan));
    }
    if let Some(armed) = &view.armed {
        let _ = match (armed.revision, armed.revert_at) {
            (Some(revision), Some(at)) => writeln!(
                text,
                "armed       revision {revision} is taken back at {} unless `horizon-controller confirm` is run",
                moment(at)
            ),
            (Some(_) | None, Some(_) | None) => {
                writeln!(text, "armed       the next change must be confirmed within {} s", armed.within)
            }
        };
    }
    for hold in &view.holds {
        let _ = writeln!(
            text,
            "hold        {} by {} until {}: {}",
            hold.object,
            hold.by,
            until(hold.until),
            printable(&hold.reason)
        );
    }
    for stale in &view.stale {
        let _ = writeln!(
            text,
            "last good   {} ({}): {}: {}",
            stale.object,
            printable(&stale.place),
            stale.reason,
            printable(&stale.message)
        );
    }
    text
}

fn plan_text(answer: &PlanAnswer) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "against revision {}", answer.revision);
    if answer.objects.is_empty() {
        let _ = writeln!(text, "no object changes");
    }
    for change in &answer.objects {
        let word = match change.change {
            ChangeKind::Added => "added",
            ChangeKind::Changed => "changed",
            ChangeKind::Removed => "removed",
        };
        let _ = writeln!(text, "{word:<8} {} [{}]", change.object, printable(&change.place));
    }
    if answer.effects.is_empty() && !answer.objects.is_empty() {
        let _ = writeln!(text, "nobody gains or loses anything");
    }
    for effect in &answer.effects {
        let _ = writeln!(text, "{}", printable(&effect.text));
    }
    if answer.is_cut {
        let _ = writeln!(text, "more changes than is listed");
    }
    if !answer.drops.is_empty() {
        let names: Vec<_> = answer.drops.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "{} live links drop: {}", names.len(), names.join(", "));
    }
    for plan in &answer.held {
        let _ = writeln!(text, "waits    {}", plan_line(plan));
        for cause in &plan.causes {
            let _ = writeln!(text, "         {} [{}]", cause.object, printable(&cause.place));
        }
    }
    for problem in &answer.problems {
        let _ = writeln!(text, "{problem}");
    }
    text
}

fn plan_line(plan: &HeldPlan) -> String {
    let (hash, message) = (short(&plan.hash), printable(&plan.message));
    format!("{hash} {}: {message}; `horizon-controller approve {hash}` lets it pass", plan.breach)
}

fn object_text(report: &ObjectReport) -> String {
    let mut text = String::new();
    let ObjectReport { object, source, place, generation, conditions, gateways, key, owner: _, server } =
        report;
    let _ = writeln!(text, "object      {object}, generation {generation}");
    let _ = writeln!(text, "owner       {}, {}", printable(source), printable(place));
    for condition in conditions {
        let _ = writeln!(
            text,
            "{:<11} {:?} {}: {}",
            condition.kind,
            condition.status,
            condition.reason,
            printable(&condition.message)
        );
    }
    if let Some(key) = key {
        text.push_str(&key_text(key));
    }
    for word in gateways {
        let _ = writeln!(text, "gateway     {}: {}", word.server, printable(&word.word));
    }
    if let Some(server) = server {
        text.push_str(&super::server::text(server));
    }
    text
}

fn key_text(key: &KeyView) -> String {
    let of = key.max_uses.map(|max| format!(" of {max}")).unwrap_or_default();
    let last = key.last_use.as_ref().map_or_else(
        || ", never used".to_owned(),
        |last| {
            let from = if last.from.is_empty() { String::new() } else { format!(" from {}", last.from) };
            let by = if last.node.is_empty() { String::new() } else { format!(" by {}", last.node) };
            format!(", last at {}{from}{by}", moment(last.at))
        },
    );
    format!("uses        {}{of}{last}\n", key.uses)
}

fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

fn until(unix_ms: u64) -> String {
    if unix_ms == 0 { "it is released".into() } else { moment(unix_ms) }
}

pub(super) fn moment(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    at.unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}
