//! Resources: the objects of a kind as the resource API shows them, one object, or an editor for another one.

mod apply;
mod delete;
mod editor;
mod new;
mod object;
mod standing;
mod table;
mod trust;

use std::{collections::BTreeSet, str::FromStr};

use horizon_api::resource::{Kind, ObjectKey};
use leptos::{prelude::*, task::spawn_local};

use self::{new::New, object::Object, table::Table};
use crate::{
    address::{Address, Link},
    live::resources::{Caller, namespaces},
    model::route::Route,
};

#[component]
pub(crate) fn Resources() -> impl IntoView {
    let address = expect_context::<Address>();
    view! {
        <h1 class="hidden">"Resources"</h1>
        <section class="card" aria-labelledby="resources">
            <div class="title">
                <h2 id="resources">"Resources"</h2>
                <Choice/>
                <span class="space"></span>
                <ToNew/>
            </div>
            {move || match address.get() {
                Route::Overview => ().into_any(),
                Route::Table { kind, namespace } => view! { <Table kind namespace/> }.into_any(),
                Route::Object(key) => view! { <Object key/> }.into_any(),
                Route::New { kind, namespace } => view! { <New kind namespace/> }.into_any(),
            }}
        </section>
    }
}

/// What is shown: a kind, and one namespace or all.
#[component]
fn Choice() -> impl IntoView {
    let address = expect_context::<Address>();
    let names = RwSignal::new(Vec::<String>::new());
    let kind = move || address.get().kind().unwrap_or(Kind::Network);
    let namespace = move || address.get().namespace();
    // Namespaces come with their first object.
    Effect::new(move |_| {
        let chosen = namespace();
        spawn_local(async move {
            let found = namespaces().await.unwrap_or_default();
            let all: BTreeSet<String> = found.into_iter().chain(chosen).collect();
            names.try_set(all.into_iter().collect());
        });
    });
    let choose_kind = move |text: String| {
        if let Ok(kind) = Kind::from_str(&text) {
            address.go(Route::Table { kind, namespace: untrack(namespace) });
        }
    };
    let choose_namespace = move |text: String| {
        let namespace = (!text.is_empty()).then_some(text);
        address.go(Route::Table { kind: untrack(kind), namespace });
    };
    let kinds = Kind::ALL.map(|one| {
        view! { <option value=one.as_str() prop:selected=move || kind() == one>{one.as_str()}</option> }
    });
    let options = move || {
        let option = |name: String| {
            let (value, label) = (name.clone(), name.clone());
            let is_chosen = move || namespace().as_ref() == Some(&name);
            view! { <option value=value prop:selected=is_chosen>{label}</option> }
        };
        names.get().into_iter().map(option).collect_view()
    };
    view! {
        <label class="choice">
            <span>"Kind"</span>
            <select data-testid="kind" on:change=move |event| choose_kind(event_target_value(&event))>
                {kinds}
            </select>
        </label>
        <label class="choice">
            <span>"Namespace"</span>
            <select data-testid="namespace" on:change=move |event| choose_namespace(event_target_value(&event))>
                <option value="" prop:selected=move || namespace().is_none()>"All"</option>
                {options}
            </select>
        </label>
    }
}

/// Shown to those who may: the controller says so.
#[component]
fn ToNew() -> impl IntoView {
    let address = expect_context::<Address>();
    let new = move || address.get().new_object();
    let may_change = may_change(Signal::derive(move || {
        let new = new();
        ObjectKey::new(new.kind().unwrap_or(Kind::Network), new.namespace().unwrap_or_default(), "")
    }));
    move || {
        let to = new();
        let text = format!("New {}", to.kind().unwrap_or(Kind::Network));
        may_change.get().then(|| view! { <Link to class="button" testid="new">{text}</Link> })
    }
}

/// Asks the controller whether objects of this kind and namespace may be changed; no, until it has said so.
fn may_change(of: Signal<ObjectKey>) -> Memo<bool> {
    let caller = expect_context::<Caller>();
    let answer = RwSignal::new(None::<(ObjectKey, bool)>);
    let place = move || ObjectKey { name: "".into(), ..of.get() };
    Effect::new(move |_| {
        let place = place();
        spawn_local(async move {
            let may = caller.may_change(place.kind, &place.namespace).await.unwrap_or(false);
            answer.try_set(Some((place, may)));
        });
    });
    Memo::new(move |_| answer.with(|answer| answer.as_ref().is_some_and(|(of, may)| *may && *of == place())))
}
