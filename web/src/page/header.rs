//! Name, revision, the parts of the console, whether the page is live, and the way out.

use horizon_api::resource::AdminRole;
use leptos::prelude::*;

use crate::{
    address::{Address, Link as PageLink},
    component::Mark,
    live::{Link, Live},
    model::route::Route,
};

#[component]
pub(crate) fn Header(
    subject: String,
    role: AdminRole,
    sign_out: impl Fn() + Copy + Send + 'static,
) -> impl IntoView {
    let live = expect_context::<Live>();
    let revision = move || {
        live.head.with(|head| match head {
            None => "Revision …".to_owned(),
            Some(head) if head.revision == 0 => "No revision yet".to_owned(),
            Some(head) => format!("Revision {}", head.revision),
        })
    };
    let (class, word) = (
        move || match live.link.get() {
            Link::Open => "pulse good",
            Link::Connecting | Link::Lost | Link::SignedOut => "pulse warning",
        },
        move || match live.link.get() {
            Link::Open => "Live",
            Link::Connecting => "Connecting",
            Link::Lost | Link::SignedOut => "Lost",
        },
    );
    view! {
        <header>
            <div class="bar">
                <Mark/>
                <span class="product">"Horizon"</span>
                <span class="chip" data-testid="revision">{revision}</span>
                <Parts/>
                <span class="space"></span>
                <span class=class data-testid="live">{word}</span>
                <span class="who" title="Signed in as" data-testid="who">{format!("{subject} · {role:?}")}</span>
                <button data-testid="sign-out" on:click=move |_| sign_out()>"Sign out"</button>
            </div>
        </header>
    }
}

#[component]
fn Parts() -> impl IntoView {
    let address = expect_context::<Address>();
    let is_resources = Memo::new(move |_| address.get() != Route::Overview);
    view! {
        <nav class="parts" aria-label="Parts of the console" class:resources=move || is_resources.get()>
            <PageLink to=Route::Overview testid="to-overview">"Overview"</PageLink>
            <PageLink to=Route::resources() testid="to-resources">"Resources"</PageLink>
        </nav>
    }
}
