//! An editor for the text of objects: the verdict on it follows, each problem at its line.

use horizon_api::{
    http::CheckAnswer,
    problem::{Problem, Severity},
    resource::ObjectKey,
};
use leptos::{html::Textarea, prelude::*, task::spawn_local};

use super::apply::Apply;
use crate::{
    component::{Badge, CopyButton},
    live::{
        CallError,
        resources::{Caller, DEBOUNCE},
    },
    model::{quantity::counted, standing},
};

/// The verdict on a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub of: String,
    pub answer: Result<CheckAnswer, CallError>,
}

/// `applied` is told when everything in the text was applied and there is nothing to say about it.
#[component]
pub(super) fn Editor(
    text: RwSignal<String>,
    is_cluster: Memo<bool>,
    applied: impl Fn(Vec<ObjectKey>) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let verdict = verdict(text);
    let area = NodeRef::<Textarea>::new();
    // How often somebody has written: what was said about the text before is out of date then.
    let written = RwSignal::new(0_u32);
    let write = move |typed: String| {
        text.set(typed);
        written.update(|written| *written += 1);
    };
    let problems = Memo::new(move |_| match verdict.get() {
        Some(Verdict { answer: Ok(answer), .. }) => answer.problems,
        Some(Verdict { answer: Err(_), .. }) | None => vec![],
    });
    view! {
        <div class="editor">
            <Numbers text problems/>
            <textarea
                node_ref=area
                class="mono"
                aria-label="YAML"
                aria-describedby="verdict"
                spellcheck="false"
                autocapitalize="off"
                autocomplete="off"
                wrap="off"
                data-testid="editor"
                rows=move || text.with(|text| text.split('\n').count().max(8))
                prop:value=text
                on:input=move |event| write(event_target_value(&event))
            ></textarea>
        </div>
        <div id="verdict" role="status" aria-live="polite" data-testid="verdict">
            {move || sentence(text, verdict)}
        </div>
        <ul class="list problems">
            {move || {
                let item = |problem| view! { <Item problem area text/> };
                problems.get().into_iter().map(item).collect_view()
            }}
        </ul>
        <Show when=move || is_cluster.get() fallback=move || view! { <Apply text verdict written applied/> }>
            <Elsewhere text/>
        </Show>
    }
}

/// Where objects are declared in a cluster, they are changed there with a right that somebody has there.
#[component]
pub(super) fn Elsewhere(#[prop(into)] text: Signal<String>) -> impl IntoView {
    view! {
        <div class="line actions" data-testid="elsewhere">
            <CopyButton text/>
            <span>"Objects are declared in a Kubernetes cluster. Paste the YAML into "<code>"kubectl apply -f -"</code></span>
        </div>
    }
}

/// Asks for the verdict when nobody has written for a moment. An answer about an older text is passed over.
fn verdict(text: RwSignal<String>) -> RwSignal<Option<Verdict>> {
    let caller = expect_context::<Caller>();
    let verdict = RwSignal::new(None);
    let turn = StoredValue::new(0_u64);
    Effect::new(move |_| {
        let of = text.get();
        turn.update_value(|turn| *turn += 1);
        let mine = turn.get_value();
        let ask = move || {
            if turn.try_get_value() != Some(mine) {
                return;
            }
            spawn_local(async move {
                let answer = caller.check(of.clone()).await;
                if turn.try_get_value() == Some(mine) {
                    verdict.set(Some(Verdict { of, answer }));
                }
            });
        };
        set_timeout(ask, DEBOUNCE);
    });
    verdict
}

fn sentence(text: RwSignal<String>, verdict: RwSignal<Option<Verdict>>) -> impl IntoView {
    let (class, words) = match verdict.get() {
        Some(Verdict { of, answer }) if text.with(|text| *text == of) => match answer {
            Ok(CheckAnswer { problems, objects }) if problems.is_empty() => {
                ("good", format!("{}, no problem", counted(objects.len(), "object")))
            }
            Ok(CheckAnswer { problems, .. }) => match problems.iter().any(Problem::is_error) {
                true => ("bad", counted(problems.len(), "problem")),
                false => ("warning", counted(problems.len(), "remark")),
            },
            Err(error) => ("bad", error.to_string()),
        },
        Some(_) | None => ("muted", "Checking…".to_owned()),
    };
    view! { <p class=class>{words}</p> }
}

/// The numbers of the lines; those with a problem stand out.
#[component]
fn Numbers(text: RwSignal<String>, problems: Memo<Vec<Problem>>) -> impl IntoView {
    let count = Memo::new(move |_| text.with(|text| text.split('\n').count()));
    let number = move |line: usize| {
        let class = move || {
            problems.with(|problems| {
                let here = problems.iter().filter(|problem| problem.line as usize == line);
                match here.map(|problem| problem.severity).min() {
                    Some(Severity::Error) => "bad",
                    Some(Severity::Warning) => "warning",
                    Some(Severity::Info) | None => "",
                }
            })
        };
        view! { <span class=class>{line}</span> }
    };
    view! {
        <div class="numbers mono" aria-hidden="true" data-testid="numbers">
            {move || (1..=count.get()).map(number).collect_view()}
        </div>
    }
}

/// A problem; its place leads to its line.
#[component]
fn Item(problem: Problem, area: NodeRef<Textarea>, text: RwSignal<String>) -> impl IntoView {
    let line = problem.line as usize;
    let place = format!("{line}:{}", problem.column);
    let go = move |_| {
        let before: usize = text.with_untracked(|text| {
            text.split_inclusive('\n')
                .take(line.saturating_sub(1))
                .map(|line| line.encode_utf16().count())
                .sum()
        });
        if let (Some(area), Ok(before)) = (area.get_untracked(), u32::try_from(before)) {
            // An area that is gone has no caret.
            drop(area.focus());
            drop(area.set_selection_range(before, before));
        }
    };
    let fix = (!problem.fix.is_empty()).then(|| view! { <p class="fix">{problem.fix}</p> });
    view! {
        <li data-testid="text-problem">
            <div class="line">
                <Badge standing=Signal::stored(standing::of_problem(problem.severity))/>
                <button type="button" class="mono place" aria-label=format!("Go to line {line}") on:click=go>{place}</button>
                <span class="muted mono">{problem.path}</span>
            </div>
            <p>{problem.message}</p>
            {fix}
        </li>
    }
}
