//! Suites by their names, how two devices agree on one, and what binds the agreement into the handshake.

use horizon_api::section::NetworkId;

use crate::handshake::Refused;

/// A suite of the Noise protocol framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// Where processors have AES in hardware.
    AesGcm,
    /// Everywhere else.
    ChaChaPoly,
}

impl Suite {
    /// What a device offers by default: nearly all processors of today have AES in hardware.
    pub const ALL: [Self; 2] = [Self::AesGcm, Self::ChaChaPoly];

    /// Returns the name (§8 of the framework).
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesGcm => "Noise_IK_25519_AESGCM_SHA256",
            Self::ChaChaPoly => "Noise_IK_25519_ChaChaPoly_SHA256",
        }
    }

    /// Returns the suite of a name that is known here.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Returns the names of suites, as cards and first messages say them.
    pub fn names(suites: &[Self]) -> Vec<String> {
        suites.iter().map(|suite| suite.name().to_owned()).collect()
    }
}

/// What both ends offer. The initiator's first that the responder offers too is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) initiator: Vec<String>,
    pub(crate) responder: Vec<String>,
}

impl Offer {
    /// Returns the suite that is used.
    pub(crate) fn agreed(&self) -> Result<Suite, Refused> {
        let common = self.initiator.iter().filter(|name| self.responder.contains(name));
        common.filter_map(|name| Suite::of(name)).next().ok_or(Refused::NoSuite)
    }

    /// Returns the prologue: if the two ends do not see the same offers, the first message cannot be read.
    pub(crate) fn prologue(&self, network: &NetworkId, suite: Suite) -> Vec<u8> {
        let mut text = b"hzn-seal/1\0".to_vec();
        let mut add = |part: &str| {
            text.extend_from_slice(part.as_bytes());
            text.push(0);
        };
        add(network.as_str());
        add(suite.name());
        self.initiator.iter().for_each(|name| add(name));
        add("");
        self.responder.iter().for_each(|name| add(name));
        add("");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(initiator: &[&str], responder: &[&str]) -> Offer {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Offer { initiator: names(initiator), responder: names(responder) }
    }

    #[test]
    fn the_initiators_first_that_both_know_is_used() {
        let (aes, chacha) = (Suite::AesGcm.name(), Suite::ChaChaPoly.name());
        let check = |offer: Offer, expected| assert_eq!(offer.agreed().ok(), expected);

        check(offer(&[aes, chacha], &[chacha, aes]), Some(Suite::AesGcm));
        check(offer(&["later", chacha], &["later", aes, chacha]), Some(Suite::ChaChaPoly));
        check(offer(&[aes], &[chacha]), None);
    }

    #[test]
    fn every_difference_between_offers_is_in_the_prologue() {
        let network = NetworkId::new("default", "office");
        let other = NetworkId::new("default", "lab");
        let of = |offer: Offer| offer.prologue(&network, Suite::AesGcm);
        let base = offer(&["a", "b"], &["c"]);

        let all = [
            of(base.clone()),
            of(offer(&["a"], &["b", "c"])),
            of(offer(&["b", "a"], &["c"])),
            of(offer(&["a", "b"], &["c", "d"])),
            base.prologue(&other, Suite::AesGcm),
            base.prologue(&network, Suite::ChaChaPoly),
        ];

        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
