//! One object, live: how it stands, whose it is, and its text, with an editor where it may be changed here.

use std::time::Duration;

use horizon_api::{http::OwnerKind, resource::ObjectKey};
use leptos::{prelude::*, task::spawn_local};

use super::{
    delete::Delete,
    editor::{Editor, Elsewhere},
    may_change,
    standing::{Conditions, Events, Gateways, InTheWay, KeyUses, Owner},
    trust::Trust,
};
use crate::{
    address::Link,
    component::{CopyButton, Empty, Failed, Loading},
    live::{
        CallError, Live,
        follow::{Follow, Look},
        resources,
    },
    model::{happened::Happened, object::Shown, route::Route},
};

/// Before an object is read again: what shows it and what decides about it hear of it one after the other.
const PAUSE: Duration = Duration::from_secs(1);

/// What is read of an object when it changes.
#[derive(Clone, Debug, PartialEq)]
struct Read {
    shown: Shown,
    yaml: String,
    events: Vec<Happened>,
}

#[component]
pub(super) fn Object(key: ObjectKey) -> impl IntoView {
    let follow = Follow::one(&key);
    let read = RwSignal::new(None::<Result<Read, CallError>>);
    let (of, name) = (key.clone(), key.name.to_string());
    let version = Memo::new(move |_| {
        let is_there = !follow.rows.keys().is_empty();
        follow.rows.row(&of).filter(|_| is_there).map(|row| row.with(|row| row.version.clone()))
    });
    let is_gone = Memo::new(move |_| follow.look.get() == Look::Shown && version.with(Option::is_none));
    let of = key.clone();
    let tries = RwSignal::new(0_u32);
    Effect::new(move |_| {
        tries.track();
        let Some(wanted) = version.get() else { return };
        let key = of.clone();
        spawn_local(async move {
            let answer = read_object(&key).await;
            // A newer state is read by itself.
            if version.try_get_untracked() != Some(Some(wanted)) {
                return;
            }
            let is_good = answer.is_ok();
            read.update(|read| {
                if is_good || !matches!(read, Some(Ok(_))) {
                    *read = Some(answer);
                }
            });
            if !is_good {
                set_timeout(move || tries.try_update(|tries| *tries += 1).unwrap_or_default(), PAUSE);
            }
        });
    });
    let table = Route::Table { kind: key.kind, namespace: Some(key.namespace.to_string()) };
    let loaded = Memo::new(move |_| read.with(|read| matches!(read, Some(Ok(_)))));
    let this = StoredValue::new(key.clone());
    view! {
        <div class="part line crumbs">
            <Link to=table testid="back">{format!("← {}", key.kind.plural())}</Link>
            <h3>{name}</h3>
        </div>
        {move || match (follow.look.get(), is_gone.get(), loaded.get()) {
            (Look::Failed(error), ..) => view! { <Failed error/> }.into_any(),
            (_, true, _) => {
                view! { <Empty testid="gone" title="There is no such object">"It was deleted, or never there."</Empty> }.into_any()
            }
            (_, _, true) => view! { <Parts key=this.get_value() read/> }.into_any(),
            _ => {
                let failed = read.get().and_then(Result::err);
                failed.map_or_else(
                    || view! { <Loading/> }.into_any(),
                    |error| view! { <Failed error/> }.into_any(),
                )
            }
        }}
    }
}

async fn read_object(key: &ObjectKey) -> Result<Read, CallError> {
    Ok(Read {
        shown: resources::object(key).await?,
        yaml: resources::yaml(key).await?,
        events: resources::events(key).await?,
    })
}

