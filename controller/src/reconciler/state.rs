//! What the reconciler knows: what is in force, what sources say, what nodes are bound, what gateways report.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context;
use horizon_api::{
    assignment::{Assignment, Version},
    cbor,
    key::PublicKey,
    problem::Problem,
    resource::{Kind, Metadata, ObjectKey, ResourceSpec},
    section::{ContentHash, NetworkId},
    signed::Signed,
    wire::Evidence,
};
use horizon_planner::{
    alike::Alike,
    allocate::Allocations,
    compile::{API_SOURCE, Committed, Compiled, Effective, Facts, Owner, SourceSnapshot, Standing},
    hold::Holds,
    manifest::{Manifest, Origin, Parsed},
    node::Place,
    plan::text_hash,
};
use horizon_trust::traffic::Links;
use serde::{Deserialize, Serialize};

use super::{
    cluster::ClusterState,
    compile::TextHashes,
    enrolled::{Enrolment, Tokens},
    fates::WaitingFor,
    gateway_key::GatewayKeys,
    gateways::Gateway,
    guard::{self, Guard},
    invite::INVITATION,
    lacking::RevocationsChange,
    last_seen::LastSeen,
    ledger::{Entry, Ledger},
    rotation_pace::RotationPace,
    statement,
    trust::Trust,
    untold::Untold,
};
use crate::{
    snapshot::GatewaySnapshot,
    source::files::{FolderScan, ScanProblem},
    store::{self, LastUse, StoredEvent},
};

/// Where nodes and people are told to find the controller.
#[derive(Clone, Debug)]
pub struct Advertised {
    pub host: String,
    pub port: u16,
}

pub(super) struct State {
    pub(super) version: Version,
    /// What is in force; shared with what was compiled, where that is what is in force.
    pub(super) committed: Arc<BTreeMap<ObjectKey, Arc<Committed>>>,
    pub(super) text_hashes: TextHashes,
    pub(super) ledger: Ledger,
    pub(super) allocations: Allocations,
    pub(super) facts: Facts,
    /// Keyed digests of tokens that were made here, by the uid of their key.
    pub(super) digests: BTreeMap<String, Vec<u8>>,
    /// How often each token was used, by its keyed digest.
    pub(super) token_uses: BTreeMap<Vec<u8>, u32>,
    /// The newest use of each key, by the uid of its object.
    pub(super) last_uses: BTreeMap<String, LastUse>,
    /// The same tokens, of the keys that were compiled last.
    pub(super) tokens: Tokens,
    /// The key that enrolled each node.
    pub(super) enrolments: BTreeMap<PublicKey, Enrolment>,
    /// Keys of gateways beside those that they have, by the uid of the Server.
    pub(super) gateway_keys: BTreeMap<String, GatewayKeys>,
    pub(super) rotation_pace: RotationPace,
    /// What admins took out of force.
    pub(super) holds: Holds,
    pub(super) guard: Guard,
    /// The next compilation takes back what was not confirmed.
    pub(super) is_reverting: bool,
    pub(super) sources: BTreeMap<String, SourceSnapshot>,
    pub(super) source_notes: BTreeMap<String, SourceNote>,
    /// Objects that the API owns, whether compiled yet or not.
    pub(super) api_objects: BTreeMap<ObjectKey, Arc<Manifest>>,
    /// The generation of what clients of the resource API wrote or the cluster has, as it was looked at, and as it waits
    /// to be.
    pub(super) api_generations: BTreeMap<ObjectKey, i64>,
    pub(super) written_generations: BTreeMap<ObjectKey, i64>,
    /// Why what clients wrote is kept out.
    pub(super) waiting: BTreeMap<ObjectKey, WaitingFor>,
    /// The Admins who made a change that is looked at, or that waits because it takes their own way in.
    pub(super) callers: BTreeSet<ObjectKey>,
    pub(super) untold: Untold,
    pub(super) cluster: ClusterState,
    pub(super) compiled: Compiled,
    /// Whether every source was read once since the start.
    pub(super) has_read_all: bool,
    pub(super) assignments: BTreeMap<ObjectKey, Assigned>,
    pub(super) gateways: BTreeMap<PublicKey, Gateway>,
    pub(super) last_seen: LastSeen,
    pub(super) trust: Trust,
    pub(super) events: Vec<StoredEvent>,
    pub(super) next_wake: Option<i64>,
    /// Why the last compilation was not committed.
    pub(super) stalled: Option<String>,
    /// Why a change that nobody confirmed is still in force.
    pub(super) unreverted: Option<String>,
    /// What devices and gateways counted of their links.
    pub(super) traffic: Links,
    /// When what gateways must keep out was changed last.
    pub(super) revocations_changed: RevocationsChange,
    /// What the backup held that the store was made from, if it was.
    pub(super) restored_from: Option<Version>,
    /// Why nodes will soon not believe this controller any more.
    pub(super) delegation_warning: Option<String>,
    pub(super) started_at_ms: i64,
}

