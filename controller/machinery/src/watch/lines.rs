//! The lines of a watch in the form that was agreed on: whole objects, rows of a table, or metadata alone.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::{Event, EventKind};
use crate::{
    negotiate::{Form, View},
    query::Query,
    refusal::Refusal,
    resource::Resource,
    table::{self, IncludeObject, Table},
};

/// Writes the events of one watch. It remembers whether the columns of its table are described yet.
#[derive(Debug)]
pub struct Lines {
    resource: &'static Resource,
    view: View,
    include: IncludeObject,
    has_headers: bool,
}

impl Lines {
    /// Begins the lines of a watch on a resource. `form` is what [`Form::of_watch`] agreed on.
    ///
    /// # Errors
    /// 400 for an `includeObject` that nobody knows, where a table is wanted.
    pub fn new(resource: &'static Resource, form: Form, query: &Query) -> Result<Self, Refusal> {
        let include = match form.view {
            View::Table(_) => IncludeObject::parse(query)?,
            View::Whole | View::Metadata(_) | View::MetadataList(_) => IncludeObject::Metadata,
        };
        Ok(Self { resource, view: form.view, include, has_headers: true })
    }

    /// Returns the pieces of an event's line: the object as it is, in the bytes that all watchers share, or written in
    /// another form at this moment. `counter` is that of [`Table`].
    ///
    /// As on an API server, the `Status` of an error has one form, a table describes its columns only in the first
    /// line, and a bookmark is a row without a name. Metadata of a list is that of each object.
    pub fn write(
        &mut self,
        event: &Event,
        now: Timestamp,
        counter: &dyn Fn(&str, &str, &str) -> Option<Value>,
    ) -> [Bytes; 3] {
        let has_headers = std::mem::take(&mut self.has_headers);
        if event.kind == EventKind::Error || self.view == View::Whole {
            return event.line();
        }
        // A collection's bytes were written as JSON; if they were ever unreadable, they are shown as they are.
        let Ok(object) = serde_json::from_slice::<Value>(&event.object) else { return event.line() };
        let shown = match self.view {
            View::Whole => object,
            View::Metadata(version) | View::MetadataList(version) => table::partial(&object, version),
            View::Table(version) => {
                let (resource, include) = (self.resource, self.include);
                let table = Table { resource, version, include, has_headers, now, counter };
                table.of([&object], object.get("metadata").unwrap_or(&Value::Null))
            }
        };
        event.line_with(Bytes::from(shown.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use horizon_api::resource::Kind;
    use serde_json::json;

    use super::*;

    const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";

    fn lines(accept: &str, query: &str) -> Result<Lines, Refusal> {
        let form = Form::of_watch(accept).unwrap();
        Lines::new(Resource::of(Kind::User), form, &Query::parse(query).unwrap())
    }

    fn write(lines: &mut Lines, kind: EventKind, object: &Value) -> Value {
        let event = Event { kind, object: Bytes::from(object.to_string()) };
        let now = "2026-11-28T18:18:30Z".parse().unwrap();
        let line = lines.write(&event, now, &|_, name, _| (name == "alice").then(|| 3.into())).concat();
        let (end, json) = line.split_last().unwrap();
        assert!(*end == b'\n' && !json.contains(&b'\n'), "an event is one line");
        serde_json::from_slice(json).unwrap()
    }

    fn alice() -> Value {
        json!({
            "apiVersion": "horizon.dev/v1alpha1", "kind": "User",
            "metadata": {
                "name": "alice", "namespace": "default", "resourceVersion": "7",
                "creationTimestamp": "2026-11-28T18:08:25Z",
            },
            "spec": { "groups": ["staff"] },
        })
    }

    fn bookmark() -> Value {
        json!({
            "apiVersion": "horizon.dev/v1alpha1", "kind": "User",
            "metadata": { "resourceVersion": "9", "annotations": { "k8s.io/initial-events-end": "true" } },
        })
    }

    fn expired() -> Value {
        crate::status::failure(&crate::status::expired("too old"))
    }

    #[test]
    fn the_first_line_describes_the_columns_of_a_table() {
        let mut lines = lines(TABLE, "").unwrap();
        let first = write(&mut lines, EventKind::Added, &alice());
        let second = write(&mut lines, EventKind::Modified, &alice());

        assert_eq!((&first["type"], &first["object"]["kind"]), (&json!("ADDED"), &json!("Table")));
        assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
        assert_eq!(first["object"]["metadata"], json!({ "resourceVersion": "7" }));
        assert_eq!(first["object"]["rows"][0]["cells"], json!(["alice", "staff", 3, null, "10m"]));
        assert_eq!(second["type"], "MODIFIED");
        assert_eq!(second["object"]["columnDefinitions"], Value::Null);
        assert_eq!(second["object"]["rows"], first["object"]["rows"]);
    }

    #[test]
    fn what_goes_with_a_row_is_asked_for() {
        let row = |query: &str, kind, object: &Value| {
            let line = write(&mut lines(TABLE, query).unwrap(), kind, object);
            line["object"]["rows"][0]["object"].clone()
        };
        let metadata = |object: &Value| {
            let metadata = &object["metadata"];
            json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata })
        };

        assert_eq!(row("includeObject=None", EventKind::Deleted, &alice()), Value::Null);
        assert_eq!(row("includeObject=Metadata", EventKind::Deleted, &alice()), metadata(&alice()));
        assert_eq!(row("includeObject=Object", EventKind::Deleted, &alice()), alice());
        // A client that began with objects finds their end in the row.
        assert_eq!(row("", EventKind::Bookmark, &bookmark()), metadata(&bookmark()));
        assert_eq!(row("includeObject=None", EventKind::Bookmark, &bookmark()), Value::Null);
    }

    #[test]
    fn an_unknown_word_is_refused_where_it_means_something() {
        assert_eq!(lines(TABLE, "includeObject=Bad").unwrap_err().code, 400);
        assert!(lines("", "includeObject=Bad").is_ok() && lines(METADATA, "includeObject=Bad").is_ok());
    }

    #[test]
    fn bookmarks_and_errors_have_their_forms() {
        let mut table = lines(TABLE, "").unwrap();
        let told = write(&mut table, EventKind::Bookmark, &bookmark());
        assert_eq!(told["object"]["metadata"], json!({ "resourceVersion": "9" }));
        assert_eq!(told["object"]["rows"][0]["cells"], json!(["", null, null, null, null]));
        assert_eq!(write(&mut table, EventKind::Error, &expired())["object"], expired());

        let mut metadata = lines(METADATA, "").unwrap();
        let told = write(&mut metadata, EventKind::Bookmark, &bookmark());
        assert_eq!(told["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(told["object"]["metadata"], bookmark()["metadata"]);
        assert_eq!(write(&mut metadata, EventKind::Error, &expired())["object"], expired());
        assert!(write(&mut metadata, EventKind::Added, &alice())["object"].get("spec").is_none());
    }

    #[test]
    fn whole_objects_share_their_bytes() {
        let event = Event { kind: EventKind::Added, object: Bytes::from(alice().to_string()) };
        let pieces = lines("", "").unwrap().write(&event, Timestamp::UNIX_EPOCH, &|_, _, _| None);

        assert_eq!(pieces[1].as_ptr(), event.object.as_ptr());
        assert_eq!(pieces, event.line());
    }
}
