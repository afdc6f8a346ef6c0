//! A card: with which key packets for a device are sealed. The device and the controller sign it, gateways hand it over
//! and cannot alter it, and whoever gets it checks it without the controller.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    cbor::{self, DecodeError},
    delegation::{DelegationError, Role, Trust},
    key::{PublicKey, SecretKey},
    section::NetworkId,
    signed::{Document, Signed, SignedError},
};

/// What a gateway says in its Accept, and a device in its Hello, if it knows the messages about cards.
pub const CARDS: &str = "cards";

/// Suites that a device may offer: each a name of the Noise protocol framework (§8).
pub const SUITES_MAX: usize = 8;
const SUITE_BYTES_MAX: usize = 64;
/// Bytes of a card: it travels inside of a first message, in one packet.
pub const CARD_BYTES_MAX: usize = 1024;

/// The public half of a device's X25519 key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct SealKey(#[serde(with = "serde_bytes")] pub [u8; 32]);

/// "Packets for me are sealed with this key, by one of these suites": signed by the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealWord {
    pub device: PublicKey,
    pub key: SealKey,
    /// The best first.
    pub suites: Vec<String>,
}

impl Document for SealWord {
    const DOMAIN: &'static [u8] = b"hz-seal-word-v1\0";
}

/// The controller's word for a device's word, in one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    pub epoch: u64,
    pub network: NetworkId,
    pub device: PublicKey,
    /// What the device is called.
    pub name: SmolStr,
    pub addresses: Vec<IpAddr>,
    /// A [`SealWord`].
    pub word: Signed,
    /// Unix seconds, both.
    pub issued_at: i64,
    pub expires_at: i64,
}

impl Document for Card {
    const DOMAIN: &'static [u8] = b"hz-card-v1\0";
}

/// Why a card, or the word in it, is not believed.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    #[error("the card cannot be read")]
    Unreadable(#[from] DecodeError),
    #[error("the card is longer than {CARD_BYTES_MAX} bytes")]
    TooLong,
    #[error("the card is not signed by this network's controller")]
    Forged(#[source] SignedError),
    #[error("no key may sign cards here")]
    NoSigner(#[source] DelegationError),
    #[error("the card's key is not signed by its device")]
    ForeignWord,
    #[error("the card offers no suite, or too many")]
    Suites,
    #[error("the card is for network {0}")]
    ForeignNetwork(NetworkId),
    #[error("the card is of epoch {found}, the controller is in epoch {current}")]
    OlderEpoch { found: u64, current: u64 },
    #[error("the card ended at {expires_at} and it is {now} (unix time)")]
    Expired { expires_at: i64, now: i64 },
}

/// What is known where a card is checked.
#[derive(Clone, Copy, Debug)]
pub struct CardCheck<'a> {
    pub trust: &'a Trust,
    pub network: &'a NetworkId,
    /// Unix seconds.
    pub now: i64,
}

/// A card that passed every check. There is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCard {
    card: Card,
    word: SealWord,
}

/// Clocks of two hosts may differ by so many seconds.
const CLOCK_SKEW_S: i64 = 60;

impl SealWord {
    /// Signs the word as the device.
    pub fn sign(&self, device: &SecretKey) -> Signed {
        Signed::new(self, device)
    }

    /// Returns the word if the device signed it, and it offers something.
    ///
    /// # Errors
    /// [`CardError::ForeignWord`] or [`CardError::Suites`].
    pub fn check(signed: &Signed, device: &PublicKey) -> Result<Self, CardError> {
        let word: Self = signed.verify(device).map_err(|_| CardError::ForeignWord)?;
        if word.device != *device {
            return Err(CardError::ForeignWord);
        }
        let is_short = |suite: &String| (1..=SUITE_BYTES_MAX).contains(&suite.len());
        if word.suites.is_empty() || word.suites.len() > SUITES_MAX || !word.suites.iter().all(is_short) {
            return Err(CardError::Suites);
        }
        Ok(word)
    }
}

impl Card {
    /// Signs the card and returns the bytes that travel.
    pub fn sign(&self, key: &SecretKey) -> Vec<u8> {
        cbor::encode(&Signed::new(self, key))
    }

