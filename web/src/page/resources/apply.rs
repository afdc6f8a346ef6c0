//! Applying a text: each of its documents by itself, and what the controller says to each.

use horizon_api::{problem::Problem, resource::ObjectKey};
use leptos::{prelude::*, task::spawn_local};

use super::editor::Verdict;
use crate::{
    component::Badge,
    live::{
        CallError, Link, Live,
        resources::{Applied, Caller},
    },
    model::{
        documents::{Document, documents},
        standing::Tone,
    },
};

/// What came of a document.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    document: Document,
    answer: Result<Applied, CallError>,
}

#[component]
pub(super) fn Apply(
    text: RwSignal<String>,
    verdict: RwSignal<Option<Verdict>>,
    written: RwSignal<u32>,
    applied: impl Fn(Vec<ObjectKey>) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let (caller, live) = (expect_context::<Caller>(), expect_context::<Live>());
    let outcomes = RwSignal::new(Vec::<Outcome>::new());
    let is_busy = RwSignal::new(false);
    let ready = move || verdict.with(|verdict| text.with(|text| ready(text, verdict.as_ref())));
    Effect::new(move |_| {
        written.track();
        outcomes.set(vec![]);
    });
    let run = move |documents: Vec<Document>, takes_over: bool| {
        is_busy.set(true);
        spawn_local(async move {
            let mut now = vec![];
            for document in documents {
                let answer = caller.apply(&document.object, document.text.clone(), takes_over).await;
                now.push(Outcome { document, answer });
            }
            if is_busy.try_set(false).is_some() {
                return;
            }
            if now.iter().any(|outcome| outcome.answer == Err(CallError::SignedOut)) {
                live.link.set(Link::SignedOut);
            }
            let is_quiet =
                now.iter().all(|outcome| outcome.answer.as_ref().is_ok_and(|done| done.warnings.is_empty()));
            let keys = now.iter().map(|outcome| outcome.document.object.clone()).collect();
            outcomes.update(|outcomes| {
                outcomes.retain(|old| now.iter().all(|new| new.document.object != old.document.object));
                outcomes.extend(now);
            });
            if is_quiet {
                applied(keys);
            }
        });
    };
    let apply = move |_| {
        if let Ok(documents) = untrack(ready) {
            outcomes.set(vec![]);
            run(documents, false);
        }
    };
    let why_not = move || ready().err();
    view! {
        <div class="line actions">
            <button
                type="button"
                class="main"
                data-testid="apply"
                disabled=move || is_busy.get() || ready().is_err()
                on:click=apply
            >
                {move || if is_busy.get() { "Applying…" } else { "Apply" }}
            </button>
            <span class="muted" data-testid="why-not">{why_not}</span>
        </div>
        <ul class="list" role="status" aria-live="polite">
            {move || {
                let take_over = move |document: Document| run(vec![document], true);
                let item = |outcome| view! { <Item outcome take_over/> };
                outcomes.get().into_iter().map(item).collect_view()
            }}
        </ul>
    }
}

/// Returns what can be applied, or why nothing can.
fn ready(text: &str, verdict: Option<&Verdict>) -> Result<Vec<Document>, String> {
    let Some(Verdict { of, answer: Ok(answer) }) = verdict else { return Err(String::new()) };
    if of != text {
        return Err(String::new());
    }
    if answer.problems.iter().any(Problem::is_error) {
        return Err("What has a problem is not applied.".to_owned());
    }
    match documents(text, &answer.objects) {
        Ok(documents) if documents.is_empty() => Err("There is nothing to apply.".to_owned()),
        documents => documents,
    }
}

#[component]
fn Item(outcome: Outcome, take_over: impl Fn(Document) + Copy + Send + 'static) -> impl IntoView {
    let Outcome { document, answer } = outcome;
    let object = document.object.to_string();
    let (standing, text) = match &answer {
        Ok(Applied { is_new: true, .. }) => ((Tone::Good, "Created"), String::new()),
        Ok(Applied { is_new: false, .. }) => ((Tone::Good, "Applied"), String::new()),
        Err(error) => ((Tone::Bad, "Refused"), error.to_string()),
    };
    let said: Vec<_> = match &answer {
        Ok(applied) => applied.warnings.iter().map(|text| (String::new(), text.clone())).collect(),
        Err(CallError::Status(refusal)) => {
            refusal.causes.iter().map(|cause| (cause.field.clone(), cause.message.clone())).collect()
        }
        Err(CallError::Unreachable | CallError::SignedOut | CallError::Refused(_)) => vec![],
    };
    let said = said.into_iter().map(|(field, text)| {
        view! { <p class="cause"><span class="mono">{field}</span>" "{text}</p> }
    });
    let can_take_over = matches!(&answer, Err(CallError::Status(refusal)) if refusal.can_take_over());
    let take_over = can_take_over.then(|| {
        view! {
            <p class="line">
                <button type="button" data-testid="take-over" on:click=move |_| take_over(document.clone())>
                    "Take over these fields"
                </button>
                <span class="muted">"Then they are yours, and the others lose them."</span>
            </p>
        }
    });
    view! {
        <li data-testid="outcome">
            <div class="line">
                <Badge standing=Signal::stored(standing)/>
                <span class="name">{object}</span>
            </div>
            <p>{text}</p>
            {said.collect_view()}
            {take_over}
        </li>
    }
}
