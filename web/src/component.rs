//! What every section is made of: a frame with a title, a badge, and the looks of loading and empty.

use leptos::prelude::*;

use crate::{
    live::{CallError, Live},
    model::standing::Tone,
};

#[component]
pub(crate) fn Section(
    id: &'static str,
    title: &'static str,
    #[prop(into)] count: Signal<String>,
    children: ChildrenFn,
) -> impl IntoView {
    let live = expect_context::<Live>();
    let is_loaded = Memo::new(move |_| live.head.with(Option::is_some));
    view! {
        <section class="card" aria-labelledby=id>
            <div class="title">
                <h2 id=id>{title}</h2>
                <span class="count">{move || if is_loaded.get() { count.get() } else { String::new() }}</span>
            </div>
            {move || if is_loaded.get() { children().into_any() } else { view! { <Loading/> }.into_any() }}
        </section>
    }
}

#[component]
pub(crate) fn Badge(#[prop(into)] standing: Signal<(Tone, &'static str)>) -> impl IntoView {
    view! { <span class=move || standing.get().0.class()>{move || standing.get().1}</span> }
}

#[component]
pub(crate) fn Loading() -> impl IntoView {
    view! {
        <div class="loading" role="status" aria-label="Loading">
            <span></span>
            <span></span>
            <span></span>
        </div>
    }
}

/// Why there is nothing to see.
#[component]
pub(crate) fn Failed(error: CallError) -> impl IntoView {
    view! {
        <div class="empty" role="alert" data-testid="failed">
            <strong>"This could not be read."</strong>
            <p>{error.to_string()}</p>
        </div>
    }
}

/// A text to take elsewhere, and the button that does it.
#[component]
pub(crate) fn CopyButton(#[prop(into)] text: Signal<String>) -> impl IntoView {
    let is_copied = RwSignal::new(false);
    let copy = move |_| {
        // Where the browser refuses, the text can be selected all the same.
        drop(window().navigator().clipboard().write_text(&text.get_untracked()));
        is_copied.set(true);
    };
    Effect::new(move |_| {
        text.track();
        is_copied.set(false);
    });
    view! {
        <button type="button" data-testid="copy" on:click=copy>
            {move || if is_copied.get() { "Copied" } else { "Copy the YAML" }}
        </button>
    }
}

#[component]
pub(crate) fn Empty(testid: &'static str, title: &'static str, children: Children) -> impl IntoView {
    view! {
        <div class="empty" data-testid=testid>
            <strong>{title}</strong>
            <p>{children()}</p>
        </div>
    }
}

/// The product's mark. It says nothing that the name beside it does not.
#[component]
pub(crate) fn Mark() -> impl IntoView {
    view! {
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="8"/>
            <path class="sun" d="M8 19a8 8 0 0 1 16 0z"/>
            <path class="rays" d="M5 22.5h22M9 26h14"/>
        </svg>
    }
}
