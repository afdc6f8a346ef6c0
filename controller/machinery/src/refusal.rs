//! Why a request was refused, as an API server says it: what becomes a `Status` object.
//!
//! Words and codes are those of Kubernetes' `apimachinery/pkg/api/errors`, so that every client understands them.

use std::fmt;

use crate::{field_cause, gotext::quoted};

/// Why a request was refused (`metav1.Status`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The HTTP status code.
    pub code: u16,
    /// The word that programs look at.
    pub reason: Reason,
    /// The sentence that people read.
    pub message: String,
    /// What it is about; boxed because refusals travel in every `Result`.
    pub details: Option<Box<Details>>,
}

/// What a refusal is about (`metav1.StatusDetails`). Empty texts are left out of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The API group, such as `horizon.dev`.
    pub group: String,
    /// The kind (`Network`) where the object's content was refused, else the resource (`networks`).
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The object's uid, where the refusal is about one certain object.
    pub uid: String,
    /// What was wrong, one by one.
    pub causes: Vec<Cause>,
    /// When to try again, if that may help.
    pub retry_after_seconds: Option<u32>,
}

/// One thing that was wrong (`metav1.StatusCause`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The word that programs look at.
    pub reason: CauseReason,
    /// The sentence that people read.
    pub message: String,
    /// The field's path as JSON writes it, such as `spec.ports[0]`; server-side apply writes `.spec.ports`.
    pub field: String,
}

/// How many causes one answer names: more would fill it and help nobody.
pub(crate) const CAUSES_MAX: usize = 100;

/// What is found wrong, up to a hundred causes. Whoever looks for more asks [`Causes::is_full`] before.
#[derive(Debug, Default)]
pub(crate) struct Causes(Vec<Cause>);

impl Causes {
    /// Takes a cause, unless there are enough.
    pub(crate) fn push(&mut self, cause: Cause) {
        if !self.is_full() {
            self.0.push(cause);
        }
    }

    /// Takes causes until there are enough; the rest is not even made.
    pub(crate) fn extend(&mut self, causes: impl IntoIterator<Item = Cause>) {
        let room = CAUSES_MAX - self.0.len();
        self.0.extend(causes.into_iter().take(room));
    }

    /// Says whether there are enough.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= CAUSES_MAX
    }

    /// Says whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns them in the order in which they were found.
    pub(crate) fn into_vec(self) -> Vec<Cause> {
        self.0
    }
}

/// The word of a refusal (`metav1.StatusReason`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    Invalid,
    Timeout,
    TooManyRequests,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InternalError,
    Expired,
    ServiceUnavailable,
    /// A failure that has no word; the API server leaves the reason out of the answer.
    Unknown,
}

/// The word of a cause (`metav1.CauseType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CauseReason {
    FieldValueNotFound,
    FieldValueRequired,
    FieldValueDuplicate,
    FieldValueInvalid,
    FieldValueNotSupported,
    FieldValueForbidden,
    FieldValueTooLong,
    FieldValueTooMany,
    FieldValueTypeInvalid,
    FieldManagerConflict,
    ResourceVersionTooLarge,
    UnexpectedServerResponse,
}

/// What refusals call an object: a kind or resource of a group, and a name.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The API group; empty for core.
    pub group: &'a str,
    /// The kind or the plural resource, whichever the refusal speaks of.
    pub kind: &'a str,
    /// The object's name.
    pub name: &'a str,
}

impl Refusal {
    /// Refuses without details.
    pub fn plain(code: u16, reason: Reason, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    /// Refuses a request that makes no sense: 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::plain(400, Reason::BadRequest, message)
    }

    /// Refuses a request about an object that does not exist: 404. `about.kind` is the resource.
    pub fn not_found(about: About<'_>) -> Self {
        Self::about(404, Reason::NotFound, about, format!("{about} not found"), vec![])
    }

    /// Refuses to create what exists: 409. `about.kind` is the resource.
    pub fn already_exists(about: About<'_>) -> Self {
        Self::about(409, Reason::AlreadyExists, about, format!("{about} already exists"), vec![])
    }

    /// Refuses a write that would undo another's: 409. `about.kind` is the resource.
    pub fn conflict(about: About<'_>, why: impl fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {about}: {why}");
        Self::about(409, Reason::Conflict, about, message, vec![])
    }

    /// Refuses what the caller may not do: 403. `about.kind` is the resource.
    pub fn forbidden(about: About<'_>, why: impl fmt::Display) -> Self {
        Self::about(403, Reason::Forbidden, about, format!("{about} is forbidden: {why}"), vec![])
    }

    /// Refuses an object for what is in it: 422. `about.kind` is the kind. The sentence names every cause, of which
    /// there are at most a hundred.
    pub fn invalid(about: About<'_>, mut causes: Vec<Cause>) -> Self {
        causes.truncate(CAUSES_MAX);
        let why = field_cause::sentence(&causes);
        Self::about(422, Reason::Invalid, about, format!("{about} is invalid: {why}"), causes)
    }

