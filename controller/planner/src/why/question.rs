//! What people type: `alice nas:445/udp`, to who asks for which way.

use std::net::{IpAddr, Ipv6Addr};

use horizon_api::{
    http::ApiError,
    name::Name,
    resource::{Kind, ObjectKey},
    verdict::Protocol,
};
use ipnet::IpNet;

/// May `source` begin this?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub source: Subject,
    pub destination: Subject,
    pub flow: Flow,
}

/// Whom a person means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A word that may be the name of a user or of a device.
    Named {
        namespace: String,
        name: String,
    },
    User(ObjectKey),
    Device(ObjectKey),
    Server(ObjectKey),
    Group {
        namespace: String,
        name: String,
    },
    Tag {
        namespace: String,
        name: String,
    },
    /// One address, or several.
    Prefix(IpNet),
}

/// What is begun. No port: ICMP, or whatever has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    pub protocol: Protocol,
    pub port: Option<u16>,
}

impl Question {
    /// Reads a question. Names without a namespace are of `namespace`.
    ///
    /// # Errors
    /// When the text is none, with what it must be.
    pub fn parse(source: &str, destination: &str, namespace: &str) -> Result<Self, ApiError> {
        let (destination, flow) = aim(destination)?;
        Ok(Self { source: subject(source, namespace)?, destination: subject(destination, namespace)?, flow })
    }
}

impl Flow {
    /// Returns the number in the IP header, which for ICMP depends on the address.
    pub(crate) fn number(self, address: IpAddr) -> u8 {
        match self.protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Icmp if address.is_ipv4() => 1,
            Protocol::Icmp => 58,
            // No transport that a rule names, such as GRE.
            Protocol::Any => 47,
        }
    }
}

impl std::fmt::Display for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Icmp => "icmp",
            Protocol::Any => "another protocol",
        };
        match self.port {
            Some(port) => write!(f, "{protocol} {port}"),
            None => f.write_str(protocol),
        }
    }
}

/// Splits `DESTINATION:PORT/PROTOCOL`.
fn aim(text: &str) -> Result<(&str, Flow), ApiError> {
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, word)) if word.eq_ignore_ascii_case("tcp") => (rest, Protocol::Tcp),
        Some((rest, word)) if word.eq_ignore_ascii_case("udp") => (rest, Protocol::Udp),
        Some((rest, word)) if word.eq_ignore_ascii_case("icmp") => (rest, Protocol::Icmp),
        Some(_) | None => (text, Protocol::Tcp),
    };
    if protocol == Protocol::Icmp {
        return aim_without_port(rest);
    }
    if rest.parse::<Ipv6Addr>().is_ok() {
        let hint = format!("write an IPv6 address in brackets, such as [{rest}]:443");
        return Err(usage(format!("`{text}` has no port"), hint));
    }
    let no_port = || usage(format!("`{text}` has no port"), "write one, such as nas:445, or nas/icmp");
    let (destination, port) = rest.rsplit_once(':').ok_or_else(no_port)?;
    match port.parse() {
        Ok(0) | Err(_) if is_word(port) => Err(no_port()),
        Ok(0) | Err(_) => Err(usage(format!("`{port}` is not a port"), "ports are 1 to 65535")),
        Ok(port) => Ok((destination, Flow { protocol, port: Some(port) })),
    }
}

fn aim_without_port(rest: &str) -> Result<(&str, Flow), ApiError> {
    let is_address = rest.parse::<Ipv6Addr>().is_ok();
    let destination = match rest.rsplit_once(':') {
        Some((destination, "0")) if !is_address => destination,
        Some((_, port)) if !is_address && port.bytes().all(|c| c.is_ascii_digit()) => {
            let message = format!("ICMP has no ports, so `:{port}` means nothing");
            return Err(usage(message, "leave it out, such as nas/icmp"));
        }
        Some(_) | None => rest,
    };
    Ok((destination, Flow { protocol: Protocol::Icmp, port: None }))
}

fn is_word(text: &str) -> bool {
    text.is_empty() || text.contains(|c: char| !c.is_ascii_digit())
}

