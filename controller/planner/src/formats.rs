//! What schemas can only say roughly: addresses, prefixes, times and keys are read by the types that hold them.

use std::{net::IpAddr, sync::OnceLock};

use horizon_api::{
    key::PublicKey,
    name::{Name, NameError},
    resource::{ClockTime, Period, PeriodError, PortRange, TokenHash, TokenHashError, pattern},
    verdict::Zone,
};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::{schema::Schema, validate::nearest};

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
        pattern::IP => check_address(text),
        pattern::TIME_ZONE => check_zone(text),
        pattern::PUBLIC_KEY => text.parse::<PublicKey>().map(|_| ()).map_err(plain),
        ClockTime::PATTERN => text.parse::<ClockTime>().map(|_| ()).map_err(plain),
        pattern::ARGON2ID if !known.matches(text) => Err((
            "must be an argon2id hash (`$argon2id$v=19$…`)".to_owned(),
            "make it with `horizon-controller admin add`".to_owned(),
        )),
        _ if known.matches(text) => Ok(()),
        other => Err((form_of(other), String::new())),
    }
}

/// Says in words what a pattern says.
fn form_of(pattern: &str) -> String {
    match pattern {
        pattern::LABEL_VALUE => {
            "must be letters, digits, '-', '_' and '.', and must begin and end with a letter or digit"
                .to_owned()
        }
        pattern::EMAIL => "must be a mail address, such as alice@example.net".to_owned(),
        pattern::HOST => {
            "must be a host name or an address, without port and brackets, such as fra-1.example.net"
                .to_owned()
        }
        pattern::LOGIN => "must be one word, such as alice".to_owned(),
        pattern::DNS_NAME => "must be a DNS name in lower case, such as office.internal".to_owned(),
        pattern::OS_ID => "must be the `ID` of an os-release, such as debian".to_owned(),
        pattern::OS_VERSION => "must be numbers between dots, such as \"12\" or \"24.04\"".to_owned(),
        pattern::INTERFACE => "must be a name of a network interface, such as eth1".to_owned(),
        pattern::SECRET_KEY => "must be a key of a Secret: letters, digits, '-', '_' and '.'".to_owned(),
        other => format!("must match `{other}`"),
    }
}

/// Addresses of IPv4 that are written as IPv6 are two names of one host, and API servers refuse them.
fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

fn check_address(text: &str) -> Result<(), Refusal> {
    match text.parse::<IpAddr>() {
        Ok(address) if !is_mapped(address) => Ok(()),
        Ok(_) | Err(_) => {
            Err(("must be an IP address, such as 10.77.0.20 or fd77:1::20".to_owned(), String::new()))
        }
    }
}

fn check_name(text: &str) -> Result<(), Refusal> {
    text.parse::<Name>().map(|_| ()).map_err(|e: NameError| plain(e))
}

fn check_zone(text: &str) -> Result<(), Refusal> {
    text.parse::<Zone>().map(|_| ()).map_err(|_| {
        static NAMES: OnceLock<Vec<String>> = OnceLock::new();
        let names = NAMES.get_or_init(|| Zone::names().collect());
        let near = nearest(text, names.iter().map(String::as_str));
        let fix = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
        ("must be a zone of the IANA time zone database, such as Europe/Berlin".to_owned(), fix)
    })
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
    let has_plain_length =
        !text.split_once('/').is_some_and(|(_, length)| length.len() > 1 && length.starts_with('0'));
    let prefix = text.parse::<IpNet>().ok().filter(|prefix| has_plain_length && !is_mapped(prefix.addr()));
    let Some(prefix) = prefix else {
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
