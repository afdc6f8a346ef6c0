//! The four figures that answer "is all well" at a glance.

use leptos::prelude::*;

use crate::{live::Live, model::standing::traffic};

#[component]
pub(crate) fn Tiles() -> impl IntoView {
    let live = expect_context::<Live>();
    let is_loaded = Memo::new(move |_| live.head.with(Option::is_some));
    let servers = Memo::new(move |_| {
        let all = live.servers.all();
        (all.iter().filter(|server| server.ready).count(), all.len())
    });
    let devices = Memo::new(move |_| {
        let all = live.devices.all();
        (all.iter().filter(|device| device.connected).count(), all.len())
    });
    let traffic = Memo::new(move |_| traffic(&live.servers.all()));
    let problems = Memo::new(move |_| live.problems.with(Vec::len));
    let known = move |text: String| if is_loaded.get() { text } else { "–".to_owned() };
    let share = move |(some, all): (usize, usize)| known(format!("{some} / {all}"));
    view! {
        <dl class="tiles">
            <div class="tile">
                <dt>"Servers ready"</dt>
                <dd data-testid="tile-servers">{move || share(servers.get())}</dd>
            </div>
            <div class="tile">
                <dt>"Devices connected"</dt>
                <dd data-testid="tile-devices">{move || share(devices.get())}</dd>
            </div>
            <div class="tile">
                <dt>"Traffic, received and sent"</dt>
                <dd class="pair" data-testid="tile-traffic">
                    <span>"↓ "{move || known(traffic.get().0)}</span>
                    <span>"↑ "{move || known(traffic.get().1)}</span>
                </dd>
            </div>
            <div class="tile">
                <dt>"Problems of the folder"</dt>
                <dd class:bad=move || { problems.get() > 0 } data-testid="tile-problems">
                    {move || known(problems.get().to_string())}
                </dd>
            </div>
        </dl>
    }
}
