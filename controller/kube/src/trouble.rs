//! Why the cluster cannot be asked or does not do what it is asked, in words that say what to do.

use horizon_api::resource::{GROUP, Kind};
use kube::runtime::watcher;

/// An answer that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// There is no such thing: for a list, its definition is not installed.
    #[error("{0}")]
    Missing(String),
    /// The service account lacks a right.
    #[error("{0}")]
    Forbidden(String),
    /// It was changed meanwhile, or is there already.
    #[error("{0}")]
    Conflict(String),
    /// The object will never be taken as it is.
    #[error("{0}")]
    Refused(String),
    /// The API server is away or overloaded: later it may answer.
    #[error("{0}")]
    Away(String),
}

impl Trouble {
    /// Says whether the same again may have another outcome although nobody changes anything.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Away(_))
    }

    pub(crate) fn of(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::Away(outermost(error)) };
        let message = status.message.clone();
        match status.code {
            403 => Self::Forbidden(message),
            404 => Self::Missing(message),
            409 => Self::Conflict(message),
            400 | 405..=428 => Self::Refused(message),
            _ => Self::Away(format!("the API server answers {}: {message}", status.code)),
        }
    }

    /// Says why a kind cannot be watched.
    pub(crate) fn of_watch(kind: Kind, error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::of(error).of_list(kind),
            watcher::Error::WatchError(status) => Self::Away(format!(
                "{} cannot be read: the API server ended the watch: {}",
                kind.plural(),
                status.message
            )),
            watcher::Error::NoResourceVersion => Self::Away(error.to_string()),
        }
    }

    /// Says why a kind cannot be listed.
    pub(crate) fn of_list(self, kind: Kind) -> Self {
        let plural = kind.plural();
        match self {
            Self::Missing(_) => Self::Missing(format!(
                "the cluster has no CustomResourceDefinition {plural}.{GROUP}: install the ones in crds/"
            )),
            Self::Forbidden(why) => Self::Forbidden(format!(
                "the controller may not list and watch {plural}: give its service account that right ({why})"
            )),
            Self::Conflict(why) | Self::Refused(why) | Self::Away(why) => {
                Self::Away(format!("{plural} cannot be read: {why}"))
            }
        }
    }
}

/// The last cause says most: `connection refused` rather than `client error`.
fn outermost(error: &kube::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    format!("the API server is not reached: {last}")
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answered(code: u16, reason: &str) -> kube::Error {
        kube::Error::Api(Status::failure("the message", reason).with_code(code).boxed())
    }

    #[test]
    fn answers_are_told_apart_by_what_to_do() {
        let of = |code, reason: &str| Trouble::of(&answered(code, reason));

        assert_eq!(of(403, "Forbidden"), Trouble::Forbidden("the message".into()));
        assert_eq!(of(404, "NotFound"), Trouble::Missing("the message".into()));
        assert_eq!(of(409, "Conflict"), Trouble::Conflict("the message".into()));
        assert_eq!(of(422, "Invalid"), Trouble::Refused("the message".into()));
        assert!(of(503, "ServiceUnavailable").is_passing());
        assert!(of(429, "TooManyRequests").is_passing());
        // A token that has run out is renewed by whoever mounts it.
        assert!(of(401, "Unauthorized").is_passing());
        assert!(!of(403, "Forbidden").is_passing());
    }

    #[test]
    fn a_kind_without_definition_says_what_to_install() {
        let error = watcher::Error::InitialListFailed(answered(404, "NotFound"));

        let said = Trouble::of_watch(Kind::Network, &error).to_string();

        assert!(said.contains("networks.horizon.dev") && said.contains("crds/"), "{said}");
    }
}
