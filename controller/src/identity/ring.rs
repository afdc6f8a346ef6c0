//! The online keys of a controller, and which of them signs: the next is announced, then it signs and the one before
//! is believed for a while, then that is withdrawn. What the root says of each is kept as it was signed.

use horizon_api::{
    delegation::{Delegation, Pin, Role, Trust},
    key::{PublicKey, RootFingerprint, SecretKey},
    signed::Signed,
    signing::{SigningRequest, Words},
};
use serde::{Deserialize, Serialize};

/// What every online key of a controller is for.
pub const ROLES: [Role; 3] = [Role::Link, Role::Config, Role::Grant];
/// Withdrawn keys that are still listed.
const LISTED_MAX: usize = 8;

/// One online key. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnlineKey {
    pub serial: u64,
    pub public: PublicKey,
    /// The root's word for it, as it is told to nodes.
    pub word: Signed,
    /// The root's word that takes its place when the key before it is withdrawn.
    pub closing: Option<Signed>,
    pub made_at: i64,
    pub signs_since: Option<i64>,
    /// For how many seconds the key before it is believed after this one signs.
    pub overlap_s: i64,
    /// When it is withdrawn: another one signs.
    pub ends_at: Option<i64>,
    pub withdrawn_at: Option<i64>,
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Next,
    Current,
    Previous,
    Withdrawn,
}

/// All of them, in the order of their numbers. One is current, and at most one is next or previous.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    version: u32,
    keys: Vec<OnlineKey>,
}

/// What is to be done about a rotation that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next key is to sign from here on.
    Switch,
    /// The key before is to be believed no more.
    Withdraw,
}

/// What a rotation depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Gateways that are connected and have not said yet that they believe the next key.
    pub gateways_behind: usize,
    /// Whether the current key signed everything that is in force.
    pub is_signed_by_current: bool,
    /// For how many seconds the next key is only announced: devices hear of it with their next grant.
    pub announced_s: i64,
    /// Whether a change waits for its confirmation: what it goes back to is named as it was signed.
    pub is_provisional: bool,
}

/// What keeps the next key from signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Gateways that are connected have not said that they believe it; they are not waited for any longer than this.
    GatewaysBehind { left_s: i64 },
    /// Devices have not had the time to hear of it.
    DevicesUntold { left_s: i64 },
    /// A change waits for its confirmation.
    Provisional,
}

/// A gateway that is connected and cannot keep what it is told does not hold a rotation up for ever: it hears of the
/// key when it connects again.
const PATIENCE_S: i64 = 120;

/// Why the root's words are not taken in.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("they are for another controller: its root is {found}, and the root of this one is {own}")]
    OtherRoot { found: RootFingerprint, own: RootFingerprint },
    #[error("they were altered: the root has not signed them")]
    Altered,
    #[error(
        "they are of epoch {found}, and this controller is in epoch {own}: its store was restored since; ask again"
    )]
    OtherEpoch { found: u64, own: u64 },
    #[error("they ended at {0} (unix time): ask again, or correct the clock of the machine that signed")]
    Ended(i64),
    #[error("they are for a key that this controller did not ask for, or that is in use already; ask again")]
    OtherKey,
    #[error("they do not give the key all that a controller does")]
    MissingRole,
}

impl OnlineKey {
    pub fn stage(&self) -> Stage {
        match self {
            Self { withdrawn_at: Some(_), .. } => Stage::Withdrawn,
            Self { signs_since: None, .. } => Stage::Next,
            Self { ends_at: Some(_), .. } => Stage::Previous,
            Self { .. } => Stage::Current,
        }
    }
}

impl Ring {
    /// Begins with a controller's first key.
    pub fn first(public: PublicKey, word: Signed, now_s: i64) -> Self {
        Self {
            version: 1,
            keys: vec![OnlineKey {
                serial: 0,
                public,
                word,
                closing: None,
                made_at: now_s,
                signs_since: Some(now_s),
                overlap_s: 0,
                ends_at: None,
                withdrawn_at: None,
            }],
        }
    }

    /// Says whether this program knows all of it.
    pub fn is_known(&self) -> bool {
        self.version == 1 && self.at(Stage::Current).is_some()
    }

