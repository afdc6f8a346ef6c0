//! Devices: whose they are, where they are connected, and how well their link is protected.

use horizon_api::{
    http::DeviceView,
    resource::{API_VERSION, Kind, ObjectKey},
};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    component::{Badge, Empty, Section},
    live::{Live, resources::Caller},
    model::{age::last_seen, quantity, standing},
};

#[component]
pub(crate) fn Devices() -> impl IntoView {
    let live = expect_context::<Live>();
    // Those that wait come first, because somebody has to decide about them.
    let keys = Memo::new(move |_| {
        let mut keys: Vec<_> =
            live.devices.all().iter().map(|device| (!device.awaits_approval, device.key())).collect();
        keys.sort();
        keys.into_iter().map(|(_, key)| key).collect::<Vec<_>>()
    });
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
                <span class="under">{text(standing::owner)}</span>
                <span class="under" data-testid="posture">{text(standing::posture)}</span>
            </th>
            <td data-label="State">
                <Badge standing=badge/>
                " "
                <Show when=move || device.with(|device| device.awaits_approval)>
                    <Approve device=device.with_untracked(DeviceView::key)/>
                </Show>
            </td>
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

/// Lets a device in, as `kubectl apply` of that one field would.
#[component]
fn Approve(device: ObjectKey) -> impl IntoView {
    let (live, caller) = (expect_context::<Live>(), expect_context::<Caller>());
    let answer = RwSignal::new(String::new());
    let may_change = RwSignal::new(false);
    let namespace = device.namespace.clone();
    spawn_local(async move {
        if caller.may_change(Kind::Device, &namespace).await == Ok(true) {
            may_change.try_set(true);
        }
    });
    let is_of_cluster = move || live.head.with(|head| head.as_ref().is_some_and(|head| head.cluster));
    let patch = format!(
        "kubectl -n {} patch hdev {} --type merge -p '{{\"spec\":{{\"approved\":true}}}}'",
        device.namespace, device.name
    );
    let approve = StoredValue::new(move || {
        let device = device.clone();
        spawn_local(async move {
            let text = format!(
                "apiVersion: {API_VERSION}\nkind: Device\nmetadata: {{name: {}}}\nspec: {{approved: true}}\n",
                device.name
            );
            if let Err(error) = caller.apply(&device, text, true).await {
                answer.try_set(error.to_string());
            }
        });
    });
    view! {
        <Show
            when=is_of_cluster
            fallback=move || {
                view! {
                    <Show when=move || may_change.get()>
                        <button type="button" data-testid="approve"
                            on:click=move |_| approve.with_value(|approve| approve())>
                            "Approve"
                        </button>
                    </Show>
                }
            }
        >
            <code class="under">{patch.clone()}</code>
        </Show>
        <span role="status" class="under" data-testid="approve-answer">{answer}</span>
    }
}
