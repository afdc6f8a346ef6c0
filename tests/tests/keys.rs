//! Keys beyond their first use: what revoking them does, who signs in with a key pair, and what thieves get; told by the
//! real programs.

#[path = "keys/gateway.rs"]
mod gateway;
#[path = "keys/pair.rs"]
mod pair;
#[path = "keys/revoking.rs"]
mod revoking;
#[path = "keys/rotation.rs"]
mod rotation;
#[path = "keys/stolen.rs"]
mod stolen;
