//! `list`: one page of the objects of a kind, in a state that all pages of a list share.
//!
//! Tokens look like those of an API server: which state, and where to go on. They hold no secret and open no door: a
//! forged one can only name another place in what its bearer may list anyway.

use std::{ops::Bound, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    collection::Collection,
    parameters::read::{List, State},
    refusal::Refusal,
    status,
    stored::Stored,
};

/// Which objects a path is about.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The plural with its group, such as `users.horizon.dev`.
    pub resource: &'a str,
    /// The namespace; empty for all of them, and for kinds without namespaces.
    pub namespace: &'a str,
}

/// A page of a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub items: Vec<Arc<Stored>>,
    /// The version of the state that is shown.
    pub version: u64,
    /// The token of the next page; empty on the last.
    pub continuation: String,
    /// How many objects follow; not known where a selector leaves some out.
    pub remaining: Option<usize>,
}

/// Why there is no page, and with which token the rest can still be had, if not consistently.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub refusal: Refusal,
    pub resume: Option<String>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, resume: None }
    }
}

impl Refused {
    /// Returns the `Status` object.
    pub fn body(&self) -> Value {
        match &self.resume {
            Some(token) => status::failure_with_continue(&self.refusal, token),
            None => status::failure(&self.refusal),
        }
    }
}

impl Scope<'_> {
    /// Returns what the keys of its objects begin with.
    pub(crate) fn prefix(&self) -> String {
        match self.namespace {
            "" => String::new(),
            namespace => format!("{namespace}/"),
        }
    }
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// 400 for a token that is not of this list, 410 for a state that is forgotten, 504 for one from the future.
    pub fn read(collection: &Collection, scope: Scope<'_>, list: &List) -> Result<Self, Refused> {
        let binding = binding(scope, list);
        let prefix = scope.prefix();
        let (version, start) = match list.continuation.as_str() {
            "" => (version(collection, list.state)?, None),
            token => {
                let token = Token::decode(token, &binding)?;
                (token.version(collection)?, Some(format!("{prefix}{}", token.after)))
            }
        };
        let from = match &start {
            Some(after) => Bound::Excluded(after.as_str()),
            None => Bound::Included(prefix.as_str()),
        };
        let mut state = collection
            .state_at(version, from)
            .take_while(|object| object.key().starts_with(&prefix))
            .peekable();
        let mut items = vec![];
        let mut last: Option<&Arc<Stored>> = None;
        while let Some(object) = state.peek().copied() {
            if list.limit.is_some_and(|limit| items.len() >= limit) {
                break;
            }
            last = Some(object);
            if list.selection.selects(&**object) {
                items.push(Arc::clone(object));
            }
            state.next();
        }
        if state.peek().is_none() {
            return Ok(Self { items, version, continuation: String::new(), remaining: None });
        }
        let last = last.map_or("", |object| object.key());
        let after = last.strip_prefix(&prefix).unwrap_or_default().to_owned();
        let token = Token { version: Some(version), after, binding };
        let is_counted = list.selection.is_everything();
        let remaining = is_counted.then(|| collection.count_at(version, Bound::Excluded(last), &prefix));
        Ok(Self { items, version, continuation: token.encode(), remaining })
    }

    /// Returns the list's metadata.
    pub fn metadata(&self) -> Value {
        let mut metadata =
            json!({ "resourceVersion": self.version.to_string(), "continue": self.continuation });
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }

    /// Writes the list as JSON, from the bytes that its objects share. `kind` is that of the objects.
    pub fn json(&self, api_version: &str, kind: &str) -> Vec<u8> {
        let head =
            json!({ "apiVersion": api_version, "kind": format!("{kind}List"), "metadata": self.metadata() });
        let bytes: usize = self.items.iter().map(|object| object.json_bytes() + 1).sum();
        let mut json = head.to_string().into_bytes();
        json.reserve(bytes + ITEMS.len() + 2);
        json.pop();
        json.extend_from_slice(ITEMS);
        for (index, object) in self.items.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            json.extend_from_slice(&object.json());
        }
        json.extend_from_slice(b"]}");
        json
    }
}

const ITEMS: &[u8] = b",\"items\":[";

fn version(collection: &Collection, state: State) -> Result<u64, Refusal> {
    match state {
        State::Latest => Ok(collection.version()),
        State::NotOlderThan(version) => collection.refuse_future(version).map(|()| collection.version()),
        State::Exact(version) => {
            collection.refuse_future(version)?;
            let is_known = collection.refuse_forgotten(version).is_ok();
            is_known.then_some(version).ok_or_else(|| status::expired(LIST_EXPIRED))
        }
    }
}

