//! What is wrong in the folder, at which place, and what to do. The rest of the folder is in force.

use horizon_api::{http::SourceView, problem::Problem};
use leptos::prelude::*;

use crate::{
    component::{Badge, Empty, Section},
    live::Live,
    model::{quantity::counted, standing},
};

#[component]
pub(crate) fn Problems() -> impl IntoView {
    let live = expect_context::<Live>();
    let count = Signal::derive(move || live.problems.with(Vec::len).to_string());
    let is_complete = Memo::new(move |_| {
        live.head
            .with(|head| head.as_ref().is_some_and(|head| head.sources.iter().all(|source| source.complete)))
    });
    let sources = move || live.head.get().map(|head| head.sources).unwrap_or_default();
    view! {
        <Section id="problems" title="Problems of the folder" count>
            <ul class="sources">{move || sources().into_iter().map(source).collect_view()}</ul>
            <Show
                when=move || !live.problems.with(Vec::is_empty)
                fallback=move || {
                    let text = move || {
                        if is_complete.get() { "Everything declared was accepted." } else { "None in what could be read." }
                    };
                    view! { <Empty testid="problems-empty" title="No problems">{text}</Empty> }
                }
            >
                <ul class="list">{move || live.problems.get().into_iter().map(problem).collect_view()}</ul>
            </Show>
        </Section>
    }
}

fn source(source: SourceView) -> impl IntoView {
    let (files, objects) =
        (counted(source.files as usize, "file"), counted(source.objects as usize, "object"));
    let incomplete = (!source.complete).then(|| {
        let text = format!("Not read in full: {} Nothing is removed until it is.", source.reason);
        view! { <span class="note" data-testid="incomplete">{text}</span> }
    });
    view! {
        <li data-testid="source">
            <span class="mono">{source.path}</span>
            <span class="muted">{format!("{files}, {objects}")}</span>
            {incomplete}
        </li>
    }
}

/// A problem with its place and what to do.
pub(super) fn problem(problem: Problem) -> impl IntoView {
    let place = format!("{}:{}:{}", problem.file, problem.line, problem.column);
    let object = problem.object.map(|object| object.to_string()).unwrap_or_default();
    let fix = (!problem.fix.is_empty()).then(|| view! { <p class="fix">{problem.fix}</p> });
    view! {
        <li data-testid="problem">
            <div class="line">
                <Badge standing=Signal::stored(standing::of_problem(problem.severity))/>
                <span class="mono place">{place}</span>
                <span class="muted">{object}</span>
                <span class="muted mono">{problem.path}</span>
            </div>
            <p>{problem.message}</p>
            {fix}
        </li>
    }
}
