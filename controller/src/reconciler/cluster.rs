//! What a cluster declares, what is told to it, and the tokens of its keys.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use horizon_api::{
    join::JoinString,
    problem::Problem,
    resource::{GROUP, Kind, ObjectKey, ResourceSpec},
    token::{Token, TokenKind},
};
use horizon_node::{clock, random};
use horizon_planner::{
    compile::{API_SOURCE, Committed, SourceSnapshot, is_login},
    manifest::{Origin, Parsed, Rejected},
    node::Place,
};
use serde_json::json;
use smol_str::SmolStr;
use tracing::{error, info};

use super::{
    Reconciler, Scope,
    state::{SourceNote, State},
};
use crate::{
    event::MadeToken,
    fate::{Fate, Waiting, Word, Words},
    source::cluster::{ClusterScan, Declared, KindScan, is_of_cluster, locator, secret_name, source_of},
    store::{AuditEntry, Definition, IssuedKey},
};

/// What is known of the cluster.
#[derive(Debug, Default)]
pub(super) struct ClusterState {
    pub(super) scope: Scope,
    /// Every object that is there, whether it is fine or not.
    pub(super) declared: BTreeMap<ObjectKey, Declared>,
    /// Which making of each kind's definition had everything that is in force of it, and which one was seen last.
    pub(super) definitions: BTreeMap<Kind, String>,
    seen: BTreeMap<Kind, String>,
    /// What went with its definition and is not there again.
    kept: BTreeSet<ObjectKey>,
    /// For which object of the cluster the token of a key was made, by the key's uid here.
    pub(super) secrets: BTreeMap<String, String>,
}

impl Reconciler {
    /// Takes in what the cluster has, and compiles.
    pub(super) async fn see_cluster(&mut self, scan: ClusterScan) {
        // Whoever overwrites a status hears the truth again.
        self.state.untold.extend(scan.drifted);
        if scan.kinds.is_empty() {
            return;
        }
        let mut definitions = Vec::new();
        for (kind, scan) in scan.kinds {
            let definition = self.state.see_kind(kind, scan);
            definitions.extend(definition.map(|uid| Definition { kind: kind.plural().to_owned(), uid }));
        }
        self.state.has_read_all = self.state.source_notes.values().all(|note| note.was_read);
        if !definitions.is_empty()
            && let Err(error) = self.store.set_definitions(definitions).await
        {
            // Then a later start asks for more than it needs, and nothing is lost.
            error!(%error, "the definitions of the cluster are not remembered");
        }
        self.recompile_or_log("cluster").await;
    }

    /// Makes the token of a key of the cluster, of which nobody knows yet.
    pub(super) fn make_token(&self, key: &ObjectKey) -> Option<MadeToken> {
        let lacks_token = |object: &&Arc<Committed>| self.state.lacks_token(key, object);
        self.state.committed.get(key).filter(lacks_token)?;
        let is_of_server = key.kind == Kind::RegistrationKey;
        let kind = if is_of_server { TokenKind::Registration } else { TokenKind::Personal };
        let join = JoinString {
            host: self.advertised.host.clone(),
            port: self.advertised.port,
            token: Token::generate(kind, &random::bytes()),
            root: self.identity.root_fingerprint(),
        };
        let object = self.state.cluster.declared.get(key)?.uid.clone();
        Some(MadeToken { uid: self.state.ledger.get(key)?.uid.to_string(), object, join })
    }

    /// Takes in that a token is in its secret; one that the key had before is void.
    ///
    /// # Errors
    /// When it is not remembered.
    pub(super) async fn keep_token(&mut self, key: ObjectKey, made: MadeToken) -> Result<(), String> {
        let MadeToken { uid, object, join } = made;
        let digest = self.identity.pepper().keyed(&join.token.digest()).as_bytes().to_vec();
        let audit = AuditEntry {
            at: clock::unix_ms(),
            actor: "cluster".into(),
            action: "issue".into(),
            object: key.to_string(),
            detail: json!({ "token": join.token.id(), "secret": secret_name(&key) }),
        };
        let issue = IssuedKey { uid: uid.clone(), digest: digest.clone() };
        if let Err(error) = self.store.issue_in_secret(issue, object.clone(), audit).await {
            return Err(format!("the token in the secret is not remembered: {error}"));
        }
        info!(%key, secret = secret_name(&key), "the token of a key is in its secret");
        self.state.forget_token(&key);
        self.state.digests.insert(uid.clone(), digest);
        self.state.cluster.secrets.insert(uid, object);
        self.state.untold.insert(key);
        Ok(())
    }
}

