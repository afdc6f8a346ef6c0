//! How an object stands: whose it is, its conditions, its problems, what gateways say, what happened.

use horizon_api::{
    http::{HoldView, OwnerKind},
    resource::ObjectKey,
};
use leptos::prelude::*;

use crate::{
    component::Badge,
    live::Live,
    model::{
        age::{age_of, ago, ends},
        happened::Happened,
        object::{Fact, Shown, Uses},
        standing::{self, Tone},
    },
    page::problems::problem,
};

/// Whose an object is, in one sentence.
#[component]
pub(super) fn Owner(shown: Shown) -> impl IntoView {
    let Shown { source, owner, place, .. } = shown;
    let said = match owner {
        OwnerKind::Source => {
            let folder = source.trim_start_matches("files:").to_owned();
            view! { "Declared at "<span class="mono place">{place}</span>" in "<span class="mono">{folder}</span> }
                .into_any()
        }
        OwnerKind::Login => view! { "Made by a login or an invitation." }.into_any(),
        OwnerKind::Client => view! { "Written by a client of the resource API." }.into_any(),
    };
    view! { <p class="owner" data-testid="owner">{said}</p> }
}

/// What is in the way of an object, beside its conditions.
#[component]
pub(super) fn InTheWay(key: ObjectKey) -> impl IntoView {
    let live = expect_context::<Live>();
    let of = key.clone();
    let problems = move || {
        let all = live.problems.get().into_iter();
        all.filter(|problem| problem.object.as_ref() == Some(&of)).map(problem).collect_view()
    };
    let held = move || {
        let hold = live.guard.with(|guard| guard.holds.iter().find(|hold| hold.object == key).cloned());
        hold.map(|hold| view! { <Hold hold/> })
    };
    view! {
        <ul class="list">
            {held}
            {problems}
        </ul>
    }
}

#[component]
fn Hold(hold: HoldView) -> impl IntoView {
    let live = expect_context::<Live>();
    let HoldView { object, reason, by, until } = hold;
    view! {
        <li data-testid="object-hold">
            <div class="line">
                <Badge standing=Signal::stored((Tone::Warning, "Held"))/>
                <span class="muted">{move || format!("by {by}, {}", ends(live.now.get(), until))}</span>
            </div>
            <p>{reason}</p>
            <p class="fix">"end it with "<code>{format!("horizon-controller release {object}")}</code></p>
        </li>
    }
}

#[component]
pub(super) fn Conditions(conditions: Vec<Fact>) -> impl IntoView {
    let live = expect_context::<Live>();
    let row = |fact: Fact| {
        let standing = Signal::stored(standing::of_condition(&fact));
        let Fact { kind, reason, message, since, .. } = fact;
        view! {
            <tr data-testid="condition">
                <th scope="row"><span class="name">{kind}</span></th>
                <td data-label="Holds"><Badge standing/></td>
                <td data-label="Why">
                    <span>{message}</span>
                    <span class="under">{reason}</span>
                </td>
                <td data-label="Since" class="number">{move || age_of(live.now.get(), &since)}</td>
            </tr>
        }
    };
    view! {
        <table class="conditions">
            <thead>
                <tr>
                    <th scope="col">"Condition"</th>
                    <th scope="col">"Holds"</th>
                    <th scope="col" class="why">"Why"</th>
                    <th scope="col" class="number">"Since"</th>
                </tr>
            </thead>
            <tbody>{conditions.into_iter().map(row).collect_view()}</tbody>
        </table>
    }
}

/// What each gateway that runs it said last.
#[component]
pub(super) fn Gateways(gateways: Vec<(String, String)>) -> impl IntoView {
    let item = |(server, word): (String, String)| {
        view! { <li class="line"><span class="name">{server}</span><span>{word}</span></li> }
    };
    (!gateways.is_empty()).then(|| {
        let items = gateways.into_iter().map(item).collect_view();
        view! { <div class="part"><h3>"Gateways"</h3><ul class="plain">{items}</ul></div> }
    })
}

/// How often a key was used, and when last.
#[component]
pub(super) fn KeyUses(uses: Option<Uses>) -> impl IntoView {
    let live = expect_context::<Live>();
    uses.map(|uses| {
        let said = uses.said();
        let last = uses.last.map(|(at, from, node)| {
            view! {
                <li class="line" data-testid="last-use">
                    <span class="name">"last used"</span>
                    <span>{move || ago(live.now.get(), at)}</span>
                    <span class="mono">{from}</span>
                    <span>{node}</span>
                </li>
            }
        });
        view! {
            <div class="part">
                <h3>"Uses"</h3>
                <ul class="plain"><li class="line"><span class="name">"used"</span><span>{said}</span></li>{last}</ul>
            </div>
        }
    })
}

#[component]
pub(super) fn Events(events: Vec<Happened>) -> impl IntoView {
    let live = expect_context::<Live>();
    let item = |Happened { is_warning, reason, message, at }: Happened| {
        view! {
            <li data-testid="happened">
                <div class="line">
                    <Badge standing=Signal::stored(standing::of_happening(is_warning))/>
                    <span class="name">{reason}</span>
                    <span class="space"></span>
                    <span class="muted number">{move || age_of(live.now.get(), &at)}</span>
                </div>
                <p>{message}</p>
            </li>
        }
    };
    let is_empty = events.is_empty();
    view! {
        <div class="part"><h3>"Events"</h3></div>
        <ul class="list">{events.into_iter().map(item).collect_view()}</ul>
        {is_empty.then(|| view! { <p class="part muted">"Nothing happened in the last hour."</p> })}
    }
}
