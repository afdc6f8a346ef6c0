//! What a cluster declares, what is told to it, and the tokens of its keys.

use std::collections::{BTreeMap, BTreeSet};

use horizon_api::{
    join::JoinString,
    problem::Problem,
    resource::{GROUP, Kind, ObjectKey, ResourceSpec},
    token::{Token, TokenKind},
};
use horizon_node::{clock, random};
use horizon_planner::{
    compile::{Committed, SourceSnapshot, is_login},
    manifest::Parsed,
};
use serde_json::json;
use tracing::{error, info};

use super::{
    Reconciler,
    state::{SourceNote, State},
};
use crate::{
    event::MadeToken,
    fate::{Fate, Fates, Waiting},
    source::cluster::{ClusterScan, KindScan, is_of_cluster, secret_name, source_of},
    store::{AuditEntry, Definition, IssueOutcome, IssuedKey},
};

/// What is known of the cluster.
#[derive(Debug, Default)]
pub(super) struct ClusterState {
    /// The generation of every object that is there, whether it is fine or not.
    pub(super) declared: BTreeMap<ObjectKey, i64>,
    /// Which making of each kind's definition had everything that is in force of it.
    pub(super) definitions: BTreeMap<Kind, String>,
}

impl Reconciler {
    /// Takes in what the cluster has, and compiles.
    pub(super) async fn see_cluster(&mut self, scan: ClusterScan) {
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
        self.state.committed.get(key).filter(|object| self.state.lacks_token(key, object))?;
        let is_of_server = key.kind == Kind::RegistrationKey;
        let kind = if is_of_server { TokenKind::Registration } else { TokenKind::Personal };
        let join = JoinString {
            host: self.advertised.host.clone(),
            port: self.advertised.port,
            token: Token::generate(kind, &random::bytes()),
            root: self.identity.root_fingerprint(),
        };
        Some(MadeToken { uid: self.state.uids.get(key)?.uid.clone(), join })
    }

    /// Takes in that a token is in its secret.
    ///
    /// # Errors
    /// When it is not remembered: then the secret needs another one.
    pub(super) async fn keep_token(&mut self, key: ObjectKey, made: MadeToken) -> Result<(), String> {
        let MadeToken { uid, join } = made;
        let digest = join.token.digest().keyed(self.identity.pepper()).as_bytes().to_vec();
        let audit = AuditEntry {
            at: clock::unix_ms(),
            actor: "cluster".into(),
            action: "issue".into(),
            object: key.to_string(),
            detail: json!({ "token": join.token.id(), "secret": secret_name(&key) }),
        };
        let issue = IssuedKey { uid: uid.clone(), digest: digest.clone() };
        match self.store.issue_key(issue, audit).await {
            Ok(IssueOutcome::Issued) => {
                info!(%key, secret = secret_name(&key), "the token of a key is in its secret");
                self.state.digests.insert(uid, digest);
            }
            Ok(IssueOutcome::AlreadyIssued) => {
                return Err("the key has another token already: declare it under another name".into());
            }
            Err(error) => return Err(format!("its token is not remembered: {error}")),
        }
        self.state.untold.insert(key);
        Ok(())
    }
}

impl State {
    /// Takes in what the cluster has of a kind. Returns its definition where that is to be remembered.
    fn see_kind(&mut self, kind: Kind, scan: KindScan) -> Option<String> {
        let KindScan { parsed, generations, trouble, definition } = scan;
        let source = source_of(kind);
        let known = self.cluster.definitions.get(&kind);
        let is_other = definition.is_some() && known != definition.as_ref();
        let lost = trouble.or_else(|| {
            let missing = self.missing(&source, &generations);
            let is_renewed = is_other && known.is_some() && !missing.is_empty();
            is_renewed.then(|| renewed(kind, &missing))
        });
        self.adopt_devices(&parsed);
        self.see_generations(kind, generations);
        let note = SourceNote {
            reason: lost.clone().unwrap_or_default(),
            was_read: true,
            is_complete: lost.is_none(),
            ..SourceNote::default()
        };
        let is_complete = note.is_complete;
        self.source_notes.insert(source.clone(), note);
        self.sources.insert(source.clone(), SourceSnapshot { source, parsed, is_complete });
        let remembered = definition.filter(|_| is_other && is_complete)?;
        self.cluster.definitions.insert(kind, remembered.clone());
        Some(remembered)
    }

    /// Returns what is in force of a source and is not there.
    fn missing(&self, source: &str, generations: &BTreeMap<ObjectKey, i64>) -> Vec<ObjectKey> {
        let of_source = self.committed.iter().filter(|(_, object)| object.owner.source == source);
        of_source.map(|(key, _)| key).filter(|key| !generations.contains_key(*key)).cloned().collect()
    }

    /// A device that joined is the cluster's from when the cluster has it.
    fn adopt_devices(&mut self, parsed: &Parsed) {
        for manifest in &parsed.manifests {
            let ResourceSpec::Device(seen) = &manifest.spec else { continue };
            let is_same = self.api_objects.get(&manifest.key).is_some_and(|known| {
                matches!(&known.spec, ResourceSpec::Device(spec) if spec.public_key == seen.public_key)
                    && is_login(horizon_planner::compile::API_SOURCE, &known.origin)
            });
            if is_same {
                self.api_objects.remove(&manifest.key);
            }
        }
    }

    fn see_generations(&mut self, kind: Kind, generations: BTreeMap<ObjectKey, i64>) {
        let before: BTreeSet<ObjectKey> = self.cluster.of_kind(kind).cloned().collect();
        for key in before.iter().filter(|key| !generations.contains_key(*key)) {
            self.cluster.declared.remove(key);
            self.api_generations.remove(key);
            self.written_generations.remove(key);
        }
        for (key, generation) in generations {
            if self.cluster.declared.insert(key.clone(), generation) != Some(generation) {
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
    pub(super) fn take_cluster_fates(&mut self) -> Fates {
        let untold = self.untold.take_for_cluster();
        untold.into_iter().map(|key| (key.clone(), self.cluster_fate(&key))).collect()
    }

    fn cluster_fate(&self, key: &ObjectKey) -> Fate {
        let object = self.committed.get(key);
        let is_theirs = object.is_some_and(|object| is_of_cluster(&object.owner.source));
        let is_new_device = object.is_some_and(|object| {
            key.kind == Kind::Device && is_login(&object.owner.source, &object.owner.origin)
        });
        match self.cluster.declared.contains_key(key) {
            true if is_theirs => self.fate(key),
            true => {
                let observed = self.api_generations.get(key).copied();
                Fate::Waiting(Waiting {
                    uid: String::new(),
                    observed,
                    conditions: self.waiting_conditions(key),
                })
            }
            false if is_new_device => self.fate(key),
            false => Fate::Gone,
        }
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
        let has_token = || self.uids.get(key).is_some_and(|uid| self.digests.contains_key(&uid.uid));
        is_generated && is_of_cluster(&object.owner.source) && !has_token()
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
        if let Some(key) =
            problem.object.as_ref().filter(|key| problem.file == crate::source::cluster::locator(key))
        {
            first.entry(key).or_insert(problem);
        }
    }
    first
}

fn renewed(kind: Kind, missing: &[ObjectKey]) -> String {
    let (plural, count) = (kind.plural(), missing.len());
    let (first, all) = (&missing[0], if count == 1 { "it" } else { "them" });
    format!(
        "the CustomResourceDefinition {plural}.{GROUP} was made anew, which deleted all of its objects, and {count} that were in force are not there again ({first}): they stay; apply {all} again, and delete then what is not wanted"
    )
}
