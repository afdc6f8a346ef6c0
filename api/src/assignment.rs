//! An assignment: the signed list of sections that one gateway must run, and the whole that they make.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    delegation::{DelegationError, Role, Trust},
    key::PublicKey,
    section::{ContentHash, Identity, Network, NetworkId, Section, SectionHeader, SubnetRoute},
    signed::{Document, Signed, SignedError},
    verdict::Table,
};

/// What a gateway must run, by name and hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub epoch: u64,
    pub revision: u64,
    /// The gateway it is for.
    pub gateway: PublicKey,
    pub sections: Vec<SectionHeader>,
    /// That it holds only until somebody confirms it, if nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisional: Option<Provisional>,
}

/// A configuration that must be confirmed: a gateway that the change cut off goes back by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisional {
    /// Unix milliseconds of the controller's clock: from then on, without the controller, what ran before runs again.
    pub revert_at_ms: i64,
    /// The hash of the assignment that ran before.
    pub previous: ContentHash,
}

impl Document for Assignment {
    const DOMAIN: &'static [u8] = b"hz-assignment-v1\0";
}

/// The newest assignment that a gateway has taken: nothing moves back behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    pub epoch: u64,
    pub revision: u64,
}

/// The features that sections may require and this version has.
pub const FEATURES: &[&str] = &[TIME_WINDOWS, POSTURE, SEALED_NETWORKS];

/// Policies whose rules have weekly windows: who does not know them would take a rule to have effect always.
pub const TIME_WINDOWS: &str = "time-windows";

/// Policies whose rules select by what devices say of themselves.
pub const POSTURE: &str = "posture";

/// Networks whose packets are sealed from end to end: who does not know them would forward what is not.
pub const SEALED_NETWORKS: &str = "sealed-networks";

/// Why an assignment or its sections are refused.
#[derive(Debug, thiserror::Error)]
pub enum AssignmentError {
    #[error("the assignment is not signed by this network's controller")]
    Forged(#[from] SignedError),
    #[error("no key may sign assignments here")]
    NoSigner(#[from] DelegationError),
    #[error("the assignment is for another gateway ({0})")]
    ForeignGateway(PublicKey),
    #[error(
        "revision {found} of epoch {epoch} is older than revision {running}, which runs: the controller was rolled back"
    )]
    Older { found: u64, epoch: u64, running: u64 },
    #[error(
        "the assignment is of epoch {found}, this gateway has seen {seen}: the controller was rolled back"
    )]
    OlderEpoch { found: u64, seen: u64 },
    #[error("section {section} needs {feature}, which this gateway lacks: upgrade it")]
    MissingFeature { section: String, feature: String },
    #[error("section {section} is not there")]
    MissingSection { section: String },
    #[error("section {section} has another content than its hash says")]
    WrongContent { section: String },
    #[error("section {section} is not what the assignment says of it")]
    Mislabelled { section: String },
    #[error("section {section} cannot be read: {reason}")]
    Unreadable { section: String, reason: String },
}

impl AssignmentError {
    /// Returns the section at fault, where it is one.
    pub fn section(&self) -> Option<&str> {
        match self {
            Self::MissingFeature { section, .. }
            | Self::MissingSection { section }
            | Self::WrongContent { section }
            | Self::Mislabelled { section }
            | Self::Unreadable { section, .. } => Some(section),
            Self::Forged(_)
            | Self::NoSigner(_)
            | Self::ForeignGateway(_)
            | Self::Older { .. }
            | Self::OlderEpoch { .. } => None,
        }
    }
}

/// An assignment whose signature, addressee and age were checked.
#[derive(Clone, Debug)]
pub struct VerifiedAssignment {
    assignment: Assignment,
    hash: ContentHash,
    signer: PublicKey,
}

impl Assignment {
    /// Returns the assignment with its signature, as it travels and is stored.
    pub fn sign(&self, key: &crate::key::SecretKey) -> Signed {
        Signed::new(self, key)
    }

    /// Checks an assignment against what this gateway trusts and runs. `gateway` has every key that it goes by: more
    /// than one while another key follows.
    ///
    /// # Errors
    /// When it is forged, for another gateway, older than `running`, or needs what this version lacks.
    pub fn verify(
        signed: &Signed,
        trust: &Trust,
        gateway: &[PublicKey],
        running: Option<Version>,
    ) -> Result<VerifiedAssignment, AssignmentError> {
        let signer = trust.signer::<Self>(Role::Config, signed)?;
        let assignment: Self = signed.verify(&signer)?;
        if !gateway.contains(&assignment.gateway) {
            return Err(AssignmentError::ForeignGateway(assignment.gateway));
        }
        assignment.check_age(trust, running)?;
        for header in &assignment.sections {
            if let Some(feature) = header.requires.iter().find(|f| !FEATURES.contains(&f.as_str())) {
                let (section, feature) = (header.name.clone(), feature.clone());
                return Err(AssignmentError::MissingFeature { section, feature });
            }
        }
        Ok(VerifiedAssignment { assignment, hash: ContentHash::from_bytes(signed.hash()), signer })
    }

