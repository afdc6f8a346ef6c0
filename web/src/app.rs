//! Who is in front of the page: nobody yet, somebody with a session, or somebody who needs one.

use horizon_api::http::SessionAnswer;
use leptos::{prelude::*, task::spawn_local};
use wasm_bindgen::JsValue;

use crate::{
    address::Address,
    live::{self, CallError, Link, Live, resources::Caller},
    page::{Console, SignIn},
};

/// Mounts the page in place of the boot message.
pub fn start() {
    if let Some(boot) = document().get_element_by_id("boot") {
        boot.remove();
    }
    mount_to_body(App);
}

#[derive(Clone, PartialEq)]
enum Gate {
    Asking,
    SignedOut(CallError),
    SignedIn(SessionAnswer),
}

#[component]
fn App() -> impl IntoView {
    let gate = RwSignal::new(Gate::Asking);
    let ask_with = move |code: Option<String>| {
        gate.set(Gate::Asking);
        spawn_local(async move {
            let answer = match code {
                Some(code) => live::sign_in(code).await,
                None => live::who().await,
            };
            gate.set(answer.map_or_else(Gate::SignedOut, Gate::SignedIn));
        });
    };
    let ask = move || ask_with(take_code());
    ask();
    // A second link pasted into an open page changes the fragment only, and so does the skip link.
    let on_hash = window_event_listener(leptos::ev::hashchange, move |_| {
        if let Some(code) = take_code() {
            ask_with(Some(code));
        }
    });
    on_cleanup(move || on_hash.remove());
    move || match gate.get() {
        Gate::Asking => view! { <p class="alone" role="status">"Loading Horizon…"</p> }.into_any(),
        Gate::SignedOut(reason) => view! { <SignIn reason retry=ask/> }.into_any(),
        Gate::SignedIn(session) => view! { <Session session gate/> }.into_any(),
    }
}

#[component]
fn Session(session: SessionAnswer, gate: RwSignal<Gate>) -> impl IntoView {
    let live = Live::connect();
    provide_context(live);
    Effect::new(move |_| {
        if live.link.get() == Link::SignedOut {
            gate.set(Gate::SignedOut(CallError::SignedOut));
        }
    });
    let csrf = StoredValue::new(session.csrf);
    provide_context(Caller { csrf });
    provide_context(Address::follow());
    let sign_out = move || {
        spawn_local(async move {
            let token = csrf.get_value();
            // Without the controller the cookie stays; the page must not claim otherwise.
            match live::sign_out(&token).await {
                Ok(()) | Err(CallError::SignedOut) => gate.set(Gate::SignedOut(CallError::SignedOut)),
                Err(CallError::Unreachable) => live.link.set(Link::Lost),
                // The stream says by itself whether it is lost.
                Err(refused @ (CallError::Refused(_) | CallError::Status(_))) => {
                    leptos::logging::error!("not signed out: {refused}");
                }
            }
        });
    };
    view! { <Console subject=session.subject role=session.role sign_out/> }
}

/// Takes the code of a sign-in link out of the address, so that neither history nor a bookmark keeps it.
fn take_code() -> Option<String> {
    let window = window();
    let hash = window.location().hash().ok()?;
    let code = hash.strip_prefix("#code=")?.to_owned();
    if let Ok(history) = window.history() {
        // A refusal would only leave a used code in the address.
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some("/"));
    }
    Some(code)
}
