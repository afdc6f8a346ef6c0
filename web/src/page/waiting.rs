//! What stands between the folder and its effect: plans that wait for a person, a change to confirm, holds, and
//! objects that are as they were.

use horizon_api::http::{ArmedView, HeldPlan, HoldView, Place, StaleView};
use leptos::prelude::*;

use crate::{
    component::{Badge, Section},
    live::{Guard, Live},
    model::{
        age::{ahead, ends},
        quantity::counted,
        standing::{self, Tone},
    },
};

/// Places of one plan, and objects at last good, that are shown; the verbs list all.
const SHOWN: usize = 20;
/// As many digits of a hash as a person copies.
const HASH: usize = 12;

#[component]
pub(crate) fn Waiting() -> impl IntoView {
    let live = expect_context::<Live>();
    let count = Signal::derive(move || live.guard.with(entries).to_string());
    let is_anything = Memo::new(move |_| live.guard.with(entries) > 0);
    // It comes first where there is anything, because somebody has to decide; else it would only be in the way.
    view! {
        <Show when=move || is_anything.get()>
            <Section id="waiting" title="Waiting and held" count>
                <ul class="list">
                    {move || live.guard.with(|guard| guard.armed.clone()).map(|armed| view! { <Armed armed/> })}
                    {move || live.guard.with(|guard| guard.plans.clone()).into_iter().map(plan).collect_view()}
                    {move || {
                        let holds = live.guard.with(|guard| guard.holds.clone());
                        holds.into_iter().map(|hold| view! { <Hold hold/> }).collect_view()
                    }}
                    {move || live.guard.with(last_goods)}
                </ul>
            </Section>
        </Show>
    }
}

fn entries(guard: &Guard) -> usize {
    guard.plans.len() + guard.holds.len() + usize::from(guard.armed.is_some()) + alone(guard).count()
}

/// Objects at last good for a reason of their own; those of a plan stand there.
fn alone(guard: &Guard) -> impl Iterator<Item = &StaleView> {
    let is_of_plan = |stale: &StaleView| {
        guard.plans.iter().any(|plan| plan.causes.iter().any(|cause| cause.object == stale.object))
    };
    guard.stale.iter().filter(move |stale| !is_of_plan(stale))
}

#[component]
fn Armed(armed: ArmedView) -> impl IntoView {
    let live = expect_context::<Live>();
    let ArmedView { by, within, revision, revert_at } = armed;
    let text = move || match (revision, revert_at) {
        (Some(revision), Some(at)) => {
            format!(
                "Revision {revision} is taken back {} unless somebody confirms it.",
                ahead(live.now.get(), at)
            )
        }
        _ => format!("The next change is taken back {within} s later unless somebody confirms it."),
    };
    view! {
        <li data-testid="armed">
            <div class="line">
                <Badge standing=Signal::stored((Tone::Warning, "To confirm"))/>
                <span class="muted">{format!("by {by}")}</span>
            </div>
            <p>{text}</p>
            <p class="fix">"run "<code>"horizon-controller confirm"</code></p>
        </li>
    }
}

fn plan(plan: HeldPlan) -> impl IntoView {
    let hash: String = plan.hash.chars().take(HASH).collect();
    let more = plan.causes.len().saturating_sub(SHOWN);
    let places = plan.causes.into_iter().take(SHOWN).map(place).collect_view();
    let more =
        (more > 0).then(|| view! { <p class="muted">{format!("and {}", counted(more, "more object"))}</p> });
    view! {
        <li data-testid="plan">
            <div class="line">
                <Badge standing=Signal::stored((Tone::Bad, "Waits"))/>
                <span class="name">{plan.breach}</span>
            </div>
            <p>{plan.message}</p>
            {places}
            {more}
            <p class="fix">
                "approve it with "<code>{format!("horizon-controller approve {hash}")}</code>", or take the change back"
            </p>
        </li>
    }
}

fn place(place: Place) -> impl IntoView {
    view! {
        <p>
            <span>{place.object.to_string()}</span>
            " "
            <span class="muted mono">{place.place}</span>
        </p>
    }
}

#[component]
fn Hold(hold: HoldView) -> impl IntoView {
    let live = expect_context::<Live>();
    let until = hold.until;
    let object = hold.object.to_string();
    let release = format!("horizon-controller release {object}");
    view! {
        <li data-testid="hold">
            <div class="line">
                <Badge standing=Signal::stored((Tone::Warning, "Held"))/>
                <span class="name">{object}</span>
                <span class="muted">{format!("by {}", hold.by)}</span>
                <span class="space"></span>
                <span class="muted number">{move || ends(live.now.get(), until)}</span>
            </div>
            <p>{hold.reason}</p>
            <p class="fix">"end it with "<code>{release}</code></p>
        </li>
    }
}

fn last_goods(guard: &Guard) -> impl IntoView + use<> {
    let all = alone(guard).count();
    let shown = alone(guard).take(SHOWN).cloned().map(last_good).collect_view();
    let more = all.saturating_sub(SHOWN);
    let more = (more > 0).then(|| {
        let text = format!(
            "and {} at last good; `horizon-controller status` lists them",
            counted(more, "more object")
        );
        view! { <li class="muted">{text}</li> }
    });
    view! { {shown} {more} }
}

fn last_good(stale: StaleView) -> impl IntoView {
    view! {
        <li data-testid="stale">
            <div class="line">
                <Badge standing=Signal::stored(standing::of_last_good())/>
                <span class="name">{stale.object.to_string()}</span>
                <span class="mono place">{stale.place}</span>
                <span class="muted">{stale.reason}</span>
            </div>
            <p>{stale.message}</p>
        </li>
    }
}
