//! Where the link stands, in words for people.

use super::{Problem, State, Step};
use crate::api::StateName;

impl State {
    pub(crate) fn name(&self) -> StateName {
        match self {
            Self::Disconnected => StateName::Disconnected,
            Self::Connecting(_) => StateName::Connecting,
            Self::Connected { .. } => StateName::Connected,
            Self::Reconnecting => StateName::Reconnecting,
            Self::Blocked(_) => StateName::Blocked,
        }
    }

    /// Returns one sentence of what happened, and one of what to do, empty when there is nothing to do.
    pub(crate) fn explain(&self, last_problem: Option<&Problem>) -> Problem {
        match self {
            Self::Disconnected => Problem::new("no link", "run `horizon connect`"),
            Self::Connecting(Step::LookUp) => Problem::new("looking up servers", ""),
            Self::Connecting(Step::Dial { server }) => Problem::new(format!("asking server {server}"), ""),
            Self::Connecting(Step::Configure { server }) => {
                Problem::new(format!("server {server} accepted, setting addresses and routes"), "")
            }
            Self::Connecting(Step::Wait) => match last_problem {
                Some(problem) => Problem::new(format!("trying again: {}", problem.message), &problem.hint),
                None => Problem::new("trying again in a moment", ""),
            },
            Self::Connected { server } => Problem::new(format!("connected through server {server}"), ""),
            Self::Reconnecting => {
                let reason = last_problem.map_or("it ended", |problem| &problem.message);
                Problem::new(
                    format!(
                        "the link is gone ({reason}), making another; packets for it wait for nobody meanwhile"
                    ),
                    "wait, or run `horizon disconnect` to leave the network",
                )
            }
            Self::Blocked(problem) => problem.clone(),
        }
    }
}
