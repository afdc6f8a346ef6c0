//! The console's one page: header, tiles, and a section for each thing that there is to see.

mod devices;
mod events;
mod header;
mod problems;
mod servers;
mod sign_in;
mod tiles;
mod waiting;

use leptos::prelude::*;

use self::{
    devices::Devices, events::Events, header::Header, problems::Problems, servers::Servers, tiles::Tiles,
    waiting::Waiting,
};
use crate::{
    live::{Link, Live},
    model::age::ago,
};

pub(crate) use sign_in::SignIn;

#[component]
pub(crate) fn Console(subject: String, sign_out: impl Fn() + Copy + Send + 'static) -> impl IntoView {
    view! {
        <a class="skip" href="#main">"Skip to the content"</a>
        <Header subject sign_out/>
        <main id="main" tabindex="-1">
            <h1 class="hidden">"Overview"</h1>
            <Tiles/>
            <Waiting/>
            <Servers/>
            <Devices/>
            <Problems/>
            <Events/>
        </main>
        <Footer/>
        <Banner/>
    }
}

/// Over the page, so that nothing moves when the stream is lost. The last known state stays below it.
#[component]
fn Banner() -> impl IntoView {
    let live = expect_context::<Live>();
    let is_lost = move || live.link.get() == Link::Lost;
    view! {
        <div class="banner" role="status" aria-live="polite">
            <Show when=is_lost>
                <p data-testid="banner">
                    <strong>"Connection to the controller lost."</strong>
                    " What you see is the last known state. Retrying…"
                </p>
            </Show>
        </div>
    }
}

#[component]
fn Footer() -> impl IntoView {
    let live = expect_context::<Live>();
    let text = move || {
        live.head.get().map(|head| {
            let started = ago(live.now.get(), head.started_at);
            format!("Controller {} · epoch {} · started {started}", head.controller_version, head.epoch)
        })
    };
    view! { <footer>{text}</footer> }
}
