//! What the controller's HTTP face and its readers (console, CLI, tests) say to each other.
//!
//! [`View`] is the whole picture; [`LiveEvent`]s carry its changes; `control` is for the socket on the host.
//! Times are unix milliseconds of the controller's clock; bytes are those of the links that are up.

mod check;
mod control;
mod guard;
mod keys;
mod live;
mod policy;
mod session;
mod token;
mod trust;
mod view;

pub use check::{CheckAnswer, CheckedObject};
pub use control::{
    BackupRequest, InviteAnswer, InviteKind, InviteRequest, Readiness, SignInLink, SignInRequest,
    StatusReport,
};
pub use guard::{
    ApproveDeviceRequest, ApproveRequest, ArmRequest, ArmedView, ChangeKind, Done, EffectView, GatewayWord,
    HeldPlan, HoldRequest, HoldView, ObjectChange, ObjectReport, ObjectRequest, ObjectView, OwnerKind, Place,
    PlanAnswer, PlanRequest, ReleaseRequest, StaleView,
};
pub use keys::{GatewayKeyView, KeyState, KeysAnswer, KeysRequest, OnlineKeyView, OwnKey, OwnKeys};
pub use live::LiveEvent;
pub use policy::{ChangeView, PathView, PolicyAnswer, PolicyQuestion, RuleView};
pub use session::{CSRF_HEADER, SessionAnswer, SessionRequest};
pub use token::{EndTokensRequest, TokenAnswer, TokenList, TokenRequest, TokenView};
pub use trust::{
    AddressView, ChallengeView, EvidenceLevel, EvidenceView, FailureView, ServerReport, TpmView, TrustView,
};
pub use view::{DeviceView, EventSeverity, EventView, KeyView, LastUse, ServerView, SourceView, View};

use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// One word for programs, such as `SignedOut`.
    pub code: String,
    /// One sentence: what happened.
    pub message: String,
    /// One sentence: what to do; empty when there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl ApiError {
    /// Returns an error with a word for programs and two sentences for people.
    pub fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), hint: hint.into() }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.hint.as_str() {
            "" => f.write_str(&self.message),
            hint => write!(f, "{} ({hint})", self.message),
        }
    }
}

impl std::error::Error for ApiError {}
