//! What an operator writes: one file a kind under `resource/`, and what all kinds share.
//!
//! The types are the schema: `crds/*.yaml` is made from them, and every door checks against those schemas.
//! A field that nothing enforces is not in the type.

#![cfg_attr(
    feature = "crd",
    allow(clippy::duplicated_attributes, reason = "every print column has a name, a type and a path"),
    allow(
        unreachable_pub,
        reason = "the derive copies each type, as public as it is, to where nobody reaches it"
    )
)]

mod access_policy;
mod access_test;
mod admin;
mod alert_rule;
mod clock_time;
mod connection_profile;
mod device;
mod key;
mod key_text;
mod kind;
mod metadata;
mod network;
pub mod pattern;
mod period;
mod personal_key;
mod port_range;
mod posture;
mod reference;
mod registration_key;
#[cfg(feature = "crd")]
mod rule;
#[cfg(feature = "crd")]
pub mod schema;
mod server;
mod status;
mod texts;
mod token_hash;
mod user;
mod window;

use std::sync::Arc;

use serde::{Serialize, Serializer, de::DeserializeOwned};

#[cfg(feature = "crd")]
pub use self::{
    access_policy::AccessPolicy, access_test::AccessTest, admin::Admin, alert_rule::AlertRule,
    connection_profile::ConnectionProfile, device::Device, network::Network, personal_key::PersonalKey,
    registration_key::RegistrationKey, server::Server, user::User,
};
pub use self::{
    access_policy::{
        AccessPolicySpec, Action, DestinationSelector, Discover, PolicyRule, Protocol, ServiceClass,
        SourceSelector,
    },
    access_test::{AccessCase, AccessTestSpec, CaseDestination, CaseSource, Expectation, OnFailure},
    admin::{AdminAuth, AdminRole, AdminSpec},
    alert_rule::{AlertMatch, AlertRuleSpec, AlertSeverity, Channel, SecretReference, Signal},
    clock_time::{ClockTime, ClockTimeError},
    connection_profile::{
        AudienceSelector, ConnectionProfileSpec, DnsMode, Routing, RoutingMode, ServerSelector,
    },
    device::DeviceSpec,
    key::{KeyParseError, ObjectKey},
    kind::{Kind, UnknownKind},
    metadata::Metadata,
    network::{
        AddressPool, Broadcast, Dns, EndToEnd, Lan, LanMode, LanPreset, NetworkSpec, NewDevices, PostQuantum,
    },
    period::{Period, PeriodError},
    personal_key::PersonalKeySpec,
    port_range::{PortRange, PortRangeError},
    posture::PostureSelector,
    reference::Reference,
    registration_key::{Generate, Grants, OnRevoke, RegistrationKeySpec, RegistrationRole},
    server::{
        AdminState, Capacity, Endpoint, Exit, LanInterface, OnSuspicion, ServerIdentity, ServerSpec,
        SubnetRoute, Verification,
    },
    status::Status,
    texts::Texts,
    token_hash::{TokenHash, TokenHashError},
    user::UserSpec,
    window::{Day, Window},
};

/// The group of all kinds.
pub const GROUP: &str = "horizon.dev";
/// The version of all kinds.
pub const VERSION: &str = "v1alpha1";
/// What `apiVersion` says.
pub const API_VERSION: &str = "horizon.dev/v1alpha1";
/// The namespace of an object that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The spec of any kind. Clones share it: an object is declared, in force and compared with others at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceSpec {
    Network(Arc<NetworkSpec>),
    Server(Arc<ServerSpec>),
    RegistrationKey(Arc<RegistrationKeySpec>),
    User(Arc<UserSpec>),
    PersonalKey(Arc<PersonalKeySpec>),
    Device(Arc<DeviceSpec>),
    AccessPolicy(Arc<AccessPolicySpec>),
    AccessTest(Arc<AccessTestSpec>),
    ConnectionProfile(Arc<ConnectionProfileSpec>),
    Admin(Arc<AdminSpec>),
    AlertRule(Arc<AlertRuleSpec>),
}

