//! Specs made by walking schemas: sound ones for the most part, with what rules may meet in them.
//! Whoever includes it has `Schema` and `Type` in scope.

#![allow(dead_code, unreachable_pub, reason = "each program that includes it uses another part")]

use serde_json::{Value as Json, json};

use super::{Schema, Type};

/// Returns a number below another one, which is more than 0.
pub type Below<'a> = dyn FnMut(usize) -> usize + 'a;

/// Returns a value that the structural check of a schema takes, in most cases.
pub fn value(schema: &Schema, below: &mut Below<'_>) -> Json {
    match below(48) {
        0 => return json!(null),
        1 => return json!(SAMPLES[below(SAMPLES.len())]),
        _ => {}
    }
    match schema.kind {
        Type::Object => object(schema, below),
        Type::Array => list(schema, below),
        Type::String => text(schema, below),
        Type::Integer => integer(schema, below),
        Type::Boolean => json!(below(2) == 0),
    }
}

fn object(schema: &Schema, below: &mut Below<'_>) -> Json {
    let mut fields = serde_json::Map::new();
    // Most rules count fields: few, one, or many of them.
    let chance = [2, 4, 12][below(3)];
    for (name, property) in &schema.properties {
        if schema.required.contains(name) || below(chance) == 0 {
            fields.insert(name.clone(), value(property, below));
        }
    }
    if let Some(values) = &schema.additional_properties {
        for name in ["team", "site"].iter().take(below(3)) {
            fields.insert((*name).to_owned(), value(values, below));
        }
    }
    Json::Object(fields)
}

fn list(schema: &Schema, below: &mut Below<'_>) -> Json {
    let least = schema.min_items.unwrap_or(0);
    let most = schema.max_items.unwrap_or(64);
    let length = match below(24) {
        0 => most,
        length => length % 4,
    };
    let length = length.clamp(least.min(most), most.min(16));
    let items = schema.items.as_deref();
    Json::Array(items.map(|items| (0..length).map(|_| value(items, below)).collect()).unwrap_or_default())
}

fn text(schema: &Schema, below: &mut Below<'_>) -> Json {
    if !schema.values.is_empty() {
        return json!(schema.values[below(schema.values.len())]);
    }
    if schema.format.is_some() {
        return json!("2031-01-31T08:00:00Z");
    }
    let fits = |sample: &&&str| schema.pattern.as_ref().is_none_or(|pattern| pattern.matches(sample));
    let fitting: Vec<&&str> = SAMPLES.iter().filter(fits).collect();
    if fitting.is_empty() { json!("none") } else { json!(fitting[below(fitting.len())]) }
}

fn integer(schema: &Schema, below: &mut Below<'_>) -> Json {
    let least = schema.minimum.map_or(0, |least| least as i64);
    let most = schema.maximum.map_or(1 << 40, |most| most as i64);
    json!([least, most, least + 1, 1280.clamp(least, most), 1.clamp(least, most)][below(5)])
}

/// Texts of every form that a schema asks for.
const SAMPLES: [&str; 47] = [
    "office",
    "alice",
    "gw-1",
    "staff",
    "a",
    "office.internal",
    "198.51.100.7",
    "10.77.0.0/16",
    "10.77.0.0/24",
    "10.0.0.0/8",
    "10.0.0.0/7",
    "10.77.0.1/16",
    "127.0.0.0/8",
    "0.0.0.0/0",
    "::/0",
    "fd77:1::/64",
    "fd77:1::/127",
    "fd77::/15",
    "fe80::/64",
    "10.77.0.1",
    "10.77.1.1",
    "224.0.0.251",
    "ff02::fb",
    "fd77:1::1",
    "1h",
    "1m",
    "0s",
    "720h",
    "721h",
    "24h1s",
    "443",
    "65535",
    "65536",
    "0",
    "8000-8010",
    "8010-8000",
    "08:00",
    "24:00",
    "24:30",
    "Europe/Berlin",
    "alice@example.net",
    "sha256:0011223344556677889900112233445566778899001122334455667788990011",
    "sha256:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100",
    "ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=",
    "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
    "eth1",
];