    fn check_age(&self, trust: &Trust, running: Option<Version>) -> Result<(), AssignmentError> {
        let seen = running.map_or(0, |r| r.epoch).max(trust.epoch());
        if self.epoch < seen {
            return Err(AssignmentError::OlderEpoch { found: self.epoch, seen });
        }
        match running {
            Some(running) if running.epoch == self.epoch && self.revision < running.revision => {
                let (found, epoch, running) = (self.revision, self.epoch, running.revision);
                Err(AssignmentError::Older { found, epoch, running })
            }
            _ => Ok(()),
        }
    }
}

impl VerifiedAssignment {
    /// Returns its place in the order of assignments.
    pub fn version(&self) -> Version {
        Version { epoch: self.assignment.epoch, revision: self.assignment.revision }
    }

    /// Returns what acks and heartbeats name it by.
    pub fn hash(&self) -> ContentHash {
        self.hash
    }

    /// Returns the online key that signed it.
    pub fn signer(&self) -> &PublicKey {
        &self.signer
    }

    /// Returns until when it holds unless it is confirmed.
    pub fn provisional(&self) -> Option<Provisional> {
        self.assignment.provisional
    }

    /// Returns the lines that name its sections.
    pub fn sections(&self) -> &[SectionHeader] {
        &self.assignment.sections
    }

    /// Returns the hashes that are not among those at hand, each once.
    pub fn lacking(&self, at_hand: impl Fn(&ContentHash) -> bool) -> Vec<ContentHash> {
        let hashes: BTreeSet<_> = self.assignment.sections.iter().map(|s| s.hash).collect();
        hashes.into_iter().filter(|hash| !at_hand(hash)).collect()
    }

    /// Makes the whole of the sections' bytes.
    ///
    /// # Errors
    /// When one is missing, has other content than its hash or its line says, or cannot be read. Nothing is half taken.
    pub fn assemble(
        &self,
        bytes_of: impl Fn(&ContentHash) -> Option<Vec<u8>>,
    ) -> Result<GatewayConfig, AssignmentError> {
        let mut config = GatewayConfig::default();
        for header in &self.assignment.sections {
            let section = header.name.clone();
            let Some(bytes) = bytes_of(&header.hash) else {
                return Err(AssignmentError::MissingSection { section });
            };
            if ContentHash::of(&bytes) != header.hash {
                return Err(AssignmentError::WrongContent { section });
            }
            match Section::decode(&bytes) {
                Ok(read) if !header.describes(&read, &bytes) => {
                    return Err(AssignmentError::Mislabelled { section });
                }
                Ok(read) => config.take(read),
                Err(e) => return Err(AssignmentError::Unreadable { section, reason: e.to_string() }),
            }
        }
        Ok(config)
    }
}

/// Everything that a gateway runs, typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayConfig {
    pub identity: Option<Identity>,
    pub networks: BTreeMap<NetworkId, Network>,
    pub policies: BTreeMap<NetworkId, Table>,
    pub routes: Vec<SubnetRoute>,
    pub revoked: BTreeSet<PublicKey>,
}

