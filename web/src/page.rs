//! The console: the overview with a section for each thing that there is to see, and the resources.

mod devices;
mod events;
mod header;
mod problems;
mod resources;
mod servers;
mod sign_in;
mod tiles;
mod waiting;

use horizon_api::resource::AdminRole;
use leptos::prelude::*;

use self::{
    devices::Devices, events::Events, header::Header, problems::Problems, resources::Resources,
    servers::Servers, tiles::Tiles, waiting::Waiting,
};
use crate::{
    address::Address,
    live::{Link, Live},
    model::{age::ago, route::Route},
};

pub(crate) use sign_in::SignIn;

#[component]
pub(crate) fn Console(
    subject: String,
    role: AdminRole,
    sign_out: impl Fn() + Copy + Send + 'static,
) -> impl IntoView {
    let address = expect_context::<Address>();
    let is_overview = Memo::new(move |_| address.get() == Route::Overview);
    view! {
        <a class="skip" href="#main">"Skip to the content"</a>
        <Header subject role sign_out/>
        <main id="main" tabindex="-1">
            <Show when=move || is_overview.get() fallback=|| view! { <Resources/> }>
                <Overview/>
            </Show>
        </main>
        <Footer/>
        <Banner/>
    }
}

#[component]
fn Overview() -> impl IntoView {
    view! {
        <h1 class="hidden">"Overview"</h1>
        <Tiles/>
        <Waiting/>
        <Servers/>
        <Devices/>
        <Problems/>
        <Events/>
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
