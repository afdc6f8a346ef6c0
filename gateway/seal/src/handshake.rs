//! One handshake: Noise IK, with both offers in the prologue and the initiator's card in the first message.

use horizon_api::{
    card::{CARD_BYTES_MAX, Card, CardCheck, SealKey, VerifiedCard},
    section::NetworkId,
};
use snow::{Builder, HandshakeState, StatelessTransportState, params::NoiseParams};
use zeroize::Zeroizing;

use crate::{
    primitives::Resolver,
    sealer::Terms,
    suite::{Offer, Suite},
};

/// Why a message, or the card in it, is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("a message is none of this protocol")]
    Malformed,
    #[error("the two devices have no suite in common; upgrade the older agent")]
    NoSuite,
    #[error("a first message cannot be read: it is for another key, or somebody altered what the two offer")]
    Unreadable,
    #[error("the suites that came are not those of the card: somebody tries to weaken the seal")]
    Downgraded,
    #[error("a card is not believed: {0}")]
    Card(String),
    #[error("a card is of another device than the one that has the address")]
    ForeignCard,
    #[error("a first message came again")]
    Repeated,
    #[error("the device was revoked")]
    Gone,
    #[error("too many first messages came at once")]
    TooMany,
}

/// The first message and the answer that it waits for.
pub(crate) struct Initiation {
    state: HandshakeState,
    pub(crate) suite: Suite,
    /// The key that it was made for.
    pub(crate) remote: SealKey,
}

/// What a responder makes of a first message.
pub(crate) struct Answer {
    pub(crate) card: VerifiedCard,
    pub(crate) suite: Suite,
    pub(crate) transport: StatelessTransportState,
    /// The second message.
    pub(crate) noise: Vec<u8>,
}

/// The first message has two keys and two tags beside the card, the second one key and one tag.
const BYTES_MAX: usize = CARD_BYTES_MAX + 128;

impl Initiation {
    /// Makes a first message for the device with this card.
    pub(crate) fn begin(
        terms: &Terms,
        to: &VerifiedCard,
        seed: [u8; 32],
    ) -> Result<(Self, Vec<u8>), Refused> {
        let offer = Offer { initiator: Suite::names(&terms.suites), responder: to.word().suites.clone() };
        let suite = offer.agreed()?;
        let remote = to.word().key;
        let prologue = offer.prologue(&terms.network, suite);
        let mut state = builder(suite, seed)?
            .local_private_key(&terms.secret[..])
            .and_then(|builder| builder.remote_public_key(&remote.0))
            .and_then(|builder| builder.prologue(&prologue))
            .and_then(Builder::build_initiator)
            .map_err(|_| Refused::Unreadable)?;
        let mut noise = vec![0; BYTES_MAX];
        let length = state.write_message(&terms.card, &mut noise).map_err(|_| Refused::Unreadable)?;
        noise.truncate(length);
        Ok((Self { state, suite, remote }, noise))
    }

    /// Reads the second message. What cannot be read changes nothing: the genuine one may still come.
    pub(crate) fn finish(mut self, noise: &[u8]) -> Result<StatelessTransportState, Box<Self>> {
        let mut payload = [0; BYTES_MAX];
        match self.state.read_message(noise, &mut payload) {
            Ok(_) => {}
            Err(_) => return Err(Box::new(self)),
        }
        Ok(self.state.into_stateless_transport_mode().expect("IK has two messages, and both were read"))
    }
}

/// Reads a first message, checks who sent it, and answers.
pub(crate) fn answer(
    terms: &Terms,
    offered: Vec<String>,
    noise: &[u8],
    unix_s: i64,
    seed: [u8; 32],
) -> Result<Answer, Refused> {
    let offer = Offer { initiator: offered, responder: Suite::names(&terms.suites) };
    let suite = offer.agreed()?;
    let prologue = offer.prologue(&terms.network, suite);
    let mut state = builder(suite, seed)?
        .local_private_key(&terms.secret[..])
        .and_then(|builder| builder.prologue(&prologue))
        .and_then(Builder::build_responder)
        .map_err(|_| Refused::Unreadable)?;
    let mut payload = vec![0; noise.len()];
    let length = state.read_message(noise, &mut payload).map_err(|_| Refused::Unreadable)?;
    let card = read_card(terms, &terms.network, &payload[..length], unix_s)?;
    if state.get_remote_static() != Some(&card.word().key.0[..]) {
        return Err(Refused::ForeignCard);
    }
    if card.word().suites != offer.initiator {
        return Err(Refused::Downgraded);
    }
    let mut noise = vec![0; BYTES_MAX];
    let length = state.write_message(&[], &mut noise).map_err(|_| Refused::Unreadable)?;
    noise.truncate(length);
    let transport = state.into_stateless_transport_mode().expect("IK has two messages, and both were there");
    Ok(Answer { card, suite, transport, noise })
}

/// Checks a card as it came.
pub(crate) fn read_card(
    terms: &Terms,
    network: &NetworkId,
    bytes: &[u8],
    unix_s: i64,
) -> Result<VerifiedCard, Refused> {
    let check = CardCheck { trust: &terms.trust, network, now: unix_s };
    let card = Card::verify(bytes, check).map_err(|error| Refused::Card(error.to_string()))?;
    if card.card().device == terms.device { Err(Refused::ForeignCard) } else { Ok(card) }
}

fn builder<'a>(suite: Suite, seed: [u8; 32]) -> Result<Builder<'a>, Refused> {
    let params: NoiseParams = suite.name().parse().map_err(|_| Refused::NoSuite)?;
    Ok(Builder::with_resolver(params, Box::new(Resolver { seed: Zeroizing::new(seed) })))
}