    /// Refuses a write that others own fields of: 409, without saying which object it is, as an API server does.
    pub fn owned_by_others(message: impl Into<String>, causes: Vec<Cause>) -> Self {
        let details = Details { causes, ..Details::default() };
        Self { details: Some(Box::new(details)), ..Self::plain(409, Reason::Conflict, message) }
    }

    /// Refuses a body of a kind that is not read: 415, naming what is.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let list = accepted.join(", ");
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {list}"
        );
        Self::plain(415, Reason::UnsupportedMediaType, message)
    }

    /// Refuses a body or a patch that is too large: 413.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::plain(413, Reason::RequestEntityTooLarge, message)
    }

    /// Returns the causes, none if there are no details.
    pub fn causes(&self) -> &[Cause] {
        self.details.as_ref().map_or(&[], |details| &details.causes)
    }

    fn about(code: u16, reason: Reason, about: About<'_>, message: String, causes: Vec<Cause>) -> Self {
        let About { group, kind, name } = about;
        let (group, kind, name) = (group.to_owned(), kind.to_owned(), name.to_owned());
        let details = Details { group, kind, name, causes, ..Details::default() };
        Self { code, reason, message, details: Some(Box::new(details)) }
    }
}

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            "" => write!(f, "{} {}", self.kind, quoted(self.name)),
            group => write!(f, "{}.{group} {}", self.kind, quoted(self.name)),
        }
    }
}

impl Reason {
    /// Returns the word as it stands in a `Status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Invalid => "Invalid",
            Self::Timeout => "Timeout",
            Self::TooManyRequests => "TooManyRequests",
            Self::BadRequest => "BadRequest",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::InternalError => "InternalError",
            Self::Expired => "Expired",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Unknown => "",
        }
    }
}

impl CauseReason {
    /// Returns the word as it stands in a `Status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FieldValueNotFound => "FieldValueNotFound",
            Self::FieldValueRequired => "FieldValueRequired",
            Self::FieldValueDuplicate => "FieldValueDuplicate",
            Self::FieldValueInvalid => "FieldValueInvalid",
            Self::FieldValueNotSupported => "FieldValueNotSupported",
            Self::FieldValueForbidden => "FieldValueForbidden",
            Self::FieldValueTooLong => "FieldValueTooLong",
            Self::FieldValueTooMany => "FieldValueTooMany",
            Self::FieldValueTypeInvalid => "FieldValueTypeInvalid",
            Self::FieldManagerConflict => "FieldManagerConflict",
            Self::ResourceVersionTooLarge => "ResourceVersionTooLarge",
            Self::UnexpectedServerResponse => "UnexpectedServerResponse",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFICE: About<'_> = About { group: "horizon.dev", kind: "networks", name: "office" };

    #[test]
    fn sentences_are_those_of_an_api_server() {
        assert_eq!(Refusal::not_found(OFFICE).message, "networks.horizon.dev \"office\" not found");
        assert_eq!(Refusal::already_exists(OFFICE).message, "networks.horizon.dev \"office\" already exists");
        let core = About { group: "", kind: "namespaces", name: "office" };
        assert_eq!(Refusal::not_found(core).message, "namespaces \"office\" not found");
        let odd = About { name: "a\u{1}\u{a0}", ..core };
        assert_eq!(Refusal::not_found(odd).message, "namespaces \"a\\x01\\u00a0\" not found");
        let conflict = Refusal::conflict(OFFICE, "it was changed");
        assert_eq!(
            conflict.message,
            "Operation cannot be fulfilled on networks.horizon.dev \"office\": it was changed"
        );
    }

    #[test]
    fn no_more_causes_are_kept_or_made_than_are_told() {
        let made = std::cell::Cell::new(0);
        let cause = |number: usize| {
            made.set(made.get() + 1);
            field_cause::required(format!("spec.x{number}"), "")
        };
        let mut causes = Causes::default();
        causes.push(cause(0));
        causes.extend((1..1_000_000).map(cause));
        causes.push(cause(0));

        assert_eq!((made.get(), causes.is_full(), causes.into_vec().len()), (CAUSES_MAX + 1, true, 100));
        let many = (0..1000).map(cause).collect();
        assert_eq!(Refusal::invalid(OFFICE, many).causes().len(), 100);
    }

    #[test]
    fn every_cause_is_in_the_sentence() {
        let about = About { kind: "Network", ..OFFICE };
        let cause = |field: &str| Cause {
            reason: CauseReason::FieldValueRequired,
            message: "Required value".to_owned(),
            field: field.to_owned(),
        };

        let one = Refusal::invalid(about, vec![cause("spec")]);
        let two = Refusal::invalid(about, vec![cause("spec"), cause("spec.mtu")]);

        assert_eq!(one.message, "Network.horizon.dev \"office\" is invalid: spec: Required value");
        assert_eq!(
            two.message,
            "Network.horizon.dev \"office\" is invalid: [spec: Required value, spec.mtu: Required value]"
        );
        assert_eq!(two.causes().len(), 2);
    }
}
