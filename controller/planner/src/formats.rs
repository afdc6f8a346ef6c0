//! What schemas can only say roughly: addresses, prefixes, times and keys are read by the types that hold them.

use std::net::IpAddr;

use horizon_api::{
    key::PublicKey,
    name::{Name, NameError},
    resource::{Period, PeriodError, PortRange, TokenHash, TokenHashError, pattern},
};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::schema::{LABEL_VALUE, Schema};

/// Why a text does not have the form of its field, with what to do.
pub(crate) type Refusal = (String, String);

/// Checks a text against the pattern and format of its schema. Never repeats the text, which may be a secret.
pub(crate) fn check(schema: &Schema, text: &str) -> Result<(), Refusal> {
    if schema.format.as_deref() == Some("date-time") {
        return check_time(text);
    }
    let Some(known) = &schema.pattern else { return Ok(()) };
    match known.as_str() {
        Name::PATTERN => check_name(text),
        Period::PATTERN => text.parse::<Period>().map(|_| ()).map_err(|e: PeriodError| plain(e)),
        PortRange::PATTERN => text.parse::<PortRange>().map(|_| ()).map_err(plain),
        TokenHash::PATTERN => text.parse::<TokenHash>().map(|_| ()).map_err(|e: TokenHashError| plain(e)),
        pattern::CIDR => check_prefix(text),
        pattern::IP => text.parse::<IpAddr>().map(|_| ()).map_err(|_| {
            ("must be an IP address, such as 10.77.0.20 or fd77:1::20".to_owned(), String::new())
        }),
        pattern::PUBLIC_KEY => text.parse::<PublicKey>().map(|_| ()).map_err(plain),
        _ if known.matches(text) => Ok(()),
        LABEL_VALUE => {
            let message =
                "must be letters, digits, '-', '_' and '.', and must begin and end with a letter or digit";
            Err((message.to_owned(), String::new()))
        }
        other => Err((format!("must match `{other}`"), String::new())),
    }
}

fn check_name(text: &str) -> Result<(), Refusal> {
    text.parse::<Name>().map(|_| ()).map_err(|e: NameError| plain(e))
}

fn check_time(text: &str) -> Result<(), Refusal> {
    let is_date_time = text.len() > 10 && matches!(text.as_bytes()[10], b'T' | b't');
    match text.parse::<Timestamp>() {
        Ok(_) if is_date_time => Ok(()),
        Ok(_) | Err(_) => Err((
            "must be a moment with its zone (RFC 3339)".to_owned(),
            "write it as 2027-01-31T18:00:00Z".to_owned(),
        )),
    }
}

fn check_prefix(text: &str) -> Result<(), Refusal> {
    let Ok(prefix) = text.parse::<IpNet>() else {
        return Err(("must be a prefix such as 10.77.0.0/16 or fd77:1::/48".to_owned(), String::new()));
    };
    if prefix.trunc() == prefix {
        return Ok(());
    }
    Err((
        format!("has bits set behind its length of {}", prefix.prefix_len()),
        format!("write {}", prefix.trunc()),
    ))
}

fn plain(error: impl ToString) -> Refusal {
    (error.to_string(), String::new())
}
