//! Objects and lists in the form that a client asked for.

use axum::{body::Bytes, http::StatusCode, response::Response};
use horizon_machinery::{
    list::Page,
    negotiate::{Encoding, Form, MetaVersion, View},
    refusal::{Reason, Refusal},
    resource::Resource,
    stored::Stored,
    table::{self, IncludeObject, Table},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    answer,
    call::Call,
    counters::Counters,
    lane::Place,
    pieces::{self, Writer},
};
use crate::Shared;

/// How the objects of a kind are shown to one client.
pub(super) struct Show {
    pub(super) form: Form,
    resource: &'static Resource,
    include: IncludeObject,
    counters: Counters,
}

impl Show {
    /// Agrees with a client on a form.
    ///
    /// # Errors
    /// 406 for a form that is not written, 400 for one that is not known.
    pub(super) fn agree(shared: &Shared, call: &Call, resource: &'static Resource) -> Result<Self, Refusal> {
        let form = call.form()?;
        let is_table = matches!(form.view, View::Table(_));
        let include = if is_table { IncludeObject::parse(&call.query)? } else { IncludeObject::Metadata };
        let counters = Counters::of(shared, form, resource);
        Ok(Self { form, resource, include, counters })
    }

    /// Answers with one object, given as JSON.
    ///
    /// # Errors
    /// 406 if it was asked for as a list.
    pub(super) fn object(&self, code: StatusCode, json: &Bytes) -> Result<Response, Refusal> {
        let Form { encoding, view, is_pretty } = self.form;
        if encoding == Encoding::Json && view == View::Whole && !is_pretty {
            return Ok(answer::bytes(code, encoding.content_type(), json.clone()));
        }
        let object = parse(json)?;
        let shown = match view {
            View::Whole => object,
            View::Metadata(version) => table::partial(&object, version),
            View::MetadataList(_) => return Err(table::refuse_partial_list_of_object()),
            View::Table(version) => {
                let counter = self.counters.counter();
                self.table(version, &counter).of([&object], object.get("metadata").unwrap_or(&Value::Null))
            }
        };
        Ok(answer::document(code, self.form, &shown))
    }

    /// Says whether a list is written piece by piece; what people read is written at once.
    pub(super) fn comes_in_pieces(&self) -> bool {
        self.form.encoding == Encoding::Json && !self.form.is_pretty
    }

    /// Answers with a page of a list; a long one takes a place for as long as it is on its way.
    ///
    /// # Errors
    /// 429 where too many long ones are on their way, 500 for objects that are no JSON, which nobody puts on a shelf.
    pub(super) fn page(
        self,
        page: Page,
        place: impl FnOnce() -> Result<Place, Refusal>,
    ) -> Result<Response, Refusal> {
        let (form, metadata) = (self.form, page.metadata());
        if self.comes_in_pieces() {
            let (about, member, write) = self.frame(&metadata);
            let body = pieces::body(&about, member, page.items, write, place)?;
            return Ok(answer::bytes(StatusCode::OK, form.encoding.content_type(), body));
        }
        let objects = || page.items.iter().map(|object| parse(&object.json())).collect::<Result<Vec<_>, _>>();
        let shown = match form.view {
            View::Whole => parse(&page.json(&self.resource.api_version(), &self.resource.kind))?,
            View::Metadata(version) | View::MetadataList(version) => {
                table::partial_list(&objects()?, &metadata, version)
            }
            View::Table(version) => {
                let counter = self.counters.counter();
                self.table(version, &counter).of(&objects()?, &metadata)
            }
        };
        Ok(answer::document(StatusCode::OK, form, &shown))
    }

    /// Returns what a list says about itself, what its objects are in it, and how each is written.
    fn frame(self, metadata: &Value) -> (Value, &'static str, Writer) {
        match self.form.view {
            View::Whole => {
                let Resource { kind, .. } = self.resource;
                let api_version = self.resource.api_version();
                let about =
                    json!({ "apiVersion": api_version, "kind": format!("{kind}List"), "metadata": metadata });
                (about, "items", Box::new(|object, piece| piece.extend_from_slice(&object.json())))
            }
            View::Metadata(version) | View::MetadataList(version) => {
                let about = without(table::partial_list([], metadata, version), "items");
                let write = move |object: &Stored, piece: &mut Vec<u8>| {
                    let object = parse(&object.json()).unwrap_or_default();
                    piece.extend_from_slice(table::partial(&object, version).to_string().as_bytes());
                };
                (about, "items", Box::new(write))
            }
            View::Table(version) => {
                let counter = self.counters.counter();
                let about = without(self.table(version, &counter).of([], metadata), "rows");
                let write = move |object: &Stored, piece: &mut Vec<u8>| {
                    let object = parse(&object.json()).unwrap_or_default();
                    let table = Table { has_headers: false, ..self.table(version, &counter) };
                    let row = &table.of([&object], &Value::Null)["rows"][0];
                    piece.extend_from_slice(row.to_string().as_bytes());
                };
                (about, "rows", Box::new(write))
            }
        }
    }

    fn table<'a>(
        &'a self,
        version: MetaVersion,
        counter: &'a dyn Fn(&str, &str, &str) -> Option<Value>,
    ) -> Table<'a> {
        let Self { resource, include, .. } = self;
        Table { resource, version, include: *include, has_headers: true, now: Timestamp::now(), counter }
    }
}

fn without(mut document: Value, member: &str) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.remove(member);
    }
    document
}

/// Reads an object of a shelf.
///
/// # Errors
/// 500 for what is no JSON, which nobody puts there.
pub(super) fn parse(json: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(json).map_err(|error| {
        tracing::error!(%error, "an object on a shelf is no JSON");
        Refusal::plain(500, Reason::InternalError, "Internal error occurred: the object cannot be read")
    })
}
