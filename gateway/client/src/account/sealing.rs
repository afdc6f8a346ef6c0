//! This device's own key for sealed packets, and the terms under which a network's packets are sealed.

use horizon_api::{
    card::{Card, CardCheck, SealWord},
    grant::SealScope,
    key::SecretKey,
    section::NetworkId,
    signed::Signed,
};
use horizon_seal::{Limits, Suite, Terms};
use zeroize::Zeroizing;

use super::Account;

/// The X25519 key, which never leaves this host, and the device's word for its public half.
pub(crate) struct SealIdentity {
    secret: Zeroizing<[u8; 32]>,
    word: SealWord,
    signed: Signed,
}

impl SealIdentity {
    pub(crate) fn new(secret: Zeroizing<[u8; 32]>, device: &SecretKey) -> Self {
        let key = horizon_seal::public_key(&secret);
        let word = SealWord { device: device.public(), key, suites: Suite::names(&Suite::ALL) };
        let signed = word.sign(device);
        Self { secret, word, signed }
    }

    /// Returns the same key with the word of another key of this device.
    pub(crate) fn of(&self, device: &SecretKey) -> Self {
        Self::new(self.secret.clone(), device)
    }

    /// Returns what the controller signs cards of.
    pub(crate) fn word(&self) -> Signed {
        self.signed.clone()
    }

    /// Returns the terms of a network, if its packets are sealed.
    pub(crate) fn terms(&self, account: &Account, network: &NetworkId) -> Option<Box<Terms>> {
        let scope = scope(account, network)?.clone();
        Some(Box::new(Terms {
            network: network.clone(),
            device: account.grant().device,
            secret: self.secret.clone(),
            card: self.card(account, network).unwrap_or_default().to_vec(),
            suites: Suite::ALL.to_vec(),
            trust: account.trust().clone(),
            scope,
            limits: Limits::default(),
        }))
    }

    /// Returns this device's card in a network. One of another key than its own, as after that was removed, is none:
    /// what others sealed with it could not be opened.
    pub(crate) fn card<'a>(&self, account: &'a Account, network: &NetworkId) -> Option<&'a [u8]> {
        let issued = account.stored().granted.cards.iter().find(|issued| issued.network == *network)?;
        // Its end is for others to judge.
        let check = CardCheck { trust: account.trust(), network, now: i64::MIN };
        let card = Card::verify(&issued.card, check).ok()?;
        (*card.word() == self.word).then_some(&issued.card)
    }
}

/// Returns where a network's packets are sealed, as the controller granted it.
pub(crate) fn scope<'a>(account: &'a Account, network: &NetworkId) -> Option<&'a SealScope> {
    let granted = account.grant().networks.iter().find(|granted| granted.network == *network)?;
    granted.sealed.as_ref()
}

#[cfg(test)]
mod tests {
    use horizon_api::wire::dev::IssuedCard;

    use super::*;
    use crate::account::tests::{granted_in, key, stored};

    fn office() -> NetworkId {
        NetworkId::new("default", "office")
    }

    fn identity(seed: u8) -> SealIdentity {
        SealIdentity::new(Zeroizing::new([seed; 32]), &key(9))
    }

    /// The account of a device that had a card of the identity with this seed.
    fn account(seed: u8) -> Account {
        let card = Card {
            epoch: 3,
            network: office(),
            device: key(9).public(),
            name: "laptop".into(),
            addresses: vec![[10, 77, 0, 2].into()],
            word: identity(seed).word(),
            issued_at: 5_000,
            expires_at: 8_600,
        };
        let mut granted = granted_in(&[("office", Some(SealScope::default()))]);
        granted.cards = vec![IssuedCard { network: office(), card: card.sign(&key(2)) }];
        Account::new(stored(granted), &key(9).public()).expect("valid")
    }

    #[test]
    fn a_card_of_the_own_key_is_shown() {
        let (account, identity) = (account(5), identity(5));

        let terms = identity.terms(&account, &office()).expect("sealed");

        assert_eq!(Some(terms.card.as_slice()), identity.card(&account, &office()));
        assert!(!terms.card.is_empty());
    }

    #[test]
    fn a_card_of_a_key_that_was_removed_is_none() {
        let (account, identity) = (account(6), identity(5));

        assert_eq!(identity.card(&account, &office()), None);
        assert!(identity.terms(&account, &office()).expect("sealed").card.is_empty());
    }
}
