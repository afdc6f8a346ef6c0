//! The address bar: which part of the console is shown, and the way from one to another without a new page.

use leptos::{ev::MouseEvent, prelude::*};
use wasm_bindgen::JsValue;

use crate::model::route::Route;

/// Where the page is.
#[derive(Clone, Copy)]
pub(crate) struct Address(RwSignal<Route>);

impl Address {
    pub(crate) fn follow() -> Self {
        let address = Self(RwSignal::new(shown()));
        let on_pop = window_event_listener(leptos::ev::popstate, move |_| address.0.set(shown()));
        on_cleanup(move || on_pop.remove());
        address
    }

    /// Tracks where the page is.
    pub(crate) fn get(self) -> Route {
        self.0.get()
    }

    pub(crate) fn go(self, route: Route) {
        if let Ok(history) = window().history() {
            // A refusal would only leave the old address in the bar.
            let _ = history.push_state_with_url(&JsValue::NULL, "", Some(&route.to_string()));
        }
        self.0.set(route);
    }
}

fn shown() -> Route {
    Route::parse(&window().location().pathname().unwrap_or_default())
}

/// A link to another part. With a key held down it opens elsewhere, as links do.
#[component]
pub(crate) fn Link(
    to: Route,
    #[prop(optional)] class: &'static str,
    #[prop(optional)] testid: Option<&'static str>,
    children: Children,
) -> impl IntoView {
    let address = expect_context::<Address>();
    let (path, target) = (to.to_string(), to.clone());
    let on_click = move |event: MouseEvent| {
        if !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key()) {
            event.prevent_default();
            address.go(target.clone());
        }
    };
    let is_current = move || (address.get() == to).then_some("page");
    view! {
        <a href=path class=class data-testid=testid aria-current=is_current on:click=on_click>{children()}</a>
    }
}
