//! `create`, `update` and `patch`: decided against the newest snapshot, and decided again if somebody was faster.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::Response,
};
use horizon_machinery::{
    collection::Collection,
    definition::Definition,
    generate_name::is_worth_another_try,
    parameters::write::Write as Options,
    path::Target,
    refusal::Refusal,
    status,
    stored::{Stored, key},
    validate,
    write::{self, Effect, Request, Written, body::Body as Read},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Deed, answer, body,
    call::Call,
    caller::Caller,
    chance,
    keep::{Place, TRIES_MAX},
    shelf,
    show::{Show, parse},
    way::Way,
};
use crate::Shared;

/// # Errors
/// Whatever an API server refuses, in its words.
pub(super) async fn write(
    shared: &Shared,
    call: &Call,
    body: Body,
    caller: &Caller,
    target: &Target,
) -> Result<Response, Refusal> {
    let show = Show::agree(shared, call, target.resource)?;
    let definition = definition_of(target)?;
    let way = Way::of(call, target, definition)?;
    let options = Options::parse(&call.query, way.kind(), &call.header(header::USER_AGENT))?;
    let received = body::receive(&shared.desk, &call.headers, body).await?;
    let Read { value: body, duplicates } = way.read(call, &received.bytes, definition)?;
    let draft = Draft { definition, target, way, body, duplicates, options };
    let done = draft.carry_out(shared, caller).await?;
    let code = if done.effect == Effect::Create { StatusCode::CREATED } else { StatusCode::OK };
    let response = match &done.kept {
        Some(stored) => show.object(code, &stored.json())?,
        None => show.object(code, &done.object.to_string().into())?,
    };
    Ok(answer::with_warnings(response, &done.warnings))
}

/// Finds how objects of a kind are written; what is only read has no such thing.
pub(super) fn definition_of(target: &Target) -> Result<&'static Definition, Refusal> {
    let resource = target.resource;
    let refused = || status::method_not_allowed(&resource.group, &resource.plural, target.verb.as_str());
    Definition::of_resource(resource).ok_or_else(refused)
}

/// A write that is to be decided, as often as it must be.
struct Draft<'d> {
    definition: &'static Definition,
    target: &'d Target,
    way: Way,
    body: Value,
    duplicates: Vec<String>,
    options: Options,
}

/// A write that was decided against a snapshot.
struct Decided {
    written: Written,
    before: Option<Arc<Stored>>,
}

/// A write that was carried out.
struct Done {
    effect: Effect,
    object: Value,
    /// As it is on the shelf; a dry run and the end of an object leave nothing there.
    kept: Option<Arc<Stored>>,
    warnings: Vec<String>,
}

impl Draft<'_> {
    async fn carry_out(&self, shared: &Shared, caller: &Caller) -> Result<Done, Refusal> {
        let shelf = shelf::of(&shared.state.keeper, self.target.resource)?;
        let mut overtaken = None;
        for tries in 1..=TRIES_MAX {
            let snapshot = Arc::clone(&shelf.borrow());
            let Decided { mut written, before } = match self.decide(&snapshot) {
                Err(refusal) if is_worth_another_try(&self.body, &refusal, tries) => continue,
                decided => decided?,
            };
            let warnings = std::mem::take(&mut written.warnings);
            let Written { object, effect, .. } = written;
            let deed = match effect {
                Effect::Nothing => {
                    return Ok(Done { effect, object, kept: before, warnings });
                }
                Effect::Create | Effect::Update => Deed::Put(object.clone()),
                Effect::Delete => Deed::Delete,
            };
            let place = self.place(caller, &object);
            let expected = before.map(|before| before.version());
            if let Some(stored) = place.keep(&shared.state.keeper, expected, deed).await? {
                let is_kept = !self.options.is_dry_run && effect != Effect::Delete;
                return Ok(Done { effect, object, kept: is_kept.then_some(stored), warnings });
            }
            overtaken = Some(place.overtaken());
        }
        // The last try either returned or was overtaken.
        Err(overtaken.unwrap_or_else(|| status::too_many_requests(1)))
    }

    fn decide(&self, snapshot: &Collection) -> Result<Decided, Refusal> {
        let (uid, name_suffix) = (chance::uid()?, chance::name_suffix()?);
        let validate =
            |object: &Value, before: Option<&Value>| validate::causes(self.definition, object, before);
        let request = Request {
            definition: self.definition,
            namespace: &self.target.namespace,
            name: &self.target.name,
            part: self.target.part,
            change: self.way.change(&self.body, self.options.force),
            manager: &self.options.field_manager,
            field_validation: self.options.field_validation,
            duplicates: &self.duplicates,
            now: Timestamp::now(),
            uid: &uid,
            name_suffix: &name_suffix,
            validate: &validate,
        };
        let at = |namespace: &str, name: &str| snapshot.get(&key(namespace, name)).cloned();
        let mut before = at(&self.target.namespace, &self.target.name);
        if matches!(self.way, Way::Create) {
            // Its name is known when it is made.
            let written = write::write(&request, None)?;
            before = at(member(&written.object, "namespace"), member(&written.object, "name"));
            if before.is_none() {
                return Ok(self.decided(written, None, None));
            }
        }
        let stored = before.as_ref().map(|stored| parse(&stored.json())).transpose()?;
        let written = write::write(&request, stored.as_ref())?;
        Ok(self.decided(written, before, stored.as_ref()))
    }

    fn decided(&self, mut written: Written, before: Option<Arc<Stored>>, stored: Option<&Value>) -> Decided {
        let more = validate::warnings(self.definition, &written.object, stored);
        written.warnings.extend(more);
        Decided { written, before }
    }

    fn place<'p>(&'p self, caller: &'p Caller, object: &'p Value) -> Place<'p> {
        Place {
            resource: self.target.resource,
            namespace: member(object, "namespace"),
            name: member(object, "name"),
            by: &caller.subject,
            is_dry_run: self.options.is_dry_run,
        }
    }
}

fn member<'o>(object: &'o Value, name: &str) -> &'o str {
    object["metadata"][name].as_str().unwrap_or_default()
}
