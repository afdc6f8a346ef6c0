//! How text types look in a schema: stand-ins for `#[schemars(with = …)]`, because the types themselves
//! carry no schema and most of them are not ours.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{ClockTime, Period, PortRange, TokenHash, pattern};
use crate::name::Name;

macro_rules! text_schema {
    ($($(#[$doc:meta])* $name:ident: $schema:tt,)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

text_schema! {
    /// A [`Name`].
    Label: {"type": "string", "minLength": 1, "maxLength": Name::CHARS_MAX, "pattern": Name::PATTERN},
    /// A prefix such as `10.77.0.0/16`. The longest is an IPv6 prefix with an IPv4 tail.
    Cidr: {
        "type": "string",
        "minLength": 1,
        "maxLength": 49,
        "pattern": pattern::CIDR,
        "x-kubernetes-validations": [{
            "rule": pattern::CIDR_RULE,
            "message": "must be a prefix without bits behind its length; such as 10.77.0.0/16 or fd77:1::/48",
        }],
    },
    /// An IPv4 or IPv6 address.
    Ip: {
        "type": "string",
        "minLength": 1,
        "maxLength": 45,
        "pattern": pattern::IP,
        "x-kubernetes-validations": [{
            "rule": pattern::IP_RULE,
            "message": "must be an IP address; such as 10.77.0.20 or fd77:1::20",
        }],
    },
    /// A moment (RFC 3339).
    Time: {"type": "string", "format": "date-time", "maxLength": 64},
    /// An ed25519 public key.
    PublicKey: {"type": "string", "maxLength": 52, "pattern": pattern::PUBLIC_KEY},
    /// A [`TokenHash`].
    Hash: {"type": "string", "maxLength": 71, "pattern": TokenHash::PATTERN},
    /// A [`Period`].
    Duration: {"type": "string", "minLength": 1, "maxLength": 20, "pattern": Period::PATTERN},
    /// Labels to select objects by.
    Labels: {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 63, "pattern": pattern::LABEL_VALUE},
    },
    /// A [`ClockTime`].
    DayTime: {
        "type": "string",
        "maxLength": 5,
        "pattern": ClockTime::PATTERN,
        "x-kubernetes-validations": [{
            "rule": pattern::DAY_TIME_RULE,
            "message": "must be a time from 00:00 to 24:00; such as `08:30`",
        }],
    },
    /// A zone of the IANA time zone database.
    TimeZone: {"type": "string", "minLength": 1, "maxLength": 64, "pattern": pattern::TIME_ZONE},
    /// A DNS name.
    DnsName: {"type": "string", "minLength": 1, "maxLength": 253, "pattern": pattern::DNS_NAME},
    /// An `ID` of os-release(5).
    OsId: {"type": "string", "minLength": 1, "maxLength": 32, "pattern": pattern::OS_ID},
    /// A version of a system.
    OsVersion: {"type": "string", "minLength": 1, "maxLength": 32, "pattern": pattern::OS_VERSION},
    /// A [`PortRange`].
    Ports: {
        "type": "string",
        "maxLength": 11,
        "pattern": PortRange::PATTERN,
        "x-kubernetes-validations": [{
            "rule": pattern::PORTS_RULE,
            "message": "must be a port from 1 to 65535, or a range that does not run backwards; such as `8000-8010`",
        }],
    },
}

/// Takes away what a Kubernetes schema may not say: it prunes unknown fields, it does not refuse them.
pub(super) fn without_additional_properties(schema: &mut Schema) {
    schema.remove("additionalProperties");
}
