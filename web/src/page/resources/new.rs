//! An editor for an object that there is not yet.

use horizon_api::resource::{API_VERSION, Kind, ObjectKey};
use leptos::prelude::*;

use super::{editor::Editor, may_change};
use crate::{address::Address, live::Live, model::route::Route};

#[component]
pub(super) fn New(kind: Kind, namespace: String) -> impl IntoView {
    let (address, live) = (expect_context::<Address>(), expect_context::<Live>());
    let text = RwSignal::new(template(kind, &namespace));
    let place = ObjectKey::new(kind, namespace, "");
    let may_change = may_change(Signal::stored(place));
    let is_cluster =
        Memo::new(move |_| live.head.with(|head| head.as_ref().is_some_and(|head| head.cluster)));
    let applied = move |keys: Vec<ObjectKey>| {
        if let [key] = keys.as_slice() {
            address.go(Route::Object(key.clone()));
        }
    };
    view! {
        <div class="part">
            <h3>{format!("New {kind}")}</h3>
            <Show when=move || may_change.get() fallback=|| {
                view! { <p class="muted" data-testid="may-not">"You may not declare objects here."</p> }
            }>
                <Editor text is_cluster applied/>
            </Show>
        </div>
    }
}

/// What every object begins with; the verdict on it says what is missing.
fn template(kind: Kind, namespace: &str) -> String {
    format!(
        "apiVersion: {API_VERSION}\nkind: {kind}\nmetadata:\n  name: \n  namespace: {namespace}\nspec: {{}}\n"
    )
}
