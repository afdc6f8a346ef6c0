//! How far a server is believed: what it proved, and what a person should look at.

use horizon_api::{
    http::TrustView,
    resource::{Kind, ObjectKey},
};
use leptos::prelude::*;

use crate::{
    component::Badge,
    live::Live,
    model::{age::ago, standing::Tone, trust},
};

/// Shown on the page of a Server, once its gateway was heard.
#[component]
pub(super) fn Trust(key: ObjectKey) -> impl IntoView {
    let live = expect_context::<Live>();
    let is_server = key.kind == Kind::Server;
    let known = Memo::new(move |_| {
        let is_there = is_server && live.servers.keys().contains(&key);
        let row = is_there.then(|| live.servers.row(&key)).flatten();
        row.map(|row| row.with(|server| server.trust.clone())).filter(|trust| trust.evidence.is_some())
    });
    move || known.get().map(|trust| view! { <Known trust/> })
}

#[component]
fn Known(trust: TrustView) -> impl IntoView {
    let live = expect_context::<Live>();
    let quarantine = trust.quarantine.clone().map(|reason| {
        view! {
            <p data-testid="quarantine">
                <Badge standing=Signal::stored((Tone::Bad, "Quarantined"))/>
                " "
                {reason}
            </p>
        }
    });
    let differs = trust.differs.clone().into_iter().map(|what| {
        view! {
            <li class="line">
                <Badge standing=Signal::stored((Tone::Warning, "Differs"))/>
                <span>{format!("{what}, since it was bound")}</span>
            </li>
        }
    });
    let failure = trust.failure.clone().map(|failure| {
        let text =
            move || format!("The last failure was {}: {}", ago(live.now.get(), failure.at), failure.reason);
        view! { <p class="muted">{text}</p> }
    });
    let (level, differs) = (trust.level.sentence(), differs.collect_view());
    view! {
        <div class="part" data-testid="trust">
            <h3>"Verification"</h3>
            {quarantine}
            <p data-testid="verified">{move || trust::verified(live.now.get(), &trust)}</p>
            {failure}
            <p class="muted">{format!("Evidence is {level}.")}</p>
            <ul class="plain">{differs}</ul>
            <p class="muted">"The rest is told by " <code>"horizon-controller status Server/NAME"</code> "."</p>
        </div>
    }
}
