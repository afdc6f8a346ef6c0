//! How far a server is believed: its evidence, its challenges, its addresses, and what was noticed.

use horizon_api::{
    http::{AddressView, TrustView},
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
    let said = trust.evidence.as_ref().map(trust::evidence).unwrap_or_default().into_iter();
    let said = said.map(|(name, word)| {
        view! { <li class="line"><span class="name">{name}</span><span class="mono place">{word}</span></li> }
    });
    let differs = trust.differs.clone().into_iter().map(|what| {
        view! {
            <li class="line">
                <Badge standing=Signal::stored((Tone::Warning, "Differs"))/>
                <span>{format!("{what}, since it was bound")}</span>
            </li>
        }
    });
    let noticed = trust.noticed.clone().into_iter();
    let noticed = noticed.map(|(kind, count)| view! { <li>{format!("{kind}: {count} times")}</li> });
    let addresses = trust.addresses.clone().into_iter().map(|address| {
        let AddressView { address, last_seen, .. } = address;
        view! {
            <li class="line">
                <span class="mono">{address}</span>
                <span class="muted">{move || ago(live.now.get(), last_seen)}</span>
            </li>
        }
    });
    let failure = trust.failure.clone().map(|failure| {
        let text =
            move || format!("The last failure was {}: {}", ago(live.now.get(), failure.at), failure.reason);
        view! { <p class="muted">{text}</p> }
    });
    let (level, noticed) = (trust.level.sentence(), noticed.collect_view());
    let (said, differs, addresses) = (said.collect_view(), differs.collect_view(), addresses.collect_view());
    view! {
        <div class="part" data-testid="trust">
            <h3>"Verification"</h3>
            {quarantine}
            <p data-testid="verified">{move || trust::verified(live.now.get(), &trust)}</p>
            {failure}
            <p class="muted">{format!("Evidence is {level}.")}</p>
            <ul class="plain">{differs}{said}</ul>
            <h3>"Addresses"</h3>
            <ul class="plain">{addresses}</ul>
            <ul class="plain">{noticed}</ul>
        </div>
    }
}
