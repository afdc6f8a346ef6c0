//! `hzn-dev/1`: a device and its controller: login, grants, the list of servers.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    key::{PublicKey, SecretKey},
    news::CarriedNews,
    section::{Endpoint, NetworkId},
    signed::{Document, Signed},
    token::TokenText,
    wire::{Hello, Refusal, RefusalCode, Welcome, rotation::RotationProof},
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
    /// Another key follows the one of this connection: only to a controller with the feature
    /// [`KEY_ROTATION`](crate::wire::rotation::KEY_ROTATION).
    RotateKey(Box<RotationProof>),
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
    /// The whole token, of a person or one that enrols devices; empty where a person speaks with a key pair. Sent only
    /// after the delegation was checked.
    pub token: TokenText,
    /// What the device calls itself, by default its host name.
    pub device_name: String,
    /// A signed [`crate::wire::Attestation`].
    pub attestation: Signed,
    /// In place of a token: the word of a person with the key pair that they hold.
    #[serde(default)]
    pub person: Option<PersonalProof>,
}

/// A person's word that a device is theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalProof {
    pub key: PublicKey,
    /// A [`PersonalWord`], signed by that key.
    pub word: Signed,
}

/// "This device is mine", said on one connection and for one nonce: it is worth nothing on another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalWord {
    /// 32 bytes of the TLS exporter, equal on both sides of the connection.
    #[serde(with = "serde_bytes")]
    pub exporter: [u8; 32],
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 32],
    pub device: PublicKey,
}

impl Document for PersonalWord {
    const DOMAIN: &'static [u8] = b"hz-personal-word-v1\0";
}

impl PersonalProof {
    /// Returns a person's word.
    pub fn new(word: &PersonalWord, person: &SecretKey) -> Self {
        Self { key: person.public(), word: Signed::new(word, person) }
    }

    /// Returns the person's key if it speaks of this device, on this connection and for this nonce.
    ///
    /// # Errors
    /// A refusal that can be sent as it is.
    pub fn check(
        &self,
        device: &PublicKey,
        exporter: &[u8; 32],
        nonce: &[u8; 32],
    ) -> Result<PublicKey, Refusal> {
        let hint = "sign in again; if it stays, somebody is between the two ends";
        let bad = |message: &str| Refusal::new(RefusalCode::BadEvidence, message, hint);
        let word: PersonalWord = self
            .word
            .verify(&self.key)
            .map_err(|_| bad("the sign-in is not signed by the personal key that it names"))?;
        if word.exporter != *exporter || word.nonce != *nonce || word.device != *device {
            return Err(bad("the sign-in was made for another connection"));
        }
        Ok(self.key)
    }
}

/// A grant and where it may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// A signed [`crate::grant::Grant`], as bytes.
    #[serde(with = "serde_bytes")]
    pub grant: Vec<u8>,
    pub servers: Vec<ServerOffer>,
    /// One for each network in which packets are sealed from end to end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<IssuedCard>,
}

/// A device's card in one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCard {
    pub network: NetworkId,
    /// A signed [`crate::card::Card`], as bytes.
    #[serde(with = "serde_bytes")]
    pub card: Vec<u8>,
}

/// A gateway that a device may connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerOffer {
    pub name: String,
    pub key: PublicKey,
    /// The key that is to follow: the gateway may answer with either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<PublicKey>,
    /// The key before, by which the device may remember this gateway: it answers with it no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PublicKey>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_word_is_worth_nothing_elsewhere() {
        let key = |seed: u8| SecretKey::from_seed(&[seed; 32]);
        let device = key(1).public();
        let word = PersonalWord { exporter: [2; 32], nonce: [3; 32], device };
        let proof = PersonalProof::new(&word, &key(9));
        let forged = PersonalProof { key: key(8).public(), ..proof.clone() };
        let code = |outcome: Result<PublicKey, Refusal>| outcome.err().map(|refusal| refusal.code);

        assert_eq!(proof.check(&device, &[2; 32], &[3; 32]), Ok(key(9).public()));
        for outcome in [
            proof.check(&device, &[4; 32], &[3; 32]),
            proof.check(&device, &[2; 32], &[4; 32]),
            proof.check(&key(4).public(), &[2; 32], &[3; 32]),
            forged.check(&device, &[2; 32], &[3; 32]),
        ] {
            assert_eq!(code(outcome), Some(RefusalCode::BadEvidence));
        }
    }
}