/// What a server must run, as it was signed.
#[derive(Clone, Debug)]
pub(super) struct Assigned {
    pub(super) gateway: PublicKey,
    pub(super) revision: u64,
    /// The revision since which it carries the networks that it carries.
    pub(super) carries_since: u64,
    pub(super) snapshot: Arc<GatewaySnapshot>,
}

/// What the page says of a source.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceNote {
    pub(super) reason: String,
    pub(super) files: usize,
    /// What Git has checked out there.
    pub(super) commit: Option<String>,
    /// Since the start.
    pub(super) was_read: bool,
    pub(super) is_complete: bool,
}

/// The `spec` column of the store: what an object's owner wrote.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredText {
    pub(super) metadata: Metadata,
    pub(super) spec: serde_json::Value,
    pub(super) place: [u32; 2],
}

impl State {
    /// Rebuilds the state of the last commit.
    pub(super) fn from_stored(
        stored: store::Stored,
        sources: Vec<String>,
        now_ms: i64,
    ) -> anyhow::Result<Self> {
        let epoch = u64::try_from(stored.epoch).context("the store's epoch is negative")?;
        let revision = stored.revision.map_or(0, |revision| u64::try_from(revision.number).unwrap_or(0));
        let mut state = Self::new(Version { epoch, revision }, now_ms);
        let backup = |(epoch, revision): (i64, i64)| {
            Some(Version { epoch: epoch.try_into().ok()?, revision: revision.try_into().ok()? })
        };
        state.restored_from = stored.restored_from.and_then(backup);
        let mut alike = Alike::default();
        for object in stored.objects {
            let name = format!("{}/{}/{}", object.kind, object.namespace, object.name);
            state.take_object(object, &mut alike).with_context(|| format!("read {name} from the store"))?;
        }
        let by_uid: BTreeMap<String, ObjectKey> =
            state.ledger.iter().map(|(key, uid)| (uid.uid.to_string(), key.clone())).collect();
        state.take_facts(&by_uid, stored.bindings, stored.revocations);
        state.take_gateway_keys(stored.gateway_keys);
        state.digests = stored.issued_keys.into_iter().map(|key| (key.uid, key.digest)).collect();
        let uses = stored.token_uses.into_iter();
        state.token_uses =
            uses.map(|token| (token.digest, u32::try_from(token.uses).unwrap_or(u32::MAX))).collect();
        state.last_uses = stored.last_uses.into_iter().map(|last| (last.key.clone(), last)).collect();
        state.take_allocations(&by_uid, stored.allocations);
        state.take_assignments(&by_uid, stored.assignments, stored.sections)?;
        for trust in stored.trust {
            if let Some(server) = by_uid.get(&trust.owner) {
                state.trust.restore(server.clone(), trust);
            }
        }
        state.holds = guard::holds(stored.holds)?;
        let definitions = stored.definitions.into_iter();
        let kind = |plural: &str| Kind::ALL.into_iter().find(|kind| kind.plural() == plural);
        state.cluster.secrets = stored.token_secrets.into_iter().collect();
        state.cluster.definitions = definitions.filter_map(|one| Some((kind(&one.kind)?, one.uid))).collect();
        state.guard = Guard::from_stored(stored.guard)?;
        let held_back = state.held_back();
        state.facts.revoked.extend(held_back);
        state.has_read_all = sources.is_empty();
        for source in sources {
            let unread =
                SourceSnapshot { source: source.clone(), parsed: Arc::default(), is_complete: false };
            let note = SourceNote { reason: "not read yet".into(), ..SourceNote::default() };
            state.source_notes.insert(source.clone(), note);
            state.sources.insert(source, unread);
        }
        Ok(state)
    }

    fn new(version: Version, now_ms: i64) -> Self {
        Self {
            version,
            committed: Arc::default(),
            text_hashes: TextHashes::new(),
            ledger: Ledger::default(),
            allocations: Allocations::default(),
            facts: Facts::default(),
            digests: BTreeMap::new(),
            token_uses: BTreeMap::new(),
            last_uses: BTreeMap::new(),
            tokens: Tokens::new(),
            enrolments: BTreeMap::new(),
            gateway_keys: BTreeMap::new(),
            rotation_pace: RotationPace::default(),
            holds: Holds::new(),
            guard: Guard::default(),
            is_reverting: false,
            sources: BTreeMap::new(),
            source_notes: BTreeMap::new(),
            api_objects: BTreeMap::new(),
            api_generations: BTreeMap::new(),
            written_generations: BTreeMap::new(),
            waiting: BTreeMap::new(),
            callers: BTreeSet::new(),
            untold: Untold::default(),
            cluster: ClusterState::default(),
            compiled: Compiled::default(),
            has_read_all: false,
            assignments: BTreeMap::new(),
            gateways: BTreeMap::new(),
            last_seen: LastSeen::default(),
            trust: Trust::default(),
            events: Vec::new(),
            next_wake: None,
            stalled: None,
            unreverted: None,
            traffic: Links::default(),
            revocations_changed: RevocationsChange { revision: version.revision, at_ms: now_ms },
            restored_from: None,
            delegation_warning: None,
            started_at_ms: now_ms,
        }
    }

