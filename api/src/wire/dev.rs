//! `hzn-dev/1`: a device and its controller: login, grants, the list of servers.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    key::PublicKey,
    news::CarriedNews,
    section::{Endpoint, NetworkId},
    signed::Signed,
    token::TokenText,
    wire::{Hello, Refusal, Welcome},
};

/// What a device says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromDevice {
    Hello(Hello),
    Login(Login),
    /// A device that the controller knows asks for its next grant, and states nothing.
    Refresh,
    /// As [`FromDevice::Refresh`], with a signed [`crate::wire::Attestation`] of what it is.
    RefreshWith(Signed),
    /// A device that the controller knows asks whom a gateway should keep out that cannot ask itself.
    News,
    /// The device leaves: it was signed out, and will not come back by itself.
    SignOut,
}

/// What a controller says to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToDevice {
    Welcome(Welcome),
    Granted(Granted),
    /// All of it, in parts.
    News(Vec<CarriedNews>),
    Refused(Refusal),
    /// It is known that the device has left.
    SignedOut,
}

/// A device's first request: let this key in as a device of the token's user, or of nobody.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    /// The whole token, of a person or one that enrols devices. Sent only after the delegation was checked.
    pub token: TokenText,
    /// What the device calls itself, by default its host name.
    pub device_name: String,
    /// A signed [`crate::wire::Attestation`].
    pub attestation: Signed,
}

/// A grant and where it may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// A signed [`crate::grant::Grant`], as bytes.
    #[serde(with = "serde_bytes")]
    pub grant: Vec<u8>,
    pub servers: Vec<ServerOffer>,
}

/// A gateway that a device may connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerOffer {
    pub name: String,
    pub key: PublicKey,
    pub endpoints: Vec<Endpoint>,
    pub networks: Vec<NetworkOffer>,
    /// Whether the controller heard from it lately.
    pub is_connected: bool,
    /// Links that it carries.
    pub links: u32,
}

/// A network of a gateway that a device may use there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkOffer {
    pub network: NetworkId,
    /// What is reached through it: pools of the network and routes of the server.
    pub routes: Vec<IpNet>,
}
