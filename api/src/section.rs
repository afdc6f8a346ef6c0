//! Sections: the content-addressed parts of what a gateway must run. Each is whole; emptiness is a section too.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use crate::{
    assignment::SEALED_NETWORKS,
    cbor::{self, DecodeError},
    key::PublicKey,
    verdict::Table,
};

/// A network's name within its realm, as one word: `default/office`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NetworkId(SmolStr);

impl NetworkId {
    /// Returns the id of a network in a namespace.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(format_smolstr!("{namespace}/{name}"))
    }

    /// Returns whether it is the id of this network.
    pub fn is_of(&self, namespace: &str, name: &str) -> bool {
        let rest = self.0.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/'));
        rest == Some(name)
    }

    /// Returns `namespace/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The BLAKE3 of a section's bytes, which is its address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentHash(#[serde(with = "serde_bytes")] [u8; 32]);

impl ContentHash {
    /// Returns the hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Returns a hash that was computed before.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.12}", blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// What a section says, one variant a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Section {
    Identity(Identity),
    Networks(Vec<Network>),
    Policy(Policy),
    Routes(Vec<SubnetRoute>),
    Revocations(Vec<PublicKey>),
}

/// Who the gateway is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub namespace: SmolStr,
    /// Name of the Server resource.
    pub server: SmolStr,
    pub endpoints: Vec<Endpoint>,
}

/// Where links arrive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// A DNS name or an IP address.
    pub host: String,
    /// UDP.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A network that the gateway carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub id: NetworkId,
    pub pools: Vec<IpNet>,
    /// The gateway's own addresses in it.
    pub addresses: Vec<IpAddr>,
    /// Bytes: the most that a TUN of this network may carry.
    pub mtu: u16,
    pub pq: PostQuantum,
    /// Seconds that expired grants are accepted for while the controller is away.
    pub offline_grace_s: i64,
    /// Packets between two devices are sealed from end to end: nothing else is forwarded between them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_sealed: bool,
}

/// Whether links of a network must use post-quantum key exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PostQuantum {
    #[default]
    Preferred,
    Required,
}

/// Who may talk to what in one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub network: NetworkId,
    pub table: Table,
}

/// A prefix behind the gateway, offered to the members of a network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubnetRoute {
    pub network: NetworkId,
    pub prefix: IpNet,
    /// Members appear there with the gateway's own address (IP masking).
    pub masquerade: bool,
}

/// The line of an assignment that names a section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionHeader {
    pub name: String,
    pub hash: ContentHash,
    pub bytes: u64,
    /// How many entries it has: nil and empty cannot be confused.
    pub count: u64,
    /// Features without which a gateway must refuse it.
    pub requires: Vec<String>,
}

impl SectionHeader {
    /// Says whether this line is about that section.
    pub(crate) fn describes(&self, section: &Section, bytes: &[u8]) -> bool {
        (section.name(), section.count(), bytes.len() as u64) == (self.name.clone(), self.count, self.bytes)
    }
}

/// A section with its bytes, as the planner makes it and the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedSection {
    pub header: SectionHeader,
    pub bytes: Vec<u8>,
}

impl Section {
    /// Returns the name within an assignment: the kind, and the network where there is one for each.
    pub fn name(&self) -> String {
        match self {
            Self::Identity(_) => "identity".into(),
            Self::Networks(_) => "networks".into(),
            Self::Policy(policy) => format!("policy/{}", policy.network),
            Self::Routes(_) => "routes".into(),
            Self::Revocations(_) => "revocations".into(),
        }
    }

    /// Returns its bytes and the line that names them.
    pub fn encode(&self) -> EncodedSection {
        let bytes = cbor::encode(self);
        let header = SectionHeader {
            name: self.name(),
            hash: ContentHash::of(&bytes),
            bytes: bytes.len() as u64,
            count: self.count(),
            requires: self.requires(),
        };
        EncodedSection { header, bytes }
    }

    /// Returns what a gateway must know to read it rightly, beside what every gateway knows.
    fn requires(&self) -> Vec<String> {
        match self {
            Self::Policy(policy) => policy.table.requires(),
            Self::Networks(networks) if networks.iter().any(|network| network.is_sealed) => {
                vec![SEALED_NETWORKS.to_owned()]
            }
            Self::Identity(_) | Self::Networks(_) | Self::Routes(_) | Self::Revocations(_) => vec![],
        }
    }

    /// Returns how many entries it has.
    pub fn count(&self) -> u64 {
        let count = match self {
            Self::Identity(_) => 1,
            Self::Networks(networks) => networks.len(),
            Self::Policy(policy) => policy.table.rules.len(),
            Self::Routes(routes) => routes.len(),
            Self::Revocations(keys) => keys.len(),
        };
        count as u64
    }

    /// Reads a section.
    ///
    /// # Errors
    /// When the bytes are no section that this version knows.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        cbor::decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_section_has_a_hash_and_a_count_of_its_own() {
        let routes = Section::Routes(vec![]).encode();
        let revocations = Section::Revocations(vec![]).encode();

        assert_eq!((routes.header.count, revocations.header.count), (0, 0));
        assert_ne!(routes.header.hash, revocations.header.hash);
    }

    #[test]
    fn a_section_survives_its_bytes() {
        let section = Section::Networks(vec![Network {
            id: NetworkId::new("default", "office"),
            pools: vec!["10.77.0.0/24".parse().expect("a prefix")],
            addresses: vec![[10, 77, 0, 1].into()],
            mtu: 1380,
            pq: PostQuantum::Preferred,
            offline_grace_s: 43_200,
            is_sealed: false,
        }]);

        assert_eq!(Section::decode(&section.encode().bytes).ok(), Some(section));
    }
}