    fn take_object(&mut self, object: store::Object, alike: &mut Alike) -> anyhow::Result<()> {
        let kind: Kind = object.kind.parse()?;
        let text: StoredText = serde_json::from_str(&object.spec)?;
        let key = ObjectKey::new(kind, object.namespace, object.name);
        let place = Place { line: text.place[0], column: text.place[1] };
        let committed = Committed {
            key: key.clone(),
            metadata: text.metadata.into(),
            spec: ResourceSpec::from_json(kind, text.spec)?,
            owner: Owner {
                source: object.source.into(),
                origin: Origin { file: object.locator.into(), place },
            },
            generation: object.generation,
            conditions: alike.share(serde_json::from_str(&object.conditions)?),
            stale: None,
        };
        if committed.owner.source == API_SOURCE {
            let Committed { metadata, spec, owner, .. } = committed.clone();
            let manifest = Manifest::without_file(metadata, spec, &owner.origin.file);
            self.api_objects.insert(key.clone(), Arc::new(manifest));
        }
        let mut entry = Entry::new(object.uid, object.created_at);
        self.untold.insert(key.clone());
        // Revision 0 is an object that a login made and no revision has taken in: the crash came in between.
        let revision = u64::try_from(object.revision).context("a revision is negative")?;
        if revision > 0 {
            (entry.revision, entry.conditions) = (revision, Arc::clone(&committed.conditions));
            Arc::make_mut(&mut self.committed).insert(key.clone(), Arc::new(committed));
        }
        self.ledger.insert(key, entry);
        Ok(())
    }

    fn take_facts(
        &mut self,
        by_uid: &BTreeMap<String, ObjectKey>,
        bindings: Vec<store::Binding>,
        revocations: Vec<store::Revocation>,
    ) {
        for binding in bindings {
            let Some(public) = public_key(&binding.public_key) else { continue };
            self.last_seen.restore(public, binding.last_seen_at);
            self.take_enrolment(&binding);
            let evidence = serde_json::from_str::<Evidence>(&binding.evidence).ok();
            if let Some(posture) = evidence.and_then(|evidence| evidence.posture) {
                self.facts.postures.insert(public, Arc::new(statement::bounded(posture)));
            }
            if let Some(key) = by_uid.get(&binding.owner).filter(|_| binding.kind == store::NodeKind::Server)
            {
                self.facts.servers.insert(key.clone(), public);
                self.trust.restore_bound(public, &binding.evidence);
            }
        }
        let followed = revocations.iter().filter(|revocation| revocation.reason == store::ROTATED);
        self.facts.followed = followed.filter_map(|r| public_key(&r.public_key)).collect();
        self.facts.revoked = revocations.iter().filter_map(|r| public_key(&r.public_key)).collect();
    }

    fn take_allocations(
        &mut self,
        by_uid: &BTreeMap<String, ObjectKey>,
        allocations: Vec<store::Allocation>,
    ) {
        let mut grouped: BTreeMap<(NetworkId, ObjectKey), Vec<std::net::IpAddr>> = BTreeMap::new();
        for allocation in allocations {
            let Some(owner) = by_uid.get(&allocation.owner) else { continue };
            let Some((namespace, name)) = allocation.network.split_once('/') else { continue };
            let Ok(address) = allocation.address.parse() else { continue };
            grouped.entry((NetworkId::new(namespace, name), owner.clone())).or_default().push(address);
        }
        for ((network, owner), addresses) in grouped {
            self.allocations.insert(network, owner, addresses);
        }
    }

    fn take_assignments(
        &mut self,
        by_uid: &BTreeMap<String, ObjectKey>,
        assignments: Vec<store::StoredAssignment>,
        sections: Vec<store::Section>,
    ) -> anyhow::Result<()> {
        let sections: BTreeMap<ContentHash, Arc<[u8]>> =
            sections.into_iter().map(|s| (ContentHash::of(&s.bytes), Arc::from(s.bytes))).collect();
        for stored in assignments {
            let Some(server) = by_uid.get(&stored.server) else { continue };
            let signed: Signed = cbor::decode(&stored.bytes).context("read an assignment from the store")?;
            let assignment: Assignment = signed.read_own().context("read an assignment from the store")?;
            let named = assignment.sections.iter().map(|header| header.hash);
            let sections = named.filter_map(|hash| Some((hash, Arc::clone(sections.get(&hash)?)))).collect();
            let hash = ContentHash::from_bytes(signed.hash());
            let snapshot = Arc::new(GatewaySnapshot { assignment: signed, hash, sections });
            let (gateway, revision) = (assignment.gateway, assignment.revision);
            // Since when is not stored: a gateway that does not run this one has all before it.
            let assigned = Assigned { gateway, revision, carries_since: revision, snapshot };
            self.assignments.insert(server.clone(), assigned);
        }
        Ok(())
    }