    pub fn keys(&self) -> &[OnlineKey] {
        &self.keys
    }

    pub fn at(&self, stage: Stage) -> Option<&OnlineKey> {
        self.keys.iter().find(|key| key.stage() == stage)
    }

    pub fn current(&self) -> &OnlineKey {
        self.at(Stage::Current).expect("one is current in every ring that is known")
    }

    /// Returns those of which nodes are told, the one that signs first.
    pub fn live(&self) -> impl Iterator<Item = &OnlineKey> {
        let others = [Stage::Next, Stage::Previous].into_iter().filter_map(|stage| self.at(stage));
        self.at(Stage::Current).into_iter().chain(others)
    }

    /// Says whether one key follows another right now.
    pub fn is_rotating(&self) -> bool {
        self.live().count() > 1
    }

    /// Returns the number of a key that is made next.
    pub fn next_serial(&self) -> u64 {
        self.keys.iter().map(|key| key.serial + 1).max().unwrap_or(0)
    }

    /// Returns what the root must sign for a key, so that it can follow the current one.
    pub fn request(&self, root: PublicKey, online: PublicKey, epoch: u64, now_s: i64) -> SigningRequest {
        let (serial, floor) = (self.next_serial(), self.current().serial);
        SigningRequest { root, online, roles: ROLES.to_vec(), epoch, serial, floor, made_at: now_s }
    }

    /// Takes in a key that the root has signed for: it is announced.
    ///
    /// # Errors
    /// When the words do not hold here, in this epoch and now, for the key that is expected.
    pub fn announce(
        &self,
        words: Words,
        online: PublicKey,
        own: Expected,
        overlap_s: i64,
    ) -> Result<Self, InstallError> {
        let opening = check(&words.opening, own)?;
        let closing = check(&words.closing, own)?;
        let (serial, floor) = (self.next_serial(), self.current().serial);
        let is_wanted = |word: &Delegation| word.online == online && word.serial == serial;
        let is_right = is_wanted(&opening) && is_wanted(&closing);
        if !is_right || opening.floor > floor || closing.floor != serial {
            return Err(InstallError::OtherKey);
        }
        let mut ring = self.clone();
        ring.keys.push(OnlineKey {
            serial,
            public: online,
            word: words.opening,
            closing: Some(words.closing),
            made_at: own.now_s,
            signs_since: None,
            overlap_s,
            ends_at: None,
            withdrawn_at: None,
        });
        Ok(ring)
    }

    /// Returns what is to be done now, if anything.
    pub fn due(&self, ready: Readiness, now_s: i64) -> Option<Step> {
        if self.at(Stage::Next).is_some() {
            return self.hindrances(ready, now_s).is_empty().then_some(Step::Switch);
        }
        let previous = self.at(Stage::Previous)?;
        let is_over = previous.ends_at.is_some_and(|at| at <= now_s);
        (is_over && ready.is_signed_by_current).then_some(Step::Withdraw)
    }

    /// Returns what keeps the next key from signing.
    pub fn hindrances(&self, ready: Readiness, now_s: i64) -> Vec<Hindrance> {
        let Some(next) = self.at(Stage::Next) else { return vec![] };
        let age_s = now_s.saturating_sub(next.made_at);
        let left = |of_s: i64| Some(of_s.saturating_sub(age_s)).filter(|left_s| *left_s > 0);
        let behind = left(PATIENCE_S).filter(|_| ready.gateways_behind > 0);
        // A key that leaked is not waited for.
        let untold = left(ready.announced_s).filter(|_| next.overlap_s > 0);
        let hindrances = [
            behind.map(|left_s| Hindrance::GatewaysBehind { left_s }),
            untold.map(|left_s| Hindrance::DevicesUntold { left_s }),
            ready.is_provisional.then_some(Hindrance::Provisional),
        ];
        hindrances.into_iter().flatten().collect()
    }

    /// Has the next key sign.
    #[must_use]
    pub fn switched(&self, now_s: i64) -> Self {
        let mut ring = self.clone();
        let Some(overlap_s) = self.at(Stage::Next).map(|next| next.overlap_s) else { return ring };
        for key in &mut ring.keys {
            match key.stage() {
                Stage::Current => key.ends_at = Some(now_s + overlap_s),
                Stage::Next => key.signs_since = Some(now_s),
                Stage::Previous | Stage::Withdrawn => {}
            }
        }
        ring
    }

