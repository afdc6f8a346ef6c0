//! `get`, `list` and `watch`: from which state to answer, what to select, how much, for how long.

use std::time::Duration;

use super::{check, resource_version};
use crate::{
    field_cause, gotext,
    query::Query,
    refusal::{Cause, Refusal},
    selector::{Selection, field, label},
};

/// A `list` or a `watch`, which share a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    List(List),
    Watch(Watch),
}

/// From which state a list is answered ("Kubernetes API Concepts", resource versions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The latest.
    Latest,
    /// One at least as new as this version; 0 is any.
    NotOlderThan(u64),
    /// Exactly that of this version.
    Exact(u64),
}

/// A checked `list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    pub selection: Selection,
    pub state: State,
    /// How many objects a page may have; `None` is no limit.
    pub limit: Option<usize>,
    /// The token of the page before; empty for the first page.
    pub continuation: String,
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With every object that there is, in a state at least as new as this version, then every change.
    WithState(u64),
    /// With the changes from this moment on.
    Latest,
    /// With the changes after this version.
    After(u64),
}

/// A checked `watch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub selection: Selection,
    pub start: Start,
    /// Whether the client wants to be told how far it is when nothing happens.
    pub bookmarks: bool,
    /// After how long the watch ends; `None` leaves it to the server.
    pub timeout: Option<Duration>,
}

impl Read {
    /// Reads the query of a collection's `GET`. `is_known` says which fields can be selected by.
    ///
    /// # Errors
    /// 400 for what cannot be read and for unknown fields, 422 for what does not go together.
    pub fn parse(query: &Query, is_known: impl Fn(&str) -> bool) -> Result<Self, Refusal> {
        let labels = label::Selector::parse(query.text("labelSelector"))
            .map_err(|unreadable| Refusal::bad_request(unreadable.to_string()))?;
        let fields = field::Selector::parse(query.text("fieldSelector"))?;
        let timeout_seconds = query.number("timeoutSeconds")?;
        let limit = query.number("limit")?;
        let is_watch = query.switch("watch").unwrap_or_default();
        check("ListOptions", if is_watch { watch_causes(query) } else { list_causes(query) })?;
        fields.check(is_known)?;
        let selection = Selection { labels, fields };
        if is_watch {
            let start = start(query)?;
            let bookmarks = query.switch("allowWatchBookmarks").unwrap_or_default();
            return Ok(Self::Watch(Watch { selection, start, bookmarks, timeout: timeout(timeout_seconds) }));
        }
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        let continuation = query.text("continue").to_owned();
        Ok(Self::List(List { selection, state: state(query, limit)?, limit, continuation }))
    }
}

/// Zero leaves it to the server; a negative time is over at once.
fn timeout(seconds: Option<i64>) -> Option<Duration> {
    let seconds = seconds.filter(|seconds| *seconds != 0)?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

/// Reads from which state a single `get` is answered: 0, and nothing, are any.
///
/// # Errors
/// 400 for what is no version.
pub fn minimum_version(query: &Query) -> Result<u64, Refusal> {
    match query.text("resourceVersion") {
        "" => Ok(0),
        text => resource_version(text).map_err(|cause| invalid_version(&cause)),
    }
}

fn invalid_version(cause: &Cause) -> Refusal {
    Refusal::bad_request(format!("invalid resource version: {}: {}", cause.field, cause.message))
}

fn state(query: &Query, limit: Option<usize>) -> Result<State, Refusal> {
    let text = query.text("resourceVersion");
    if !query.text("continue").is_empty() {
        // The token says which state.
        return match text {
            "" | "0" => Ok(State::Latest),
            _ => Err(Refusal::bad_request("specifying resource version is not allowed when using continue")),
        };
    }
    if text.is_empty() {
        return Ok(State::Latest);
    }
    let version = resource_version(text).map_err(|cause| invalid_version(&cause))?;
    Ok(match (query.text("resourceVersionMatch"), limit) {
        ("Exact", _) => State::Exact(version),
        // What `limit` meant before there was `resourceVersionMatch`.
        ("", Some(_)) if version > 0 => State::Exact(version),
        _ => State::NotOlderThan(version),
    })
}

fn start(query: &Query) -> Result<Start, Refusal> {
    let text = query.text("resourceVersion");
    let version = match text {
        "" => 0,
        // An API server answers 500 here, which blames the server for what the client wrote.
        text => resource_version(text).map_err(|cause| invalid_version(&cause))?,
    };
    Ok(match query.switch("sendInitialEvents") {
        Some(true) => Start::WithState(version),
        None if version == 0 => Start::WithState(0),
        Some(false) if version == 0 => Start::Latest,
        None | Some(false) => Start::After(version),
    })
}

fn list_causes(query: &Query) -> Vec<Cause> {
    const FIELD: &str = "resourceVersionMatch";
    let mut causes = vec![];
    let matching = query.text(FIELD);
    if !matching.is_empty() {
        if query.text("resourceVersion").is_empty() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            causes.push(field_cause::forbidden(FIELD, why));
        }
        if !query.text("continue").is_empty() {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(field_cause::forbidden(FIELD, why));
        }
        if matching != "Exact" && matching != "NotOlderThan" {
            let json = gotext::quoted(matching);
            causes.push(field_cause::not_supported(FIELD, &json, &["Exact", "NotOlderThan", ""]));
        }
        if matching == "Exact" && query.text("resourceVersion") == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(field_cause::forbidden(FIELD, why));
        }
    }
    if query.first("sendInitialEvents").is_some() {
        let why = "sendInitialEvents is forbidden for list";
        causes.push(field_cause::forbidden("sendInitialEvents", why));
    }
    causes
}