    pub(super) fn count_use(&mut self, digest: &[u8]) {
        *self.token_uses.entry(digest.to_vec()).or_default() += 1;
    }

    /// Forgets the token that was made for a key.
    pub(super) fn forget_token(&mut self, key: &ObjectKey) {
        let made = self.ledger.get(key).and_then(|uid| {
            self.cluster.secrets.remove(uid.uid.as_str());
            self.digests.remove(uid.uid.as_str())
        });
        if let Some(digest) = made {
            self.token_uses.remove(&digest);
        }
    }

    /// Takes out the invitations that are over, and says whether there were any. One that was used stays until its
    /// end, because the device may ask again for an answer that it lost.
    pub(super) fn forget_expired_invitations(&mut self, effective: &Effective) -> bool {
        let is_over = |key: &ObjectKey, manifest: &Manifest| {
            // What a client wrote is the client's to delete.
            manifest.origin.file == INVITATION
                && effective.personal_keys.get(key).is_some_and(|key| key.standing == Standing::Expired)
        };
        let over = self.api_objects.iter().filter(|(key, manifest)| is_over(key, manifest));
        let over: Vec<_> = over.map(|(key, _)| key.clone()).collect();
        for key in &over {
            self.api_objects.remove(key);
            // Nothing that a commit deletes leads to it.
            if !self.committed.contains_key(key) {
                self.ledger.remove(key);
            }
        }
        !over.is_empty()
    }

    /// Takes in what a folder says now.
    pub(super) fn scanned(&mut self, source: &str, scan: &FolderScan, parsed: Parsed) {
        let (snapshot, note) = Self::read_scan(source, scan, parsed);
        self.source_notes.insert(source.to_owned(), note);
        self.sources.insert(source.to_owned(), snapshot);
        self.has_read_all = self.source_notes.values().all(|note| note.was_read);
    }

    /// Adds to what the files say what could not be read of the folder.
    pub(super) fn read_scan(
        source: &str,
        scan: &FolderScan,
        mut parsed: Parsed,
    ) -> (SourceSnapshot, SourceNote) {
        let unread = scan.problems.iter().map(|problem| {
            let file =
                if problem.path.is_empty() { source.trim_start_matches("files:") } else { &problem.path };
            Problem::error(file, "Unreadable", problem.message.clone()).at(problem.line, problem.line.min(1))
        });
        parsed.problems.extend(unread);
        parsed.broken_files.extend(scan.unreadable.iter().cloned());
        let is_complete = scan.is_complete();
        let reason = scan.problems.first().map_or_else(String::new, ScanProblem::sentence);
        let commit = scan.commit.clone();
        let note = SourceNote { reason, files: scan.files.len(), commit, was_read: true, is_complete };
        let snapshot = SourceSnapshot { source: source.to_owned(), parsed: Arc::new(parsed), is_complete };
        (snapshot, note)
    }

    /// Returns what the texts of these objects say now, or that there is none, by hash.
    pub(super) fn said<'a>(
        &self,
        keys: impl Iterator<Item = &'a ObjectKey>,
    ) -> BTreeMap<ObjectKey, ContentHash> {
        let mut said: BTreeMap<_, _> = keys.map(|key| (key.clone(), text_hash(None))).collect();
        let manifests = self.sources.values().flat_map(|source| &source.parsed.manifests);
        for manifest in manifests.chain(self.api_objects.values()) {
            if let Some(text) = said.get_mut(&manifest.key) {
                *text = text_hash(Some(&manifest.spec));
            }
        }
        said
    }

    /// Returns every source with what it says, the API's own among them.
    pub(super) fn source_snapshots(&self) -> Vec<SourceSnapshot> {
        let manifests = self.api_objects.values().cloned().collect();
        let parsed = Arc::new(Parsed { manifests, ..Parsed::default() });
        let api = SourceSnapshot { source: API_SOURCE.into(), parsed, is_complete: true };
        self.sources.values().cloned().chain([api]).collect()
    }
}

pub(super) fn public_key(bytes: &[u8]) -> Option<PublicKey> {
    PublicKey::from_bytes(bytes.try_into().ok()?).ok()
}