fn subject(text: &str, namespace: &str) -> Result<Subject, ApiError> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(Subject::Prefix(IpNet::from(address)));
    }
    if let Ok(prefix) = bare.parse::<IpNet>() {
        return Ok(Subject::Prefix(prefix.trunc()));
    }
    let (kind, rest) = text.split_once(':').map_or((None, text), |(kind, rest)| (Some(kind), rest));
    let (namespace, name) = rest.split_once('/').unwrap_or((namespace, rest));
    for part in [namespace, name] {
        part.parse::<Name>().map_err(|error| usage(format!("`{part}` is not a name: it {error}"), FORMS))?;
    }
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    let object = |kind| ObjectKey::new(kind, namespace.clone(), name.clone());
    Ok(match kind {
        None => Subject::Named { namespace, name },
        Some("user") => Subject::User(object(Kind::User)),
        Some("device") => Subject::Device(object(Kind::Device)),
        Some("server") => Subject::Server(object(Kind::Server)),
        Some("group") => Subject::Group { namespace, name },
        Some("tag") => Subject::Tag { namespace, name },
        Some(other) => return Err(usage(format!("`{other}:` is not known"), FORMS)),
    })
}

const FORMS: &str = "name a user or a device, or write user:NAME, device:NAME, group:NAME, tag:NAME, server:NAME, \
                     an address or a prefix; NAMESPACE/NAME names what is in another namespace";

fn usage(message: String, hint: impl Into<String>) -> ApiError {
    ApiError::new(super::USAGE, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str, destination: &str) -> Result<Question, String> {
        Question::parse(source, destination, "default").map_err(|error| error.to_string())
    }

    #[test]
    fn each_way_to_name_somebody_is_read() {
        let named = |namespace: &str, name: &str| Subject::Named {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let prefix = |text: &str| Subject::Prefix(text.parse().expect("a prefix"));
        let cases = [
            ("alice", named("default", "alice")),
            ("lab/alice", named("lab", "alice")),
            ("user:alice", Subject::User(ObjectKey::new(Kind::User, "default", "alice"))),
            ("device:lab/pc", Subject::Device(ObjectKey::new(Kind::Device, "lab", "pc"))),
            ("server:gw-1", Subject::Server(ObjectKey::new(Kind::Server, "default", "gw-1"))),
            ("10.77.0.5", prefix("10.77.0.5/32")),
            ("10.77.0.5/24", prefix("10.77.0.0/24")),
            ("fd77::5", prefix("fd77::5/128")),
            ("[fd77::5]", prefix("fd77::5/128")),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, "nas:445").expect("a question").source, expected, "{text}");
        }
    }

    #[test]
    fn each_way_to_name_a_destination_is_read() {
        let flow = |protocol, port| Flow { protocol, port };
        let cases = [
            ("nas:445", "nas", flow(Protocol::Tcp, Some(445))),
            ("nas:445/tcp", "nas", flow(Protocol::Tcp, Some(445))),
            ("nas:53/UDP", "nas", flow(Protocol::Udp, Some(53))),
            ("nas/icmp", "nas", flow(Protocol::Icmp, None)),
            ("nas:0/icmp", "nas", flow(Protocol::Icmp, None)),
            ("server:gw-1:22", "server:gw-1", flow(Protocol::Tcp, Some(22))),
            ("lab/nas:445/udp", "lab/nas", flow(Protocol::Udp, Some(445))),
            ("[fd77::5]:443", "fd77::5", flow(Protocol::Tcp, Some(443))),
            ("fd77::5/icmp", "fd77::5", flow(Protocol::Icmp, None)),
            ("10.0.0.0/8:80", "10.0.0.0/8", flow(Protocol::Tcp, Some(80))),
            ("[fd00::/8]:80/udp", "fd00::/8", flow(Protocol::Udp, Some(80))),
        ];
        for (text, destination, flow) in cases {
            let question = parse("a", text).expect("a question");

            assert_eq!(question.destination, subject(destination, "default").expect("a subject"), "{text}");
            assert_eq!(question.flow, flow, "{text}");
        }
    }

    #[test]
    fn everything_else_says_what_it_must_be() {
        let cases = [
            ("alice", "nas", "`nas` has no port"),
            ("alice", "device:nas", "`device:nas` has no port"),
            ("alice", "nas:", "`nas:` has no port"),
            ("alice", "nas:0", "`0` is not a port"),
            ("alice", "nas:65536", "`65536` is not a port"),
            ("alice", "nas:445/sctp", "has no port"),
            ("alice", "nas:445/icmp", "ICMP has no ports"),
            ("alice", "fd77::5", "brackets"),
            ("Alice", "nas:445", "`Alice` is not a name"),
            ("", "nas:445", "`` is not a name"),
            ("team:ops", "nas:445", "`team:` is not known"),
            ("10.0.0.0/33", "nas:445", "`10.0.0.0` is not a name"),
        ];
        for (source, destination, expected) in cases {
            let error = parse(source, destination).expect_err("no question");

            assert!(error.contains(expected), "{source} {destination}: {error}");
        }
    }
}
