//! The objects of a kind in signals: read once as a table, then watched. When a watch ends, they are read again.

use std::time::Duration;

use gloo_net::http::Request;
use horizon_api::resource::{Kind, ObjectKey};
use js_sys::{Reflect, Uint8Array};
use leptos::{prelude::*, task::spawn_local};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStreamDefaultReader};

use super::{CallError, Link, Live, accept, resources::path_of_kind};
use crate::{
    model::{
        lines::Lines,
        table::{Column, Event, Row, Table},
    },
    rows::Rows,
};

/// Before objects are read again, so that a controller that ends every watch is not asked without a pause.
const PAUSE: Duration = Duration::from_secs(1);
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Look {
    Loading,
    Failed(CallError),
    Shown,
}

/// The objects of a kind, or one of them.
#[derive(Clone, Copy)]
pub(crate) struct Follow {
    pub look: RwSignal<Look>,
    pub columns: RwSignal<Vec<Column>>,
    pub rows: Rows<Row>,
    live: Live,
    kind: Kind,
    path: StoredValue<String>,
    abort: StoredValue<Option<SendWrapper<AbortController>>>,
}

impl Follow {
    /// Follows the objects of a kind, of one namespace or of all, for as long as whoever asks is shown.
    pub(crate) fn all(kind: Kind, namespace: Option<&str>) -> Self {
        Self::path(kind, format!("{}?includeObject=Metadata", path_of_kind(kind, namespace)))
    }

    /// Follows one object.
    pub(crate) fn one(key: &ObjectKey) -> Self {
        let path = path_of_kind(key.kind, Some(&key.namespace));
        Self::path(
            key.kind,
            format!("{path}?includeObject=Metadata&fieldSelector=metadata.name%3D{}", key.name),
        )
    }

    fn path(kind: Kind, path: String) -> Self {
        let follow = Self {
            look: RwSignal::new(Look::Loading),
            columns: RwSignal::new(vec![]),
            rows: Rows::new(),
            live: expect_context(),
            kind,
            path: StoredValue::new(path),
            abort: StoredValue::new(AbortController::new().ok().map(SendWrapper::new)),
        };
        on_cleanup(move || {
            follow.abort.try_update_value(|abort| abort.take().map(|abort| abort.abort()));
        });
        spawn_local(follow.read());
        follow
    }

    /// Reads the objects and watches them until the watch ends; then it begins anew.
    async fn read(self) {
        let ended = match self.list().await {
            Ok(version) => self.watch(&version).await,
            Err(error) => Err(error),
        };
        if !self.is_wanted() {
            return;
        }
        match ended {
            Err(CallError::SignedOut) => {
                self.live.link.try_set(Link::SignedOut);
                return;
            }
            // What is shown stays; whether the controller is away is said elsewhere.
            Err(error) if self.look.with_untracked(|look| *look != Look::Shown) => {
                self.look.set(Look::Failed(error));
            }
            Ok(()) | Err(_) => {}
        }
        let again = move || {
            if self.is_wanted() {
                spawn_local(self.read());
            }
        };
        set_timeout(again, PAUSE);
    }

    /// Whoever asked may be gone: then so are the signals.
    fn is_wanted(self) -> bool {
        self.abort.try_with_value(Option::is_some) == Some(true)
    }

    async fn list(self) -> Result<String, CallError> {
        let body = self.ask("").await?.json().await.map_err(|_| CallError::Unreachable)?;
        let table = Table::read(self.kind, &body).ok_or(CallError::Unreachable)?;
        if self.is_wanted() {
            self.columns.set(table.columns);
            self.rows.replace(table.rows);
            if self.look.with_untracked(|look| *look != Look::Shown) {
                self.look.set(Look::Shown);
            }
        }
        Ok(table.version)
    }

    async fn watch(self, version: &str) -> Result<(), CallError> {
        let more = format!("&watch=true&allowWatchBookmarks=true&resourceVersion={version}");
        let response = self.ask(&more).await?;
        let body = response.body().ok_or(CallError::Unreachable)?;
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        let mut lines = Lines::default();
        while let Some(piece) = next(&reader).await?.filter(|_| self.is_wanted()) {
            for line in lines.take(&piece) {
                match Event::read(self.kind, &line) {
                    Some(Event::Put(table)) => {
                        table.rows.into_iter().for_each(|(key, row)| self.rows.put(key, row));
                    }
                    Some(Event::Gone(keys)) => keys.iter().for_each(|key| self.rows.remove(key)),
                    Some(Event::Nothing) => {}
                    Some(Event::Over(_)) | None => return Ok(()),
                }
            }
        }
        Ok(())
    }

    async fn ask(self, more: &str) -> Result<gloo_net::http::Response, CallError> {
        let path = self.path.try_get_value().ok_or(CallError::Unreachable)?;
        let signal = self.abort.try_with_value(|abort| abort.as_ref().map(|abort| abort.signal())).flatten();
        let call = Request::get(&format!("{path}{more}")).header("accept", TABLE);
        accept(call.abort_signal(signal.as_ref()).send().await).await
    }
}

/// Returns the next piece of a body; `None` at its end.
async fn next(reader: &ReadableStreamDefaultReader) -> Result<Option<Vec<u8>>, CallError> {
    let read = JsFuture::from(reader.read()).await.map_err(|_| CallError::Unreachable)?;
    let member = |name: &str| Reflect::get(&read, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
    if member("done").is_truthy() {
        return Ok(None);
    }
    Ok(Some(Uint8Array::new(&member("value")).to_vec()))
}
