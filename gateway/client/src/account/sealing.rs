//! This device's own key for sealed packets, and the terms under which a network's packets are sealed.

use horizon_api::{card::SealWord, grant::SealScope, key::SecretKey, section::NetworkId, signed::Signed};
use horizon_seal::{Limits, Suite, Terms};
use zeroize::Zeroizing;

use super::Account;

/// The X25519 key, which never leaves this host, and the device's word for its public half.
pub(crate) struct SealIdentity {
    secret: Zeroizing<[u8; 32]>,
    word: Signed,
}

impl SealIdentity {
    pub(crate) fn new(secret: Zeroizing<[u8; 32]>, device: &SecretKey) -> Self {
        let key = horizon_seal::public_key(&secret);
        let word = SealWord { device: device.public(), key, suites: Suite::names(&Suite::ALL) };
        Self { secret, word: word.sign(device) }
    }

    /// Returns the same key with the word of another key of this device.
    pub(crate) fn of(&self, device: &SecretKey) -> Self {
        Self::new(self.secret.clone(), device)
    }

    /// Returns what the controller signs cards of.
    pub(crate) fn word(&self) -> Signed {
        self.word.clone()
    }

    /// Returns the terms of a network, if its packets are sealed.
    pub(crate) fn terms(&self, account: &Account, network: &NetworkId) -> Option<Box<Terms>> {
        let scope = scope(account, network)?.clone();
        Some(Box::new(Terms {
            network: network.clone(),
            device: account.grant().device,
            secret: self.secret.clone(),
            card: card(account, network).unwrap_or_default().to_vec(),
            suites: Suite::ALL.to_vec(),
            trust: account.trust().clone(),
            scope,
            limits: Limits::default(),
        }))
    }
}

/// Returns where a network's packets are sealed, as the controller granted it.
pub(crate) fn scope<'a>(account: &'a Account, network: &NetworkId) -> Option<&'a SealScope> {
    let granted = account.grant().networks.iter().find(|granted| granted.network == *network)?;
    granted.sealed.as_ref()
}

/// Returns this device's card in a network.
pub(crate) fn card<'a>(account: &'a Account, network: &NetworkId) -> Option<&'a [u8]> {
    let cards = &account.stored().granted.cards;
    cards.iter().find(|issued| issued.network == *network).map(|issued| issued.card.as_slice())
}
