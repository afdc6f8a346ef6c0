//! Devices: whose they are, where they are connected, and how well their link is protected.

use horizon_api::http::DeviceView;
use leptos::prelude::*;

use crate::{
    component::{Badge, Empty, Section},
    live::Live,
    model::{age::last_seen, quantity, standing},
};

#[component]
pub(crate) fn Devices() -> impl IntoView {
    let live = expect_context::<Live>();
    let keys = Memo::new(move |_| live.devices.keys());
    let count = Signal::derive(move || keys.with(Vec::len).to_string());
    view! {
        <Section id="devices" title="Devices" count>
            <Show
                when=move || !keys.with(Vec::is_empty)
                fallback=|| {
                    view! {
                        <Empty testid="devices-empty" title="No devices yet">
                            "Invite somebody with "
                            <code>"horizon-controller invite user NAME"</code>
                            "; their devices appear when they sign in."
                        </Empty>
                    }
                }
            >
                <table>
                    <thead>
                        <tr>
                            <th scope="col">"Device"</th>
                            <th scope="col">"State"</th>
                            <th scope="col">"Connected to"</th>
                            <th scope="col">"Addresses"</th>
                            <th scope="col" class="number">"Received"</th>
                            <th scope="col" class="number">"Sent"</th>
                            <th scope="col" class="number">"Seen"</th>
                        </tr>
                    </thead>
                    <tbody>
                        <For each=move || keys.get() key=Clone::clone let:key>
                            {live.devices.row(&key).map(|device| view! { <Row device/> })}
                        </For>
                    </tbody>
                </table>
            </Show>
        </Section>
    }
}

#[component]
fn Row(device: RwSignal<DeviceView>) -> impl IntoView {
    let live = expect_context::<Live>();
    let text = move |part: fn(&DeviceView) -> String| move || device.with(part);
    let seen = move || device.with(|device| last_seen(live.now.get(), device.last_seen));
    let badge = Signal::derive(move || device.with(standing::of_device));
    view! {
        <tr data-testid="device">
            <th scope="row">
                <span class="name">{text(|device| device.name.clone())}</span>
                <span class="under">{text(|device| device.user.clone())}</span>
            </th>
            <td data-label="State"><Badge standing=badge/></td>
            <td data-label="Connected to">
                <span data-testid="place">{text(standing::place)}</span>
                <span class="under mono" data-testid="key-exchange">
                    {text(standing::suite)}
                </span>
            </td>
            <td data-label="Addresses">
                <span class="mono">{text(|device| device.addresses.join(", "))}</span>
                <span class="under">{text(|device| device.networks.join(", "))}</span>
            </td>
            <td data-label="Received" class="number">{text(|device| quantity::bytes(device.rx_bytes))}</td>
            <td data-label="Sent" class="number">{text(|device| quantity::bytes(device.tx_bytes))}</td>
            <td data-label="Seen" class="number">{seen}</td>
        </tr>
    }
}
