//! Values as they stand in JSON, with the defaults of their schemas.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value as Json};

use crate::schema::Schema;

/// What an expression comes to. Parts of a value go with their schema, which knows the defaults.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known<'a> {
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Prefix(IpNet),
    /// Seconds.
    Span(u32),
    List(&'a [Json], Option<&'a Schema>),
    Map(&'a Map<String, Json>, Option<&'a Schema>),
}

/// Nulls stand nowhere but in lists, and what is no whole number in no schema: the engine knows what to do.
pub(super) fn known<'a>(json: &'a Json, schema: Option<&'a Schema>) -> Option<Known<'a>> {
    match json {
        Json::Bool(value) => Some(Known::Bool(*value)),
        Json::Number(number) => number.as_i64().map(Known::Int),
        Json::String(text) => Some(Known::Text(text)),
        Json::Array(items) => Some(Known::List(items, schema.and_then(|schema| schema.items.as_deref()))),
        Json::Object(fields) => Some(Known::Map(fields, schema)),
        Json::Null => None,
    }
}

/// A map with the defaults of its schema.
pub(super) struct Fields<'a>(&'a Map<String, Json>, Option<&'a Schema>);

impl<'a> Fields<'a> {
    fn written(&self, name: &str) -> Option<&'a Json> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn schema(&self, name: &str) -> Option<&'a Schema> {
        self.1.and_then(|schema| schema.properties.get(name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.written(name).is_some() || self.schema(name).is_some_and(|schema| schema.default.is_some())
    }

    pub(super) fn field(&self, name: &str) -> Option<Known<'a>> {
        let schema = self.schema(name);
        let default = || schema.and_then(|schema| schema.default.as_ref());
        let values = || self.1.and_then(|schema| schema.additional_properties.as_deref());
        known(self.written(name).or_else(default)?, schema.or_else(values))
    }
}

/// Reads a prefix. Addresses of IPv4 in those of IPv6 are left to the engine, which refuses them.
pub(super) fn prefix(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().filter(|prefix| !is_mapped(prefix.addr()))
}

/// Reads an address; see [`prefix`].
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().filter(|address| !is_mapped(*address))
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

impl<'a> Known<'a> {
    pub(super) fn bool(self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(value) } else { None }
    }

    pub(super) fn int(self) -> Option<i64> {
        if let Self::Int(value) = self { Some(value) } else { None }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn prefix(self) -> Option<IpNet> {
        if let Self::Prefix(prefix) = self { Some(prefix) } else { None }
    }

    pub(super) fn list(self) -> Option<(&'a [Json], Option<&'a Schema>)> {
        if let Self::List(items, schema) = self { Some((items, schema)) } else { None }
    }

    pub(super) fn map(self) -> Option<Fields<'a>> {
        if let Self::Map(fields, schema) = self { Some(Fields(fields, schema)) } else { None }
    }

    pub(super) fn equals(self, other: Self) -> Option<bool> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a == b),
            (Self::Int(a), Self::Int(b)) => Some(a == b),
            (Self::Text(a), Self::Text(b)) => Some(a == b),
            (
                Self::Bool(_)
                | Self::Int(_)
                | Self::Text(_)
                | Self::Prefix(_)
                | Self::Span(_)
                | Self::List(..)
                | Self::Map(..),
                _,
            ) => None,
        }
    }

    pub(super) fn is_at_least(self, other: Self) -> Option<bool> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a >= b),
            (Self::Span(a), Self::Span(b)) => Some(a >= b),
            (Self::Text(a), Self::Text(b)) => Some(a >= b),
            (
                Self::Bool(_)
                | Self::Int(_)
                | Self::Text(_)
                | Self::Prefix(_)
                | Self::Span(_)
                | Self::List(..)
                | Self::Map(..),
                _,
            ) => None,
        }
    }
}