    /// Checks a card as it came, without the controller.
    ///
    /// # Errors
    /// The first reason to refuse it; see [`CardError`].
    pub fn verify(bytes: &[u8], check: CardCheck<'_>) -> Result<VerifiedCard, CardError> {
        if bytes.len() > CARD_BYTES_MAX {
            return Err(CardError::TooLong);
        }
        let signed: Signed = cbor::decode(bytes)?;
        let signer = check.trust.signer::<Self>(Role::Grant, &signed).map_err(CardError::NoSigner)?;
        let card: Self = signed.verify(&signer).map_err(CardError::Forged)?;
        if card.network != *check.network {
            return Err(CardError::ForeignNetwork(card.network));
        }
        if card.epoch < check.trust.epoch() {
            return Err(CardError::OlderEpoch { found: card.epoch, current: check.trust.epoch() });
        }
        if card.expires_at + CLOCK_SKEW_S < check.now {
            return Err(CardError::Expired { expires_at: card.expires_at, now: check.now });
        }
        let word = SealWord::check(&card.word, &card.device)?;
        Ok(VerifiedCard { card, word })
    }
}

impl VerifiedCard {
    /// Returns the card.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Returns what the device says of its key.
    pub fn word(&self) -> &SealWord {
        &self.word
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delegation::{Delegation, Pin},
        key::RootFingerprint,
    };

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn trust() -> Trust {
        let (root, online) = (key(1).public(), key(2).public());
        let delegation = Delegation {
            root,
            online,
            roles: vec![Role::Grant],
            epoch: 5,
            serial: 0,
            floor: 0,
            not_after: i64::MAX,
        };
        let pin = Pin { root: RootFingerprint::of(&root), epoch: 5, floor: 0 };
        Trust::establish(&delegation.sign(&key(1)), &pin, 0).expect("valid")
    }

    fn office() -> NetworkId {
        NetworkId::new("default", "office")
    }

    fn word() -> SealWord {
        SealWord { device: key(3).public(), key: SealKey([7; 32]), suites: vec!["Noise_IK".into()] }
    }

    fn card() -> Card {
        Card {
            epoch: 5,
            network: office(),
            device: key(3).public(),
            name: "laptop".into(),
            addresses: vec![[10, 77, 0, 2].into()],
            word: word().sign(&key(3)),
            issued_at: 1_000,
            expires_at: 4_600,
        }
    }

    fn verify(bytes: &[u8], now: i64) -> Result<VerifiedCard, CardError> {
        Card::verify(bytes, CardCheck { trust: &trust(), network: &office(), now })
    }

    #[test]
    fn a_card_of_both_signers_is_believed_until_it_ends() {
        let bytes = card().sign(&key(2));

        assert_eq!(verify(&bytes, 4_660).expect("valid").word().key, SealKey([7; 32]));
        assert!(matches!(verify(&bytes, 4_661), Err(CardError::Expired { .. })));
        assert!(bytes.len() < CARD_BYTES_MAX / 2, "{} bytes", bytes.len());
    }

    #[test]
    fn a_card_that_somebody_made_up_is_refused_by_name() {
        type Case = (Vec<u8>, fn(&CardError) -> bool);
        let of_another = SealWord { device: key(4).public(), ..word() };
        let none = SealWord { suites: vec![], ..word() };
        let cases: [Case; 6] = [
            (card().sign(&key(9)), |e| matches!(e, CardError::Forged(_))),
            (Card { word: word().sign(&key(9)), ..card() }.sign(&key(2)), |e| {
                matches!(e, CardError::ForeignWord)
            }),
            (Card { word: of_another.sign(&key(3)), ..card() }.sign(&key(2)), |e| {
                matches!(e, CardError::ForeignWord)
            }),
            (Card { word: none.sign(&key(3)), ..card() }.sign(&key(2)), |e| matches!(e, CardError::Suites)),
            (Card { epoch: 4, ..card() }.sign(&key(2)), |e| matches!(e, CardError::OlderEpoch { .. })),
            (Card { network: NetworkId::new("default", "lab"), ..card() }.sign(&key(2)), |e| {
                matches!(e, CardError::ForeignNetwork(_))
            }),
        ];
        for (bytes, is_right) in cases {
            let error = verify(&bytes, 2_000).expect_err("must be refused");

            assert!(is_right(&error), "{error}");
        }
    }

    #[test]
    fn no_byte_of_a_card_can_be_altered() {
        let genuine = card().sign(&key(2));

        for position in 0..genuine.len() {
            let mut bytes = genuine.clone();
            bytes[position] ^= 1;

            let said = verify(&bytes, 2_000).map(|card| card.card);
            assert!(said.is_err() || said.is_ok_and(|said| said == card()), "byte {position}");
        }
    }
}