/// The parts of an object that was read; the text stays while the rest changes.
#[component]
fn Parts(key: ObjectKey, read: RwSignal<Option<Result<Read, CallError>>>) -> impl IntoView {
    let of = move |part: fn(Read) -> AnyView| move || read.get().and_then(Result::ok).map(part);
    let yaml =
        Signal::derive(move || read.get().and_then(Result::ok).map(|read| read.yaml).unwrap_or_default());
    view! {
        {of(|read| view! { <div class="part"><Owner shown=read.shown/></div> }.into_any())}
        {of(|read| view! { <Conditions conditions=read.shown.conditions/> }.into_any())}
        <InTheWay key=key.clone()/>
        <Trust key=key.clone()/>
        {of(|read| view! { <KeyUses uses=read.shown.uses/> }.into_any())}
        {of(|read| view! { <Gateways gateways=read.shown.gateways/> }.into_any())}
        <Text key read/>
        <details class="part">
            <summary data-testid="whole">"Everything, with what the controller adds"</summary>
            <pre tabindex="0" data-testid="yaml">{yaml}</pre>
        </details>
        {of(|read| view! { <Events events=read.events/> }.into_any())}
    }
}

/// The text that declares the object: an editor, where it may be changed here.
#[component]
fn Text(key: ObjectKey, read: RwSignal<Option<Result<Read, CallError>>>) -> impl IntoView {
    let live = expect_context::<Live>();
    let shown = move || read.get().and_then(Result::ok).map(|read| read.shown);
    let manifest = Memo::new(move |_| shown().map(|shown| shown.manifest).unwrap_or_default());
    let place = Memo::new(move |_| shown().map(|shown| shown.place).unwrap_or_default());
    let is_cluster =
        Memo::new(move |_| live.head.with(|head| head.as_ref().is_some_and(|head| head.cluster)));
    let is_of_source = Memo::new(move |_| shown().is_none_or(|shown| shown.owner == OwnerKind::Source));
    let may_change = may_change(Signal::stored(key.clone()));
    let key = StoredValue::new(key);
    move || match (is_cluster.get(), is_of_source.get(), may_change.get()) {
        (true, ..) => {
            view! { <Manifest manifest/><div class="part"><Elsewhere text=manifest/></div> }.into_any()
        }
        (false, false, true) => view! { <Changeable key=key.get_value() manifest/> }.into_any(),
        (false, true, _) => view! { <Manifest manifest/><WhereToChange manifest place/> }.into_any(),
        (false, false, false) => {
            view! { <Manifest manifest/><div class="part actions line"><CopyButton text=manifest/></div> }
                .into_any()
        }
    }
}

#[component]
fn Manifest(manifest: Memo<String>) -> impl IntoView {
    view! { <pre class="part" tabindex="0" aria-label="YAML" data-testid="manifest">{move || manifest.get()}</pre> }
}

#[component]
fn WhereToChange(manifest: Memo<String>, place: Memo<String>) -> impl IntoView {
    view! {
        <div class="part line actions" data-testid="where-to-change">
            <CopyButton text=manifest/>
            <span>"A folder declares this object: change it at "<span class="mono place">{place}</span></span>
        </div>
    }
}

/// An editor that begins with the object's text. What others write is not put in the place of what somebody writes here.
#[component]
fn Changeable(key: ObjectKey, manifest: Memo<String>) -> impl IntoView {
    let text = RwSignal::new(manifest.get_untracked());
    let base = RwSignal::new(manifest.get_untracked());
    Effect::new(move |_| {
        let newest = manifest.get();
        if text.with_untracked(|text| base.with_untracked(|base| text == base))
            && text.get_untracked() != newest
        {
            text.set(newest.clone());
        }
        if text.get_untracked() == newest {
            base.set(newest);
        }
    });
    let is_other = Memo::new(move |_| manifest.get() != base.get() && manifest.get() != text.get());
    let take = move |_| {
        let newest = manifest.get_untracked();
        base.set(newest.clone());
        text.set(newest);
    };
    let applied = move |_| base.set(text.get_untracked());
    let is_cluster = Memo::new(|_| false);
    view! {
        <div class="part">
            <Show when=move || is_other.get()>
                <p class="note line" role="status" data-testid="changed-meanwhile">
                    "The object was changed meanwhile. "
                    <button type="button" on:click=take>"Take the newest text"</button>
                </p>
            </Show>
            <Editor text is_cluster applied/>
        </div>
        <Delete key/>
    }
}
