//! Name, revision, whether the page is live, and the way out.

use leptos::prelude::*;

use crate::{
    component::Mark,
    live::{Link, Live},
};

#[component]
pub(crate) fn Header(subject: String, sign_out: impl Fn() + Copy + Send + 'static) -> impl IntoView {
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
                <span class="space"></span>
                <span class=class data-testid="live">{word}</span>
                <span class="who" title="Signed in as">{subject}</span>
                <button data-testid="sign-out" on:click=move |_| sign_out()>"Sign out"</button>
            </div>
        </header>
    }
}