impl State {
    /// Takes in what the cluster has of a kind. Returns its definition where that is to be remembered.
    fn see_kind(&mut self, kind: Kind, scan: KindScan) -> Option<String> {
        let KindScan { mut parsed, declared, trouble, definition } = scan;
        let source = source_of(kind, self.cluster.scope.as_deref());
        if trouble.is_none() {
            self.keep_what_went_with_its_definition(kind, &source, definition.as_ref(), &declared);
        }
        let kept: Vec<ObjectKey> = self.cluster.kept.iter().filter(|key| key.kind == kind).cloned().collect();
        if !kept.is_empty() {
            let all = Arc::make_mut(&mut parsed);
            for rejected in kept.iter().map(kept_back) {
                all.problems.push(rejected.problem.clone());
                all.rejected.push(rejected);
            }
        }
        self.adopt_devices(&parsed);
        self.see_declared(kind, declared);
        let renewed = (!kept.is_empty()).then(|| renewed(kind, &kept));
        let note = SourceNote {
            is_complete: trouble.is_none() && renewed.is_none(),
            reason: trouble.clone().or(renewed).unwrap_or_default(),
            was_read: true,
            ..SourceNote::default()
        };
        self.source_notes.insert(source.clone(), note);
        let is_complete = trouble.is_none();
        self.sources.insert(source.clone(), SourceSnapshot { source, parsed, is_complete });
        let remembered = definition.filter(|uid| {
            is_complete && kept.is_empty() && self.cluster.definitions.get(&kind) != Some(uid)
        })?;
        self.cluster.definitions.insert(kind, remembered.clone());
        Some(remembered)
    }

    /// A definition that was made anew has none of the objects of the old one, and nobody took them away: they stay until
    /// they are there again. What is deleted from then on goes as ever.
    fn keep_what_went_with_its_definition(
        &mut self,
        kind: Kind,
        source: &str,
        definition: Option<&String>,
        declared: &BTreeMap<ObjectKey, Declared>,
    ) {
        let seen = definition.and_then(|uid| self.cluster.seen.insert(kind, uid.clone()));
        let is_other = self
            .cluster
            .definitions
            .get(&kind)
            .is_some_and(|known| definition.is_some_and(|uid| uid != known));
        if is_other && seen.as_ref() != definition {
            let of_source = self.committed.iter().filter(|(_, object)| object.owner.source == source);
            let missing = of_source.map(|(key, _)| key).filter(|key| !declared.contains_key(*key));
            self.cluster.kept.extend(missing.cloned());
        }
        let committed = &self.committed;
        let is_gone = |key: &ObjectKey| !declared.contains_key(key) && committed.contains_key(key);
        self.cluster.kept.retain(|key| key.kind != kind || is_gone(key));
    }

    /// A device that joined is the cluster's from when the cluster has it.
    fn adopt_devices(&mut self, parsed: &Parsed) {
        for manifest in &parsed.manifests {
            let ResourceSpec::Device(seen) = &manifest.spec else { continue };
            let is_same = self.api_objects.get(&manifest.key).is_some_and(|known| {
                matches!(&known.spec, ResourceSpec::Device(spec) if spec.public_key == seen.public_key)
                    && is_login(API_SOURCE, &known.origin)
            });
            if is_same {
                self.api_objects.remove(&manifest.key);
            }
        }
    }

    fn see_declared(&mut self, kind: Kind, declared: BTreeMap<ObjectKey, Declared>) {
        let before: Vec<ObjectKey> = self.cluster.of_kind(kind).cloned().collect();
        for key in before.into_iter().filter(|key| !declared.contains_key(key)) {
            self.cluster.declared.remove(&key);
            self.api_generations.remove(&key);
            self.written_generations.remove(&key);
            // Where it stays in force, the cluster hears why.
            self.untold.insert(key);
        }
        for (key, object) in declared {
            let generation = object.generation;
            if self.cluster.declared.get(&key) != Some(&object) {
                self.cluster.declared.insert(key.clone(), object);
                self.untold.insert(key.clone());
                self.written_generations.insert(key, generation);
            }
        }
    }

    /// Returns what the cluster has and is not in force as the cluster says it.
    pub(super) fn kept_out_of_cluster(&self) -> impl Iterator<Item = &ObjectKey> {
        let is_in_force = |key: &ObjectKey| {
            self.committed.get(key).is_some_and(|object| is_of_cluster(&object.owner.source))
        };
        self.cluster.declared.keys().filter(move |key| !is_in_force(key))
    }

    /// Returns the newest word about everything of which the cluster was not told.
    pub(super) fn take_words(&mut self) -> Words {
        let untold = self.untold.take_for_cluster();
        untold.into_iter().map(|key| (key.clone(), self.word(&key))).collect()
    }

