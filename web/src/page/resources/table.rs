//! The table of a kind, live.

use horizon_api::resource::{Kind, ObjectKey};
use leptos::prelude::*;

use crate::{
    address::Link,
    component::{Empty, Failed, Loading},
    live::{
        Live,
        follow::{Follow, Look},
    },
    model::{
        age::age_of,
        quantity::counted,
        route::Route,
        table::{Column, Row},
    },
};

/// More rows than a person looks through; a few letters of the name find the others.
const SHOWN: usize = 200;

#[component]
pub(super) fn Table(kind: Kind, namespace: Option<String>) -> impl IntoView {
    let follow = Follow::all(kind, namespace.as_deref());
    let wanted = RwSignal::new(String::new());
    let has_namespaces = namespace.is_none();
    view! {
        {move || match follow.look.get() {
            Look::Loading => view! { <Loading/> }.into_any(),
            Look::Failed(error) => view! { <Failed error/> }.into_any(),
            Look::Shown => view! { <Rows follow kind wanted has_namespaces/> }.into_any(),
        }}
    }
}

#[component]
fn Rows(follow: Follow, kind: Kind, wanted: RwSignal<String>, has_namespaces: bool) -> impl IntoView {
    let keys = Memo::new(move |_| follow.rows.keys());
    let found = Memo::new(move |_| {
        let wanted = wanted.get();
        keys.with(|keys| {
            keys.iter().filter(|key| key.name.contains(wanted.trim())).cloned().collect::<Vec<_>>()
        })
    });
    let shown = move || found.with(|found| found.iter().take(SHOWN).cloned().collect::<Vec<_>>());
    let more = move || {
        let more = found.with(Vec::len).saturating_sub(SHOWN);
        (more > 0).then(|| {
            let text = format!("and {}; a few letters of the name find them", counted(more, "more object"));
            view! { <p class="more muted">{text}</p> }
        })
    };
    let headers = move || {
        let header = |column: Column| view! { <th scope="col" title=column.description>{column.name}</th> };
        let mut columns = follow.columns.get();
        let others = columns.split_off(columns.len().min(1));
        let namespace = has_namespaces.then(|| view! { <th scope="col">"Namespace"</th> });
        view! { {columns.into_iter().map(header).collect_view()} {namespace} {others.into_iter().map(header).collect_view()} }
    };
    let title = format!("No {kind} here");
    view! {
        <Show when=move || !keys.with(Vec::is_empty) fallback=move || {
            view! { <div class="empty" data-testid="resources-empty"><strong>{title.clone()}</strong></div> }
        }>
            <div class="find">
                <label>
                    <span class="hidden">"Find by name"</span>
                    <input type="search" placeholder="Find by name" data-testid="find" prop:value=wanted
                        on:input=move |event| wanted.set(event_target_value(&event))/>
                </label>
                <span class="muted" role="status">{move || counted(found.with(Vec::len), "object")}</span>
            </div>
            <Show when=move || !found.with(Vec::is_empty) fallback=|| {
                view! { <Empty testid="nothing-found" title="Nothing has such a name">"Write fewer letters."</Empty> }
            }>
                <table>
                    <thead><tr>{headers}</tr></thead>
                    <tbody>
                        <For each=shown key=Clone::clone let:key>
                            {follow.rows.row(&key).map(|row| view! { <Item key=key.clone() row follow has_namespaces/> })}
                        </For>
                    </tbody>
                </table>
                {more}
            </Show>
        </Show>
    }
}

#[component]
fn Item(key: ObjectKey, row: RwSignal<Row>, follow: Follow, has_namespaces: bool) -> impl IntoView {
    let live = expect_context::<Live>();
    let namespace =
        has_namespaces.then(|| view! { <td data-label="Namespace">{key.namespace.to_string()}</td> });
    let cell = move |column: Column| {
        let Column { name, place, is_age, .. } = column;
        let text = move || {
            row.with(|row| match is_age {
                true => age_of(live.now.get(), &row.created),
                false => row.cells.get(place).cloned().unwrap_or_default(),
            })
        };
        view! { <td data-label=name>{text}</td> }
    };
    let cells = move || follow.columns.get().into_iter().skip(1).map(cell).collect_view();
    let name = key.name.to_string();
    view! {
        <tr data-testid="resource">
            <th scope="row"><Link to=Route::Object(key) class="name">{name}</Link></th>
            {namespace}
            {cells}
        </tr>
    }
}