impl ResourceSpec {
    /// Reads the spec of a kind from JSON and fills in the defaults.
    ///
    /// # Errors
    /// When the JSON does not fit the type; structural validation says it better and first.
    pub fn from_json(kind: Kind, json: serde_json::Value) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            Kind::Network => Self::Network(shared(json)?),
            Kind::Server => Self::Server(shared(json)?),
            Kind::RegistrationKey => Self::RegistrationKey(shared(json)?),
            Kind::User => Self::User(shared(json)?),
            Kind::PersonalKey => Self::PersonalKey(shared(json)?),
            Kind::Device => Self::Device(shared(json)?),
            Kind::AccessPolicy => Self::AccessPolicy(shared(json)?),
            Kind::AccessTest => Self::AccessTest(shared(json)?),
            Kind::ConnectionProfile => Self::ConnectionProfile(shared(json)?),
            Kind::Admin => Self::Admin(shared(json)?),
            Kind::AlertRule => Self::AlertRule(shared(json)?),
        })
    }

    /// Returns the one JSON text of this spec, with its defaults written out.
    pub fn canonical_json(&self) -> String {
        serde_json::to_string(self).expect("our own types have string keys only and no failing serialisers")
    }

    /// Returns which kind of resource this is the spec of.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Network(_) => Kind::Network,
            Self::Server(_) => Kind::Server,
            Self::RegistrationKey(_) => Kind::RegistrationKey,
            Self::User(_) => Kind::User,
            Self::PersonalKey(_) => Kind::PersonalKey,
            Self::Device(_) => Kind::Device,
            Self::AccessPolicy(_) => Kind::AccessPolicy,
            Self::AccessTest(_) => Kind::AccessTest,
            Self::ConnectionProfile(_) => Kind::ConnectionProfile,
            Self::Admin(_) => Kind::Admin,
            Self::AlertRule(_) => Kind::AlertRule,
        }
    }
}

impl Serialize for ResourceSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Network(spec) => spec.as_ref().serialize(serializer),
            Self::Server(spec) => spec.as_ref().serialize(serializer),
            Self::RegistrationKey(spec) => spec.as_ref().serialize(serializer),
            Self::User(spec) => spec.as_ref().serialize(serializer),
            Self::PersonalKey(spec) => spec.as_ref().serialize(serializer),
            Self::Device(spec) => spec.as_ref().serialize(serializer),
            Self::AccessPolicy(spec) => spec.as_ref().serialize(serializer),
            Self::AccessTest(spec) => spec.as_ref().serialize(serializer),
            Self::ConnectionProfile(spec) => spec.as_ref().serialize(serializer),
            Self::Admin(spec) => spec.as_ref().serialize(serializer),
            Self::AlertRule(spec) => spec.as_ref().serialize(serializer),
        }
    }
}

fn shared<T: DeserializeOwned>(json: serde_json::Value) -> Result<Arc<T>, serde_json::Error> {
    serde_json::from_value(json).map(Arc::new)
}

fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_survives_its_canonical_json() {
        let json = serde_json::json!({"addressPools": [{"cidr": "10.77.0.0/24"}]});

        let spec = ResourceSpec::from_json(Kind::Network, json).expect("valid");
        let again = ResourceSpec::from_json(
            Kind::Network,
            serde_json::from_str(&spec.canonical_json()).expect("JSON"),
        );

        assert_eq!(again.expect("valid"), spec);
        assert_eq!(
            spec.canonical_json(),
            r#"{"addressPools":[{"cidr":"10.77.0.0/24","reserved":[]}],"mtu":1380,"pq":"Preferred","offlineGrace":"12h","e2e":"Disabled"}"#
        );
    }

    #[test]
    fn unknown_fields_are_refused() {
        let json = serde_json::json!({"displayName": "Alice", "shoeSize": 42});

        assert!(ResourceSpec::from_json(Kind::User, json).is_err());
    }
}
