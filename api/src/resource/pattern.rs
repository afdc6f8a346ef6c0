//! Shapes of text types that schemas say by a pattern. Who checks them looks closer: see the types themselves.

/// A prefix such as `10.77.0.0/16`.
pub const CIDR: &str = "^[0-9a-fA-F:.]+/[0-9]{1,3}$";
/// An IPv4 or IPv6 address.
pub const IP: &str = "^[0-9a-fA-F:.]+$";
/// An ed25519 public key.
pub const PUBLIC_KEY: &str = "^ed25519:[A-Za-z0-9+/]{43}=$";
/// A zone of the IANA time zone database, such as `Europe/Berlin`.
pub const TIME_ZONE: &str = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$";
/// A DNS name, such as `office.internal`.
pub const DNS_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A name of a network interface of Linux, such as `eth0`.
pub const INTERFACE: &str = "^[A-Za-z0-9_.:-]{1,15}$";
/// A key of a Secret, such as `url`.
pub const SECRET_KEY: &str = "^[-._a-zA-Z0-9]+$";
/// A value of a label.
pub const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";
/// An argon2id hash in its text form: parameters, salt, hash.
pub const ARGON2ID: &str =
    "^\\$argon2id\\$v=19\\$m=[0-9]+,t=[0-9]+,p=[0-9]+\\$[A-Za-z0-9+/]+\\$[A-Za-z0-9+/]+$";
/// A mail address, roughly: whether it exists, only a mail tells.
pub const EMAIL: &str = "^[^@ ]+@[^@ ]+$";
/// A host name or an address, without port and brackets.
pub const HOST: &str = "^[0-9A-Za-z.:-]+$";
/// A name to sign in with.
pub const LOGIN: &str = "^[^ \\t\\r\\n]+$";

/// An `ID` of os-release(5), such as `debian`.
pub const OS_ID: &str = "^[a-z0-9._-]+$";
/// A version of a system, such as `24.04`.
pub const OS_VERSION: &str = "^[0-9]{1,9}([.][0-9]{1,9}){0,3}$";

/// What a pattern cannot say of a prefix, in CEL: no bits behind its length.
pub const CIDR_RULE: &str = "isCIDR(self) && cidr(self) == cidr(self).masked()";
/// What a pattern cannot say of an address, in CEL.
pub const IP_RULE: &str = "isIP(self)";
/// What a pattern cannot say of ports, in CEL.
pub const PORTS_RULE: &str = "self.split('-').all(p, int(p) >= 1 && int(p) <= 65535) && (!self.contains('-') || int(self.split('-')[0]) <= int(self.split('-')[1]))";
/// What a pattern cannot say of a time of day, in CEL.
pub const DAY_TIME_RULE: &str = "self <= '24:00'";
/// Rules that the types themselves keep when they read a text.
pub const FORM_RULES: [&str; 4] = [CIDR_RULE, IP_RULE, PORTS_RULE, DAY_TIME_RULE];