impl GatewayConfig {
    fn take(&mut self, section: Section) {
        match section {
            Section::Identity(identity) => self.identity = Some(identity),
            Section::Networks(networks) => {
                self.networks = networks.into_iter().map(|n| (n.id.clone(), n)).collect();
            }
            Section::Policy(policy) => {
                self.policies.insert(policy.network, policy.table);
            }
            Section::Routes(routes) => self.routes = routes,
            Section::Revocations(keys) => self.revoked = keys.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delegation::{Delegation, Pin},
        key::{RootFingerprint, SecretKey},
        section::{EncodedSection, Policy},
        verdict::{Action, Demand, Protocol, Rule, Selector, Stated, Weekday, Window},
    };

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn trust() -> Trust {
        let delegation = Delegation {
            root: key(1).public(),
            online: key(2).public(),
            roles: vec![Role::Config],
            epoch: 2,
            serial: 0,
            floor: 0,
            not_after: i64::MAX,
        };
        let pin = Pin { root: RootFingerprint::of(&key(1).public()), epoch: 1, floor: 0 };
        Trust::establish(&delegation.sign(&key(1)), &pin, 0).expect("valid")
    }

    fn sections() -> Vec<EncodedSection> {
        vec![Section::Routes(vec![]).encode(), Section::Revocations(vec![key(8).public()]).encode()]
    }

    fn assignment(epoch: u64, revision: u64) -> Assignment {
        let sections = sections().into_iter().map(|s| s.header).collect();
        Assignment { epoch, revision, gateway: key(4).public(), sections, provisional: None }
    }

    fn verify(
        assignment: &Assignment,
        running: Option<Version>,
    ) -> Result<VerifiedAssignment, AssignmentError> {
        Assignment::verify(&assignment.sign(&key(2)), &trust(), &[key(4).public()], running)
    }

    #[test]
    fn the_sections_make_the_whole() {
        let verified = verify(&assignment(2, 7), None).expect("valid");

        let config = verified
            .assemble(|hash| sections().into_iter().find(|s| s.header.hash == *hash).map(|s| s.bytes))
            .expect("whole");

        assert_eq!(config.revoked, [key(8).public()].into());
        assert_eq!(verified.lacking(|hash| *hash == sections()[0].header.hash), [sections()[1].header.hash]);
    }

    #[test]
    fn nothing_moves_back() {
        let running = Some(Version { epoch: 2, revision: 7 });

        assert!(verify(&assignment(2, 7), running).is_ok());
        assert!(verify(&assignment(3, 1), running).is_ok());
        assert!(matches!(verify(&assignment(2, 6), running), Err(AssignmentError::Older { .. })));
        assert!(matches!(verify(&assignment(1, 9), running), Err(AssignmentError::OlderEpoch { .. })));
    }

    #[test]
    fn a_missing_or_changed_section_refuses_the_whole() {
        let verified = verify(&assignment(2, 7), None).expect("valid");

        assert!(matches!(verified.assemble(|_| None), Err(AssignmentError::MissingSection { .. })));
        assert!(matches!(verified.assemble(|_| Some(vec![1])), Err(AssignmentError::WrongContent { .. })));
    }

    #[test]
    fn a_section_under_another_name_or_count_refuses_the_whole() {
        let check = |spoil: fn(&mut SectionHeader)| {
            let mut assignment = assignment(2, 7);
            spoil(&mut assignment.sections[1]);
            let verified = verify(&assignment, None).expect("valid");
            let bytes =
                |hash: &ContentHash| sections().into_iter().find(|s| s.header.hash == *hash).map(|s| s.bytes);
            matches!(verified.assemble(bytes), Err(AssignmentError::Mislabelled { .. }))
        };

        assert!(check(|header| header.name = "networks".into()));
        assert!(check(|header| header.count = 0));
        assert!(check(|header| header.bytes += 1));
        assert!(!check(|_| {}));
    }

    #[test]
    fn every_feature_that_a_section_may_need_is_here() {
        let window = Window::new(&[Weekday::Monday], 0, 60, "UTC".parse().expect("a zone"));
        let rule = Rule {
            id: "p#0".into(),
            action: Action::Deny,
            from: vec![],
            to: vec![],
            protocol: Protocol::Any,
            ports: vec![],
            valid_until: Some(1),
            windows: vec![],
        };
        let requires = |rule| {
            let policy = Policy { network: NetworkId::new("a", "b"), table: Table { rules: vec![rule] } };
            Section::Policy(policy).encode().header.requires
        };

        assert!(requires(rule.clone()).is_empty(), "every gateway knows the end of a rule");
        let stated = Selector::Stated(Box::new(Stated { who: Selector::Any, demand: Demand::default() }));
        let needed = requires(Rule { windows: vec![window.expect("a window")], from: vec![stated], ..rule });
        assert_eq!(needed, [TIME_WINDOWS, POSTURE]);
        assert!(needed.iter().all(|feature| FEATURES.contains(&feature.as_str())));
    }

    #[test]
    fn an_unknown_restriction_is_never_taken() {
        let mut assignment = assignment(2, 7);
        assignment.sections[0].requires.push("not-invented-yet".into());

        assert!(matches!(verify(&assignment, None), Err(AssignmentError::MissingFeature { .. })));
    }

    #[test]
    fn another_gateways_assignment_is_refused() {
        let foreign = Assignment { gateway: key(5).public(), ..assignment(2, 7) };

        assert!(matches!(verify(&foreign, None), Err(AssignmentError::ForeignGateway(_))));
    }
}