const LIST_EXPIRED: &str = "The resourceVersion for the provided list is too old.";
const CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can \
                                start a new list without the continue parameter, or use the continue token in this \
                                response to retrieve the remainder of the results. Continuing with the provided token \
                                results in an inconsistent list - objects that were created, modified, or deleted \
                                between the time the first chunk was returned and now may show up in the list.";

/// Where a list goes on.
#[derive(Debug)]
struct Token {
    /// The state; `None` is the latest, which may be another than that of the pages before.
    version: Option<u64>,
    /// The last key that was looked at, without the namespace where the list has only one.
    after: String,
    binding: String,
}

/// How API servers call the form of their tokens; ours has one field more.
const TOKEN_FORM: &str = "meta.k8s.io/v1";

impl Token {
    fn encode(&self) -> String {
        let version = self.version.map_or(json!(-1), |version| json!(version));
        let json = json!({ "v": TOKEN_FORM, "rv": version, "start": format!("{}\0", self.after), "for": self.binding });
        URL_SAFE_NO_PAD.encode(json.to_string())
    }

    fn decode(text: &str, binding: &str) -> Result<Self, Refusal> {
        let refused = |why: &str| {
            Refusal::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused("it is not base64"))?;
        let json: Value = serde_json::from_slice(&bytes).map_err(|_| refused("it is not JSON"))?;
        let member = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
        if member("v") != TOKEN_FORM {
            return Err(refused("server does not recognize this encoded version"));
        }
        let version = match (json["rv"].as_u64(), json["rv"].as_i64()) {
            (Some(version), _) if version > 0 => Some(version),
            (None, Some(-1)) => None,
            _ => {
                return Err(refused("incorrect encoded start resourceVersion (version meta.k8s.io/v1)"));
            }
        };
        let after = member("start").trim_end_matches('\0');
        if after.is_empty() {
            return Err(refused("encoded start key empty (version meta.k8s.io/v1)"));
        }
        if member("for") != binding {
            return Err(refused("it belongs to a list of other objects or with other selectors"));
        }
        Ok(Self { version, after: after.to_owned(), binding: binding.to_owned() })
    }

    fn version(&self, collection: &Collection) -> Result<u64, Refused> {
        let Some(version) = self.version else { return Ok(collection.version()) };
        collection.refuse_future(version)?;
        if collection.refuse_forgotten(version).is_ok() {
            return Ok(version);
        }
        let resume = Self { version: None, after: self.after.clone(), binding: self.binding.clone() };
        Err(Refused { refusal: status::expired(CONTINUE_EXPIRED), resume: Some(resume.encode()) })
    }
}

