//! Deleting an object: in a second step, with its name.

use horizon_api::resource::ObjectKey;
use leptos::{html::Input, prelude::*, task::spawn_local};

use crate::{
    address::Address,
    live::resources::{Caller, Deleted},
    model::route::Route,
};

#[component]
pub(super) fn Delete(key: ObjectKey) -> impl IntoView {
    let (address, caller) = (expect_context::<Address>(), expect_context::<Caller>());
    let is_asked = RwSignal::new(false);
    let typed = RwSignal::new(String::new());
    let answer = RwSignal::new(String::new());
    let field = NodeRef::<Input>::new();
    let name = key.name.to_string();
    let wanted = name.clone();
    let is_meant = Memo::new(move |_| typed.with(|typed| typed.trim() == wanted));
    let table = Route::Table { kind: key.kind, namespace: Some(key.namespace.to_string()) };
    let delete = StoredValue::new(move || {
        let (key, table) = (key.clone(), table.clone());
        spawn_local(async move {
            let text = match caller.delete(&key).await {
                Ok(Deleted::Gone) => return address.go(table),
                Ok(Deleted::Marked) => "It goes as soon as what it did is undone.".to_owned(),
                Err(error) => error.to_string(),
            };
            answer.try_set(text);
        });
    });
    Effect::new(move |_| {
        if let Some(field) = field.get().filter(|_| is_asked.get()) {
            // A field that is gone needs no focus.
            drop(field.focus());
        }
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if is_meant.get_untracked() {
            delete.with_value(|delete| delete());
        }
    };
    let label = format!("The object goes, and with it what it does. Type {name} to delete it.");
    let ask = view! {
        <button type="button" data-testid="delete" aria-expanded=move || is_asked.get().to_string()
            on:click=move |_| is_asked.update(|is_asked| *is_asked = !*is_asked)>
            "Delete…"
        </button>
    };
    view! {
        <div class="part">
            {ask}
            <Show when=move || is_asked.get()>
                <form class="confirm" on:submit=submit>
                    <label>
                        <span>{label.clone()}</span>
                        <input node_ref=field type="text" autocomplete="off" autocapitalize="off" spellcheck="false"
                            data-testid="delete-name" prop:value=typed
                            on:input=move |event| typed.set(event_target_value(&event))/>
                    </label>
                    <button class="danger" data-testid="delete-now" disabled=move || !is_meant.get()>"Delete"</button>
                    <button type="button" on:click=move |_| is_asked.set(false)>"Keep it"</button>
                </form>
            </Show>
            <p role="status" data-testid="delete-answer">{answer}</p>
        </div>
    }
}
