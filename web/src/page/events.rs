//! The latest security events.

use horizon_api::http::EventView;
use leptos::prelude::*;

use crate::{
    component::{Badge, Empty, Section},
    live::Live,
    model::{age::ago, standing},
};

#[component]
pub(crate) fn Events() -> impl IntoView {
    let live = expect_context::<Live>();
    let count = Signal::derive(move || live.events.with(Vec::len).to_string());
    view! {
        <Section id="events" title="Security events" count>
            <Show
                when=move || !live.events.with(Vec::is_empty)
                fallback=|| {
                    view! {
                        <Empty testid="events-empty" title="Nothing happened">
                            "Refused keys of gateways and devices appear here."
                        </Empty>
                    }
                }
            >
                <ul class="list">
                    <For each=move || live.events.get() key=|event| event.id let:event>
                        <Item event/>
                    </For>
                </ul>
            </Show>
        </Section>
    }
}

#[component]
fn Item(event: EventView) -> impl IntoView {
    let live = expect_context::<Live>();
    let at = event.at;
    view! {
        <li data-testid="event">
            <div class="line">
                <Badge standing=Signal::stored(standing::of_event(event.severity))/>
                <span class="name">{event.kind}</span>
                <span class="muted">{event.subject}</span>
                <span class="space"></span>
                <span class="muted number">{move || ago(live.now.get(), at)}</span>
            </div>
            <p>{event.message}</p>
        </li>
    }
}
