//! What `policy why` and `policy can` ask and are told.

use serde::{Deserialize, Serialize};

/// `POST /v1/policy`: may the source begin this?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyQuestion {
    /// Of names that say none.
    pub namespace: String,
    /// A user or device, `user:`, `device:`, `group:`, `tag:` or `server:` and a name, an address or a prefix.
    pub source: String,
    /// The same, with a port and a protocol, such as `nas:445/udp`.
    pub destination: String,
    /// Unix seconds; the present when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyAnswer {
    /// Whether it is allowed for every pair that was asked about.
    pub allowed: bool,
    /// One word for programs: `Rule`, `NoRule`, `Differs`, `Off`, `OtherNetwork`, `NoRoute`, `NoGateway`, `NoFamily`,
    /// `NoMember` or `Same`.
    pub code: String,
    /// One sentence, such as `allowed by staff-to-files#0 (policy.yaml:12)`.
    pub reason: String,
    /// The rule that gives the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleView>,
    /// The way that the verdict is about; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathView>,
    /// Unix seconds: the moment that was asked about.
    pub at: i64,
    /// When time alone changes the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeView>,
    /// What may be worth knowing, one sentence each.
    pub notes: Vec<String>,
    /// How many pairs of ends were looked at, and for how many of them it is allowed.
    pub pairs: usize,
    pub pairs_allowed: usize,
}

/// A rule of an AccessPolicy, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    pub namespace: String,
    pub policy: String,
    /// Its place in `spec.rules`, from 0.
    pub index: usize,
    pub file: String,
    /// Of the policy, from 1; 0 when it stands in no file.
    pub line: u32,
}

/// From where to where, and in which network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathView {
    pub network: String,
    /// For people, such as `device laptop of alice`.
    pub source: String,
    pub source_address: String,
    pub destination: String,
    pub destination_address: String,
    /// Such as `tcp 445`.
    pub flow: String,
}

/// What the verdict will be, and from when on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeView {
    /// Unix seconds.
    pub at: i64,
    /// The same moment for people, with what the clocks show that a window goes by.
    pub when: String,
    pub allowed: bool,
    pub reason: String,
}

impl std::fmt::Display for RuleView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { policy, index, file, line, .. } = self;
        match line {
            0 => write!(f, "{policy}#{index} ({file})"),
            line => write!(f, "{policy}#{index} ({file}:{line})"),
        }
    }
}
