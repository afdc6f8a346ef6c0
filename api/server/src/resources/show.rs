//! Objects and lists in the form that a client asked for.

use axum::{body::Bytes, http::StatusCode, response::Response};
use horizon_machinery::{
    list::Page,
    negotiate::{Encoding, Form, MetaVersion, View},
    refusal::{Reason, Refusal},
    resource::Resource,
    table::{self, IncludeObject, Table},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{answer, call::Call, counters::Counters, pieces};
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
        let counters = Counters::of(&shared.state.keeper, form, resource);
        Ok(Self { form, resource, include, counters })
    }

    /// Answers with one object, given as JSON.
    ///
    /// # Errors
    /// 406 if it was asked for as a list.
    pub(super) fn object(&self, code: StatusCode, json: &Bytes) -> Result<Response, Refusal> {
        let Form { encoding, view, .. } = self.form;
        if self.is_shared() {
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

    /// Answers with a page of a list.
    ///
    /// # Errors
    /// 500 for objects that are no JSON, which nobody puts on a shelf.
    pub(super) fn page(&self, page: Page) -> Result<Response, Refusal> {
        let Form { encoding, view, .. } = self.form;
        if self.is_shared() {
            return Ok(answer::bytes(
                StatusCode::OK,
                encoding.content_type(),
                pieces::body(page, self.resource),
            ));
        }
        let objects = || page.items.iter().map(|object| parse(object.json())).collect::<Result<Vec<_>, _>>();
        let shown = match view {
            View::Whole => parse(&page.json(&self.resource.api_version(), &self.resource.kind))?,
            View::Metadata(version) | View::MetadataList(version) => {
                table::partial_list(&objects()?, &page.metadata(), version)
            }
            View::Table(version) => {
                let counter = self.counters.counter();
                self.table(version, &counter).of(&objects()?, &page.metadata())
            }
        };
        Ok(answer::document(StatusCode::OK, self.form, &shown))
    }

    /// Says whether objects are shown in the very bytes that all share.
    pub(super) fn is_shared(&self) -> bool {
        let Form { encoding, view, is_pretty } = self.form;
        encoding == Encoding::Json && view == View::Whole && !is_pretty
    }

    fn table<'a>(
        &'a self,
        version: MetaVersion,
        counter: &'a dyn Fn(&str, &str, &str) -> Option<u64>,
    ) -> Table<'a> {
        let Self { resource, include, .. } = self;
        Table { resource, version, include: *include, has_headers: true, now: Timestamp::now(), counter }
    }
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