    fn word(&self, key: &ObjectKey) -> Word {
        let object = self.committed.get(key);
        let is_theirs = object.is_some_and(|object| is_of_cluster(&object.owner.source));
        let is_there = self.cluster.declared.contains_key(key);
        match (object, self.fate(key)) {
            (Some(object), Fate::InForce(word)) if is_there && is_theirs => {
                Word::InForce { word, lacks_token: self.lacks_token(key, object) }
            }
            _ if is_there => {
                let observed = self.api_generations.get(key).copied();
                Word::Waiting(Waiting {
                    uid: SmolStr::default(),
                    observed,
                    conditions: self.waiting_conditions(key),
                })
            }
            (Some(object), _) if key.kind == Kind::Device && self.is_to_be_created(key, object) => {
                Word::Create(Arc::clone(object))
            }
            (Some(object), _) if is_theirs => match &object.stale {
                Some(stale) => Word::Stays(stale.message.clone()),
                None => Word::Nothing,
            },
            _ => Word::Nothing,
        }
    }

    /// Nobody has the manifest of a device that joined, so that nobody but the controller can apply it.
    /// One that comes and goes by itself stays here.
    fn is_to_be_created(&self, key: &ObjectKey, object: &Committed) -> bool {
        if matches!(&object.spec, ResourceSpec::Device(spec) if spec.ephemeral) {
            return false;
        }
        is_login(&object.owner.source, &object.owner.origin) || self.cluster.kept.contains(key)
    }

    /// Says whether a key is the cluster's, is to have a token made here, and has none.
    pub(super) fn lacks_token(&self, key: &ObjectKey, object: &Committed) -> bool {
        let is_generated = match &object.spec {
            ResourceSpec::RegistrationKey(spec) => spec.generate.is_some(),
            ResourceSpec::PersonalKey(spec) => spec.generate.is_some(),
            ResourceSpec::Network(_)
            | ResourceSpec::Server(_)
            | ResourceSpec::User(_)
            | ResourceSpec::Device(_)
            | ResourceSpec::AccessPolicy(_)
            | ResourceSpec::AccessTest(_)
            | ResourceSpec::ConnectionProfile(_)
            | ResourceSpec::Admin(_)
            | ResourceSpec::AlertRule(_) => false,
        };
        let Some(uid) = self.ledger.get(key).map(|uid| &uid.uid) else { return false };
        let has_token = self.digests.contains_key(uid.as_str());
        // One that an invitation showed is nobody's secret.
        let is_of_another = match (self.cluster.secrets.get(uid.as_str()), self.cluster.declared.get(key)) {
            (Some(made_for), Some(object)) => *made_for != object.uid,
            _ => false,
        };
        is_generated && is_of_cluster(&object.owner.source) && (!has_token || is_of_another)
    }
}

impl ClusterState {
    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
        self.declared
            .range(ObjectKey::new(kind, "", "")..)
            .map(|(key, _)| key)
            .take_while(move |key| key.kind == kind)
    }
}

/// Returns the first problem that each object of the cluster has there.
pub(super) fn problems_of_cluster(problems: &[Problem]) -> BTreeMap<&ObjectKey, &Problem> {
    let mut first = BTreeMap::new();
    for problem in problems.iter().filter(|problem| problem.is_error()) {
        if let Some(key) = problem.object.as_ref().filter(|key| problem.file == locator(key)) {
            first.entry(key).or_insert(problem);
        }
    }
    first
}

/// Says that an object is not declared, and stays all the same.
fn kept_back(key: &ObjectKey) -> Rejected {
    let file = locator(key);
    let (plural, path) = (key.kind.plural(), "");
    let message =
        format!("went when the CustomResourceDefinition {plural}.{GROUP} was made anew, which nobody meant");
    let fix = "apply it again, and delete it then if it is not wanted";
    let problem = Problem::error(&file, "DefinitionRenewed", message).fix(fix).about(key.clone(), path);
    Rejected {
        key: key.clone(),
        origin: Origin { file: file.into(), place: Place::default() },
        problem,
        readable: None,
    }
}

fn renewed(kind: Kind, kept: &[ObjectKey]) -> String {
    let (plural, count) = (kind.plural(), kept.len());
    let (first, all) = (&kept[0], if count == 1 { "it" } else { "them" });
    format!(
        "the CustomResourceDefinition {plural}.{GROUP} was made anew, which deleted all of its objects, and {count} that were in force are not there again ({first}): they stay; apply {all} again, and delete then what is not wanted"
    )
}