    /// Ends the time of the key before, whatever was agreed: at once where another one signs, and as soon as one does
    /// where that is only announced.
    #[must_use]
    pub fn hurried(&self, now_s: i64) -> Self {
        let mut ring = self.clone();
        for key in &mut ring.keys {
            match key.stage() {
                Stage::Previous => key.ends_at = Some(now_s),
                Stage::Next => key.overlap_s = 0,
                Stage::Current | Stage::Withdrawn => {}
            }
        }
        ring
    }

    /// Believes the key before no more: the current one's closing word counts from here on.
    #[must_use]
    pub fn withdrawn(&self, now_s: i64) -> Self {
        let mut ring = self.clone();
        for key in &mut ring.keys {
            match key.stage() {
                Stage::Previous => key.withdrawn_at = Some(now_s),
                Stage::Current => {
                    if let Some(closing) = key.closing.take() {
                        key.word = closing;
                    }
                }
                Stage::Next | Stage::Withdrawn => {}
            }
        }
        let gone = ring.keys.iter().filter(|key| key.stage() == Stage::Withdrawn).count();
        let mut surplus = gone.saturating_sub(LISTED_MAX);
        ring.keys.retain(|key| {
            let goes = surplus > 0 && key.stage() == Stage::Withdrawn;
            surplus -= usize::from(goes);
            !goes
        });
        ring
    }

    /// Has the root say again what it said, in this epoch and until then.
    #[must_use]
    pub fn signed_again(&self, root: &SecretKey, epoch: u64, not_after: i64) -> Self {
        let mut ring = self.clone();
        let floor = ring.floor();
        for key in ring.keys.iter_mut().filter(|key| key.stage() != Stage::Withdrawn) {
            let (online, serial) = (key.public, key.serial);
            let word = |floor| {
                let roles = ROLES.to_vec();
                Delegation { root: root.public(), online, roles, epoch, serial, floor, not_after }.sign(root)
            };
            key.word = word(floor);
            key.closing = key.closing.as_ref().map(|_| word(serial));
        }
        ring
    }

    /// Replaces the key that signs by one that lies in its file, of which the root has said nothing.
    pub fn put_current(&mut self, public: PublicKey) {
        for key in self.keys.iter_mut().filter(|key| key.stage() == Stage::Current) {
            key.public = public;
        }
    }

    /// The least number that is believed.
    fn floor(&self) -> u64 {
        self.keys
            .iter()
            .filter(|key| key.stage() == Stage::Withdrawn)
            .map(|key| key.serial + 1)
            .max()
            .unwrap_or(0)
    }
}

/// Where and when words must hold.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub root: RootFingerprint,
    pub epoch: u64,
    pub now_s: i64,
}

/// Reads what the root says, if it holds for everything that a controller does.
///
/// # Errors
/// See [`InstallError`].
pub fn check(word: &Signed, own: Expected) -> Result<Delegation, InstallError> {
    let claimed: Delegation = word.read_own().map_err(|_| InstallError::Altered)?;
    let found = RootFingerprint::of(&claimed.root);
    if found != own.root {
        return Err(InstallError::OtherRoot { found, own: own.root });
    }
    let document: Delegation = word.verify(&claimed.root).map_err(|_| InstallError::Altered)?;
    if document.epoch != own.epoch {
        return Err(InstallError::OtherEpoch { found: document.epoch, own: own.epoch });
    }
    if document.not_after < own.now_s {
        return Err(InstallError::Ended(document.not_after));
    }
    if !ROLES.iter().all(|role| document.roles.contains(role)) {
        return Err(InstallError::MissingRole);
    }
    // As a node sees it: this never fails where the rest holds, and it is what counts.
    let pin = Pin { epoch: own.epoch, ..Pin::new(own.root) };
    let is_believed = Trust::establish(word, &pin, own.now_s).is_ok();
    if is_believed { Ok(document) } else { Err(InstallError::OtherKey) }
}

#[cfg(test)]
mod tests;
