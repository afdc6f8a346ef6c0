//! What a node believes of its controller: the root's words that it has checked.

use super::{Delegation, DelegationError, Pin, Role};
use crate::{
    key::{PublicKey, RootFingerprint},
    signed::{Document, Signed, SignedError},
};

/// Delegations that were checked against a pin: of one key, or of two while one follows the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    root: RootFingerprint,
    epoch: u64,
    floor: u64,
    /// None is withdrawn.
    believed: Vec<Believed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Believed {
    signed: Signed,
    document: Delegation,
}

impl Trust {
    /// Checks a stored delegation against what this node pinned. `now` is unix seconds.
    ///
    /// # Errors
    /// Every way in which it must not be believed is a variant of [`DelegationError`].
    pub fn establish(signed: &Signed, pin: &Pin, now: i64) -> Result<Self, DelegationError> {
        let believed = check(signed, pin, now)?;
        let Delegation { epoch, floor, .. } = believed.document;
        Ok(Self { root: pin.root, epoch, floor: floor.max(pin.floor), believed: vec![believed] })
    }

    /// Believes these delegations as well. Those that do not hold, or are of another epoch, add nobody.
    #[must_use]
    pub fn also(&self, others: &[Signed], now: i64) -> Self {
        let mut trust = self.clone();
        for signed in others {
            if let Ok(other) = check(signed, &trust.pin(), now)
                && other.document.epoch == trust.epoch
            {
                trust.take(other);
            }
        }
        trust
    }

    /// Believes these delegations, and of the ones before only what these do not withdraw.
    ///
    /// # Errors
    /// Why the first of them does not hold.
    pub fn renewed(&self, words: &[Signed], now: i64) -> Result<Self, DelegationError> {
        let Some((first, others)) = words.split_first() else { return Ok(self.clone()) };
        Ok(Self::establish(first, &self.pin(), now)?.also(others, now))
    }

    /// Believes as well whom another trust in the same root believes, and nobody whom it knows to be withdrawn. The
    /// epoch stays.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        let mut trust = self.clone();
        other.believed.iter().cloned().for_each(|one| trust.take(one));
        trust.raise(other.floor);
        trust
    }

    /// As [`Trust::merged`], with a delegation that somebody brings: the controller may be out of reach.
    #[must_use]
    pub fn with_carried(&self, carried: &Signed, now: i64) -> Self {
        // Of a key that is known, only what it withdraws may be new.
        let is_known = |claimed: &Delegation| {
            claimed.floor <= self.floor && self.believed.iter().any(|b| b.document.online == claimed.online)
        };
        match carried.peek::<Delegation>() {
            // Its signature is not worth looking at.
            Ok(claimed) if is_known(&claimed) => self.clone(),
            Ok(_) | Err(_) => match check(carried, &self.pin(), now) {
                Ok(other) => {
                    let mut trust = self.clone();
                    trust.take(other);
                    trust
                }
                Err(_) => self.clone(),
            },
        }
    }

    /// Returns what is believed of this where keys with a smaller number than `floor` are withdrawn. It may be nothing.
    #[must_use]
    pub fn raised(&self, floor: u64) -> Self {
        let mut trust = self.clone();
        trust.raise(floor);
        trust
    }

    /// Checks that the peer of a link is a key that may be the controller's end of one.
    ///
    /// # Errors
    /// [`DelegationError::ForeignPeer`] or [`DelegationError::MissingRole`].
    pub fn check_peer(&self, peer: &PublicKey) -> Result<(), DelegationError> {
        match self.believed.iter().find(|believed| believed.document.online == *peer) {
            Some(believed) if believed.document.roles.contains(&Role::Link) => Ok(()),
            Some(_) => Err(DelegationError::MissingRole(Role::Link)),
            None => {
                let delegated = self.believed.first().map_or(*peer, |believed| believed.document.online);
                Err(DelegationError::ForeignPeer { delegated, peer: *peer })
            }
        }
    }

    /// Returns the key that must have signed a document in this role: of several that may, the one that did.
    ///
    /// # Errors
    /// [`DelegationError::MissingRole`] when none may.
    pub fn signer<D: Document>(&self, role: Role, signed: &Signed) -> Result<PublicKey, DelegationError> {
        let keys =
            || self.believed.iter().filter(|b| b.document.roles.contains(&role)).map(|b| b.document.online);
        let first = keys().next().ok_or(DelegationError::MissingRole(role))?;
        if keys().nth(1).is_none() {
            return Ok(first);
        }
        Ok(keys().find(|key| signed.verify::<D>(key).is_ok()).unwrap_or(first))
    }

    /// Returns what proves that a key is believed.
    pub fn word_for(&self, online: &PublicKey) -> Option<&Signed> {
        self.believed.iter().find(|b| b.document.online == *online).map(|b| &b.signed)
    }

    /// Returns every delegation that is believed.
    pub fn words(&self) -> impl Iterator<Item = &Signed> {
        self.believed.iter().map(|believed| &believed.signed)
    }

    /// Returns the epoch that the delegation was made in.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the pin that remembers this epoch, and which keys are withdrawn.
    pub fn pin(&self) -> Pin {
        Pin { root: self.root, epoch: self.epoch, floor: self.floor }
    }

    /// The newest word for a key counts, which comes last.
    fn take(&mut self, other: Believed) {
        let floor = other.document.floor;
        match self.believed.iter_mut().find(|known| known.document.online == other.document.online) {
            Some(known) => *known = other,
            None => self.believed.push(other),
        }
        self.raise(floor);
    }

    fn raise(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        self.believed.retain(|believed| believed.document.serial >= self.floor);
    }
}

fn check(signed: &Signed, pin: &Pin, now: i64) -> Result<Believed, DelegationError> {
    let claimed: Delegation = signed.peek().map_err(|e| DelegationError::Unsigned(SignedError::Decode(e)))?;
    let found = RootFingerprint::of(&claimed.root);
    if found != pin.root {
        return Err(DelegationError::ForeignRoot { found, pinned: pin.root });
    }
    let document: Delegation = signed.verify(&claimed.root).map_err(DelegationError::Unsigned)?;
    if document.epoch < pin.epoch {
        return Err(DelegationError::OlderEpoch { found: document.epoch, pinned: pin.epoch });
    }
    if document.serial < pin.floor.max(document.floor) {
        let (serial, floor) = (document.serial, pin.floor.max(document.floor));
        return Err(DelegationError::Withdrawn { serial, floor });
    }
    if document.not_after < now {
        return Err(DelegationError::Expired { not_after: document.not_after, now });
    }
    Ok(Believed { signed: signed.clone(), document })
}