/// Returns what a token is bound to: the same objects, selected in the same way.
fn binding(scope: Scope<'_>, list: &List) -> String {
    let mut hasher = blake3::Hasher::new();
    let texts = [
        scope.resource,
        scope.namespace,
        &list.selection.labels.to_string(),
        &list.selection.fields.to_string(),
    ];
    for text in texts {
        hasher.update(&text.len().to_le_bytes());
        hasher.update(text.as_bytes());
    }
    // Sixteen digits tell lists apart; nothing depends on that nobody can make two alike.
    hasher.finalize().to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{collection::Limits, parameters::read::Read, query::Query};

    const LIMITS: Limits = Limits { changes_max: 10, bytes_max: 1 << 20 };
    const ALL: Scope<'_> = Scope { resource: "users.horizon.dev", namespace: "" };
    const DEFAULT: Scope<'_> = Scope { namespace: "default", ..ALL };

    fn object(namespace: &str, name: &str, version: u64) -> Arc<Stored> {
        let labels = json!({ "first": name[..1] });
        let metadata = json!({ "name": name, "namespace": namespace, "resourceVersion": version.to_string(), "labels": labels });
        Stored::new(&json!({ "metadata": metadata }), version, &[])
    }

    fn users() -> Collection {
        let names = ["alice", "anna", "bob", "carol"];
        let objects = names.into_iter().map(|name| object("default", name, 1));
        Collection::new(objects.chain([object("other", "zoe", 1)]), 5, 5, LIMITS)
    }

    fn read(collection: &Collection, scope: Scope<'_>, query: &str) -> Result<Page, Refused> {
        match Read::parse(&Query::parse(query).unwrap(), |_| true).unwrap() {
            Read::List(list) => Page::read(collection, scope, &list),
            Read::Watch(_) => panic!("a watch"),
        }
    }

    fn names(page: &Page) -> String {
        let keys: Vec<&str> = page.items.iter().map(|object| object.key()).collect();
        keys.join(" ").replace("default/", "")
    }

    #[test]
    fn pages_show_one_state() {
        let mut users = users();
        let first = read(&users, DEFAULT, "limit=2").unwrap();
        assert_eq!((names(&first).as_str(), first.version, first.remaining), ("alice anna", 5, Some(2)));
        users.remove("default/bob", 6).unwrap();
        users.put(object("default", "bill", 7)).unwrap();

        let after_one = read(&users, DEFAULT, &format!("limit=1&continue={}", first.continuation)).unwrap();
        let second = read(&users, DEFAULT, &format!("limit=2&continue={}", first.continuation)).unwrap();

        assert_eq!((names(&after_one).as_str(), after_one.remaining), ("bob", Some(1)));
        assert_eq!((names(&second).as_str(), second.version), ("bob carol", 5));
        assert_eq!((second.continuation.as_str(), second.remaining), ("", None));
        assert_eq!(names(&read(&users, DEFAULT, "").unwrap()), "alice anna bill carol");
        assert_eq!(
            names(&read(&users, ALL, "resourceVersion=6&resourceVersionMatch=Exact").unwrap()),
            "alice anna carol other/zoe"
        );
    }

    #[test]
    fn a_selector_fills_its_pages_and_does_not_count() {
        let users = users();

        let first = read(&users, ALL, "limit=1&labelSelector=first+in+(b,z)").unwrap();
        let next = format!("limit=1&labelSelector=first+in+(z,b)&continue={}", first.continuation);
        let second = read(&users, ALL, &next).unwrap();

        assert_eq!((names(&first).as_str(), first.remaining), ("bob", None));
        assert_eq!((names(&second).as_str(), second.continuation.as_str()), ("other/zoe", ""));
    }

    #[test]
    fn an_expired_token_says_how_to_go_on() {
        let mut users = users();
        let first = read(&users, DEFAULT, "limit=2").unwrap();
        for version in 6..=30 {
            users.put(object("default", "carol", version)).unwrap();
        }

        let refused = read(&users, DEFAULT, &format!("limit=1&continue={}", first.continuation)).unwrap_err();

        assert_eq!((refused.refusal.code, refused.refusal.reason.as_str()), (410, "Expired"));
        let resume = refused.resume.clone().unwrap();
        assert_eq!(refused.body()["metadata"]["continue"], resume.as_str());
        let rest = read(&users, DEFAULT, &format!("limit=1&continue={resume}")).unwrap();
        assert_eq!((names(&rest).as_str(), rest.version), ("bob", 30));
        let last = read(&users, DEFAULT, &format!("limit=1&continue={}", rest.continuation)).unwrap();
        assert_eq!((names(&last).as_str(), last.version), ("carol", 30));
    }

    #[test]
    fn tokens_of_other_lists_and_forged_ones_are_refused() {
        let users = users();
        let token = read(&users, DEFAULT, "limit=1").unwrap().continuation;
        let code = |scope, query: &str| read(&users, scope, query).unwrap_err().refusal.code;

        assert_eq!(code(ALL, &format!("continue={token}")), 400);
        assert_eq!(code(DEFAULT, &format!("labelSelector=a&continue={token}")), 400);
        for forged in
            ["abc", "e30", "%21", &URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#)]
        {
            assert_eq!(code(DEFAULT, &format!("continue={forged}")), 400, "{forged}");
        }
        let scope = DEFAULT;
        let list = List {
            selection: Default::default(),
            state: State::Latest,
            limit: None,
            continuation: String::new(),
        };
        let future =
            Token { version: Some(99), after: "a".to_owned(), binding: binding(scope, &list) }.encode();
        assert_eq!(code(DEFAULT, &format!("continue={future}")), 504);
    }

    #[test]
    fn states_that_are_not_known_are_refused() {
        let users = users();
        let refusal = |query: &str| read(&users, ALL, query).unwrap_err().refusal;

        assert_eq!(refusal("resourceVersion=4&resourceVersionMatch=Exact").message, LIST_EXPIRED);
        assert_eq!(
            refusal("resourceVersion=6").message,
            "Timeout: Too large resource version: 6, current: 5"
        );
        assert_eq!(read(&users, ALL, "resourceVersion=4").unwrap().version, 5);
    }

    #[test]
    fn a_list_is_written_from_shared_bytes() {
        let json = read(&users(), DEFAULT, "limit=2").unwrap().json("horizon.dev/v1alpha1", "User");

        let list: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!((&list["kind"], &list["metadata"]["resourceVersion"]), (&json!("UserList"), &json!("5")));
        assert_eq!(list["items"][1]["metadata"]["name"], "anna");
        assert_eq!(list["metadata"]["remainingItemCount"], 2);
        let none = Page { items: vec![], version: 1, continuation: String::new(), remaining: None };
        let list: Value = serde_json::from_slice(&none.json("v1", "Event")).unwrap();
        assert_eq!(list["items"], json!([]));
    }
}
