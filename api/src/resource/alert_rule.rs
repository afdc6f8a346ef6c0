//! `AlertRule`: which signal wakes whom.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Period, is_false};
use crate::name::Name;

/// Which signal wakes whom, how severe it is, and by which channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "crd",
    kube(
        group = "horizon.dev",
        version = "v1alpha1",
        kind = "AlertRule",
        namespaced,
        status = "super::Status",
        shortname = "hal",
        category = "horizon",
        doc = "Which signal wakes whom, how severe it is, and by which channel.",
        printcolumn(name = "Signal", type_ = "string", json_path = ".spec.signal"),
        printcolumn(name = "Severity", type_ = "string", json_path = ".spec.severity"),
        printcolumn(
            name = "Firing",
            type_ = "string",
            json_path = ".status.conditions[?(@.type=='Firing')].status"
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertRuleSpec {
    /// What is watched.
    pub signal: Signal,
    /// How much of it, in the unit of the signal.
    #[serde(default = "threshold_default")]
    #[cfg_attr(feature = "crd", schemars(range(min = 1, max = 1000000)))]
    pub threshold: u32,
    /// How long it must last before anybody is woken; at most 24h.
    #[serde(default)]
    #[cfg_attr(feature = "crd", schemars(with = "super::schema::Duration"))]
    #[cfg_attr(feature = "crd", x_kube(validation = super::rule::at_most("24h", "5m")))]
    pub for_duration: Period,
    /// How bad it is.
    #[serde(default)]
    pub severity: AlertSeverity,
    /// Only about objects with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "match")]
    pub matching: Option<AlertMatch>,
    /// Who is told.
    #[cfg_attr(feature = "crd", schemars(length(min = 1, max = 16)))]
    pub notify: Vec<Channel>,
    /// Exists, but wakes nobody.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// What an alert watches; each says its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum Signal {
    /// Gateways that are not connected.
    GatewayDisconnected,
    /// Gateways that refuse their configuration.
    GatewayRefused,
    /// Refused sign-ins in ten minutes, of one source or one key.
    SignInFailures,
    /// Refused joins in ten minutes.
    JoinFailures,
    /// Security events of at least this rule's severity in ten minutes.
    SecurityEvents,
    /// Days that are left until a key, a user or a delegation expires.
    ExpiresSoon,
    /// Problems in the sources.
    SourceProblems,
    /// Plans that wait for approval.
    PlansHeld,
}

/// How bad something is, as OCSF counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(schemars::JsonSchema))]
pub enum AlertSeverity {
    Info,
    Low,
    #[default]
    Medium,
    High,
    Critical,
}

/// What an alert is restricted to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertMatch {
    /// Labels that the object must have, all of them.
    #[cfg_attr(feature = "crd", schemars(with = "super::schema::Labels"))]
    pub labels: BTreeMap<String, String>,
}

/// A way to tell somebody: exactly one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[cfg_attr(feature = "crd", x_kube(validation = super::rule::exactly_one(&["webhookSecretRef", "email"])))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Channel {
    /// The Secret that holds the address of a webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret_ref: Option<SecretReference>,
    /// An address for mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "crd", schemars(length(max = 254), regex(pattern = super::pattern::EMAIL)))]
    pub email: Option<String>,
}

/// Names one value of a Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "crd", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretReference {
    /// The name of the Secret.
    #[cfg_attr(feature = "crd", schemars(with = "super::schema::Label"))]
    pub name: Name,
    /// Which of its values.
    #[cfg_attr(
        feature = "crd",
        schemars(length(min = 1, max = 253), regex(pattern = super::pattern::SECRET_KEY))
    )]
    pub key: String,
}

/// One is enough to be told.
fn threshold_default() -> u32 {
    1
}
