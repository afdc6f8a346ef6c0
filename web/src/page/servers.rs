//! Servers: is the gateway there, does it run what was committed, and what does it carry.

use horizon_api::http::ServerView;
use leptos::prelude::*;

use crate::{
    component::{Badge, Empty, Section},
    live::Live,
    model::{age::last_seen, quantity, standing, trust},
};

#[component]
pub(crate) fn Servers() -> impl IntoView {
    let live = expect_context::<Live>();
    let keys = Memo::new(move |_| live.servers.keys());
    let count = Signal::derive(move || keys.with(Vec::len).to_string());
    view! {
        <Section id="servers" title="Servers" count>
            <Show
                when=move || !keys.with(Vec::is_empty)
                fallback=|| {
                    view! {
                        <Empty testid="servers-empty" title="No servers yet">
                            "Declare a Server in the folder, then run "
                            <code>"horizon-controller invite server NAME"</code> "."
                        </Empty>
                    }
                }
            >
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Server"</th>
                            <th scope="col" class="wide">"State"</th>
                            <th scope="col">"Revision"</th>
                            <th scope="col" class="networks">"Networks"</th>
                            <th scope="col" class="number links">"Links"</th>
                            <th scope="col" class="number">"Received"</th>
                            <th scope="col" class="number">"Sent"</th>
                            <th scope="col" class="number">"Seen"</th>
                        </tr>
                    </thead>
                    <tbody>
                        <For each=move || keys.get() key=Clone::clone let:key>
                            {live.servers.row(&key).map(|server| view! { <Row server/> })}
                        </For>
                    </tbody>
                </table>
            </Show>
        </Section>
    }
}

#[component]
fn Row(server: RwSignal<ServerView>) -> impl IntoView {
    let live = expect_context::<Live>();
    let text = move |part: fn(&ServerView) -> String| move || server.with(part);
    let lags = move || server.with(|server| server.applied_revision != server.desired_revision);
    let seen = move || server.with(|server| last_seen(live.now.get(), server.last_seen));
    let verified = move || {
        server.with(|server| match &server.trust.evidence {
            Some(_) => trust::verified(live.now.get(), &server.trust),
            None => String::new(),
        })
    };
    let badge = Signal::derive(move || server.with(standing::of_server));
    view! {
        <tr data-testid="server">
            <th scope="row">
                <span class="name">{text(|server| server.name.clone())}</span>
                <span class="under mono">{text(|server| server.owner.clone())}</span>
            </th>
            <td data-label="State" class="wide">
                <Badge standing=badge/>
                <span class="under" data-testid="reason">{text(|server| server.message.clone())}</span>
                <span class="under" data-testid="verified">{verified}</span>
            </td>
            <td data-label="Revision" class:lags=lags data-testid="server-revision">
                <span>{text(standing::revision)}</span>
                <span class="under">{text(|server| server.version.clone())}</span>
            </td>
            <td data-label="Networks">
                <span>{text(|server| server.networks.join(", "))}</span>
                <span class="under mono">{text(|server| server.endpoints.join(", "))}</span>
            </td>
            <td data-label="Links" class="number">{text(|server| server.links.to_string())}</td>
            <td data-label="Received" class="number">
                <span data-testid="rx-rate">{text(|server| quantity::rate(server.rx_bps))}</span>
                <span class="under">{text(|server| quantity::bytes(server.rx_bytes))}</span>
            </td>
            <td data-label="Sent" class="number">
                <span>{text(|server| quantity::rate(server.tx_bps))}</span>
                <span class="under">{text(|server| quantity::bytes(server.tx_bytes))}</span>
            </td>
            <td data-label="Seen" class="number">{seen}</td>
        </tr>
    }
}