fn watch_causes(query: &Query) -> Vec<Cause> {
    const FIELD: &str = "resourceVersionMatch";
    let mut causes = vec![];
    let matching = query.text(FIELD);
    let sends_state = query.first("sendInitialEvents").is_some();
    if sends_state && matching != "NotOlderThan" {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(field_cause::forbidden(FIELD, why));
    }
    if !matching.is_empty() {
        if !sends_state {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            causes.push(field_cause::forbidden(FIELD, why));
        }
        if matching != "NotOlderThan" {
            let json = gotext::quoted(matching);
            causes.push(field_cause::not_supported(FIELD, &json, &["NotOlderThan"]));
        }
        if !query.text("continue").is_empty() {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(field_cause::forbidden(FIELD, why));
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Read, Refusal> {
        Read::parse(&Query::parse(query).unwrap(), |path| path == "metadata.name")
    }

    fn list(query: &str) -> List {
        match parse(query).unwrap() {
            Read::List(list) => list,
            Read::Watch(watch) => panic!("{watch:?}"),
        }
    }

    fn watch(query: &str) -> Watch {
        match parse(&format!("watch=true&{query}")).unwrap() {
            Read::Watch(watch) => watch,
            Read::List(list) => panic!("{list:?}"),
        }
    }

    #[test]
    fn a_list_names_its_state() {
        for (query, expected) in [
            ("", State::Latest),
            ("resourceVersion=0", State::NotOlderThan(0)),
            ("resourceVersion=7", State::NotOlderThan(7)),
            ("resourceVersion=7&limit=5", State::Exact(7)),
            ("resourceVersion=0&limit=5", State::NotOlderThan(0)),
            ("resourceVersion=7&resourceVersionMatch=Exact", State::Exact(7)),
            ("resourceVersion=7&resourceVersionMatch=NotOlderThan&limit=5", State::NotOlderThan(7)),
            ("continue=x&resourceVersion=0", State::Latest),
        ] {
            assert_eq!(list(query).state, expected, "{query}");
        }
    }

    #[test]
    fn limits_below_one_are_none() {
        let limits = ["limit=-1", "limit=0", "", "limit=3"].map(|query| list(query).limit);

        assert_eq!(limits, [None, None, None, Some(3)]);
    }

    #[test]
    fn a_watch_names_its_start() {
        for (query, expected) in [
            ("", Start::WithState(0)),
            ("resourceVersion=0", Start::WithState(0)),
            ("resourceVersion=7", Start::After(7)),
            (
                "resourceVersion=7&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
                Start::WithState(7),
            ),
            ("resourceVersion=7&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", Start::After(7)),
            ("sendInitialEvents=false&resourceVersionMatch=NotOlderThan", Start::Latest),
        ] {
            assert_eq!(watch(query).start, expected, "{query}");
        }
        let timeouts = ["timeoutSeconds=30", "timeoutSeconds=0", "timeoutSeconds=-3", ""];
        let expected = [Some(Duration::from_secs(30)), None, Some(Duration::ZERO), None];
        assert_eq!(timeouts.map(|query| watch(query).timeout), expected);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (query, code) in [
            ("limit=x", 400),
            ("timeoutSeconds=x", 400),
            ("labelSelector=a+b", 400),
            ("fieldSelector=spec.x%3D1", 400),
            ("resourceVersion=abc", 400),
            ("resourceVersion=-1", 400),
            ("resourceVersion=%2B1", 400),
            ("watch=1&resourceVersion=abc", 400),
            ("continue=x&resourceVersion=7", 400),
            ("resourceVersionMatch=Exact", 422),
            ("resourceVersion=0&resourceVersionMatch=Exact", 422),
            ("resourceVersion=1&resourceVersionMatch=Foo", 422),
            ("continue=x&resourceVersion=0&resourceVersionMatch=NotOlderThan", 422),
            ("sendInitialEvents=true", 422),
            ("watch=1&sendInitialEvents=true", 422),
            ("watch=1&resourceVersionMatch=NotOlderThan", 422),
        ] {
            assert_eq!(parse(query).unwrap_err().code, code, "{query}");
        }
    }
}
