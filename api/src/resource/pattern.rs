//! Shapes of text types that schemas say by a pattern. Who checks them looks closer: see the types themselves.

/// A prefix such as `10.77.0.0/16`.
pub const CIDR: &str = "^[0-9a-fA-F:.]+/[0-9]{1,3}$";
/// An IPv4 or IPv6 address.
pub const IP: &str = "^[0-9a-fA-F:.]+$";
/// An ed25519 public key.
pub const PUBLIC_KEY: &str = "^ed25519:[A-Za-z0-9+/]{43}=$";
