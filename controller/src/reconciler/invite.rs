//! Invitations: the secret of a key that is declared with `generate: {}`, shown once.

use std::sync::Arc;

use horizon_api::{
    http::{ApiError, InviteAnswer, InviteKind, InviteRequest},
    join::{JoinString, Place},
    resource::{
        Generate, Kind, ObjectKey, OnRevoke, PersonalKeySpec, Reference, RegistrationRole, ResourceSpec,
    },
    token::{Token, TokenKind},
};
use horizon_api_server::Refusal;
use horizon_node::{clock, random};
use horizon_planner::compile::{EffectivePersonalKey, Standing};
use serde_json::json;
use tracing::error;

use super::{Advertised, Reconciler, verb::cannot_write};
use crate::{
    event::Answer,
    source::cluster,
    store::{AuditEntry, IssueOutcome, IssuedKey},
};

/// A link for a person that nothing declares is good for a day and one device.
const INVITATION_S: i64 = 24 * 3600;
/// Where an invitation's key is said to stand.
pub(super) const INVITATION: &str = "invite";

impl Reconciler {
    /// Makes an invitation, and none for somebody who does not wait for it any more: it is shown once.
    pub(super) async fn invite(
        &mut self,
        request: InviteRequest,
        reply: &Answer<InviteAnswer>,
    ) -> Result<InviteAnswer, Refusal> {
        self.check_read()?;
        check_wanted(reply)?;
        if request.by_key && request.kind != InviteKind::User {
            let message = "only a person signs in with a key pair";
            return Err(Refusal::Invalid(ApiError::new("Kind", message, "leave out --key")));
        }
        match request.kind {
            InviteKind::Server => self.invite_server(&request, reply).await,
            InviteKind::User => self.invite_user(&request, reply).await,
            InviteKind::Device => self.invite_device(&request, reply).await,
        }
    }

    async fn invite_server(
        &mut self,
        request: &InviteRequest,
        reply: &Answer<InviteAnswer>,
    ) -> Result<InviteAnswer, Refusal> {
        let server = ObjectKey::new(Kind::Server, &request.namespace, &request.name);
        let Some(effective) = self.state.compiled.effective.servers.get(&server) else {
            return Err(self.missing(&server));
        };
        let (is_bound, key) = (effective.public_key.is_some(), effective.registration_key.clone());
        // With a token that it has not joined with, the same host may join again; no other host may.
        if is_bound && key.as_ref().is_none_or(|key| !self.is_unshown(key)) {
            let message = format!("{server} has a gateway already");
            let hint = "remove and declare it again if its host is gone; where the same host is to join again, as with another TPM, declare another RegistrationKey with `generate: {}` and name it in registrationKeyRef";
            return Err(Refusal::Conflict(ApiError::new("AlreadyBound", message, hint)));
        }
        let Some(key) = key else {
            let message = format!("{server} names no registration key");
            let hint = "set spec.identity.registrationKeyRef";
            return Err(Refusal::Conflict(ApiError::new("NoKey", message, hint)));
        };
        self.issue_registration(&key, reply).await
    }

    /// Says whether a key makes its token when somebody is invited with it, and has not yet.
    fn is_unshown(&self, key: &ObjectKey) -> bool {
        let declared = self.state.compiled.effective.registration_keys.get(key);
        let uid = self.state.ledger.get(key).map(|entry| entry.uid.as_str());
        declared.is_some_and(|declared| declared.hash.is_none())
            && !uid.is_some_and(|uid| self.state.digests.contains_key(uid))
    }

    /// A link for devices that have nobody in front of them.
    async fn invite_device(
        &mut self,
        request: &InviteRequest,
        reply: &Answer<InviteAnswer>,
    ) -> Result<InviteAnswer, Refusal> {
        let key = ObjectKey::new(Kind::RegistrationKey, &request.namespace, &request.name);
        let role = self.state.compiled.effective.registration_keys.get(&key).map(|declared| declared.role);
        if role == Some(RegistrationRole::Server) {
            let message = format!("{key} enrols servers");
            let hint = "invite the Server that names it, or name a RegistrationKey with `role: Device`";
            return Err(Refusal::Conflict(ApiError::new("OtherRole", message, hint)));
        }
        self.issue_registration(&key, reply).await
    }

    async fn issue_registration(
        &mut self,
        key: &ObjectKey,
        reply: &Answer<InviteAnswer>,
    ) -> Result<InviteAnswer, Refusal> {
        let Some(declared) = self.state.compiled.effective.registration_keys.get(key) else {
            return Err(self.missing(key));
        };
        check_usable(key, declared.standing)?;
        let role = declared.role;
        if declared.hash.is_some() {
            let message = format!("{key} is declared by its hash: whoever made the hash has the token");
            let hint = "use that token, or declare a key with `generate: {}`";
            return Err(Refusal::Conflict(ApiError::new("DeclaredByHash", message, hint)));
        }
        if self.is_of_cluster(key) {
            return Err(in_secret(key));
        }
        self.issue(key, TokenKind::Registration, reply).await?.ok_or_else(|| {
            let message = format!("the token of {key} was shown already");
            let hint = match role {
                RegistrationRole::Server => {
                    "declare another RegistrationKey with `generate: {}` and name it in registrationKeyRef"
                }
                RegistrationRole::Device => "declare another RegistrationKey with `generate: {}`",
            };
            Refusal::Conflict(ApiError::new("ShownAlready", message, hint))
        })
    }

    async fn invite_user(
        &mut self,
        request: &InviteRequest,
        reply: &Answer<InviteAnswer>,
    ) -> Result<InviteAnswer, Refusal> {
        let user = ObjectKey::new(Kind::User, &request.namespace, &request.name);
        let Some(effective) = self.state.compiled.effective.users.get(&user) else {
            return Err(self.missing(&user));
        };
        check_usable(&user, effective.standing)?;
        if request.by_key {
            return self.place_for(&user);
        }
        let keys = self.state.compiled.effective.personal_keys.iter();
        let unshown: Vec<_> = keys
            .filter(|(_, key)| key.user == user && key.is_generated && key.standing == Standing::Active)
            .map(|(key, _)| key.clone())
            .filter(|key| !self.is_of_cluster(key))
            .filter(|key| {
                !self
                    .state
                    .ledger
                    .get(key)
                    .is_some_and(|uid| self.state.digests.contains_key(uid.uid.as_str()))
            })
            .collect();
        for key in unshown {
            if let Some(answer) = self.issue(&key, TokenKind::Personal, reply).await? {
                return Ok(answer);
            }
        }
        let key = self.make_personal_key(&user).await?;
        self.issue(&key, TokenKind::Personal, reply).await?.ok_or_else(|| unavailable("the key was taken"))
    }

    /// Returns the link of a person who signs in with a key pair: it holds no secret, and may be shown again.
    fn place_for(&self, user: &ObjectKey) -> Result<InviteAnswer, Refusal> {
        let mut keys = self.state.compiled.effective.personal_keys.values();
        let is_theirs = |key: &EffectivePersonalKey| {
            key.user == *user && key.public_key.is_some() && key.standing == Standing::Active
        };
        if !keys.any(is_theirs) {
            let message = format!("{user} has no PersonalKey with a publicKey that can be used");
            let hint = "declare one with the line that `horizon keygen FILE` prints on their machine";
            return Err(Refusal::Conflict(ApiError::new("NoKey", message, hint)));
        }
        let Advertised { host, port } = self.advertised.clone();
        let place = Place { host, port, root: self.identity.root_fingerprint() };
        Ok(InviteAnswer { join: place.to_string() })
    }

    /// Makes a key of the API's own, for all networks of the realm.
    async fn make_personal_key(&mut self, user: &ObjectKey) -> Result<ObjectKey, Refusal> {
        let networks: Vec<_> = self
            .state
            .committed
            .keys()
            .filter(|key| key.kind == Kind::Network && key.namespace == user.namespace)
            .filter_map(|key| Some(Reference { name: key.name.parse().ok()? }))
            .collect();
        let name = user.name.parse().map_err(|_| unavailable("the user's name is no name"))?;
        let end = jiff::Timestamp::from_second(clock::unix_s() + INVITATION_S);
        let spec = PersonalKeySpec {
            user_ref: Reference { name },
            network_refs: networks,
            hash: None,
            generate: Some(Generate {}),
            expires_at: end.ok(),
            source_cidrs: vec![],
            max_uses: Some(1),
            public_key: None,
            profile_refs: vec![],
            on_revoke: OnRevoke::Keep,
            disabled: false,
        };
        // A name has 63 characters at most.
        let stem: String = user.name.chars().take(45).collect();
        let key = self.free_name(&user.sibling(Kind::PersonalKey, format!("{stem}-invitation")));
        let drafted = self.draft(&key, ResourceSpec::PersonalKey(Arc::new(spec)), INVITATION);
        let (draft, uid) = drafted.map_err(|problem| {
            let message = format!("no invitation can be made: {} {}", problem.path, problem.message);
            let hint = "declare a Network, and a PersonalKey of this user with the networkRefs that it is for and `generate: {}`";
            Refusal::Conflict(ApiError::new(&problem.code, message, hint))
        })?;
        self.keep(draft, uid);
        self.recompile_or_log("invite").await;
        // The draft stays: the next invitation takes it.
        self.check_committed()?;
        Ok(key)
    }

    /// Makes the token of a key and stores its digest. `None` when it has one already.
    async fn issue(
        &mut self,
        key: &ObjectKey,
        token_kind: TokenKind,
        reply: &Answer<InviteAnswer>,
    ) -> Result<Option<InviteAnswer>, Refusal> {
        // A change of a large folder may have come in between.
        check_wanted(reply)?;
        let uid = self.state.ledger.get(key).map(|uid| uid.uid.to_string());
        let uid = uid.ok_or_else(|| unavailable("the key is not committed yet"))?;
        let token = Token::generate(token_kind, &random::bytes());
        let digest = self.identity.pepper().keyed(&token.digest()).as_bytes().to_vec();
        let audit = AuditEntry {
            at: clock::unix_ms(),
            actor: "operator".into(),
            action: "issue".into(),
            object: key.to_string(),
            detail: json!({ "token": token.id() }),
        };
        let issue = IssuedKey { uid: uid.clone(), digest: digest.clone() };
        let outcome = self.store.issue_key(issue, audit).await.map_err(|error| {
            error!(%error, "the store refuses an invitation");
            cannot_write()
        })?;
        if outcome == IssueOutcome::AlreadyIssued {
            return Ok(None);
        }
        self.state.digests.insert(uid, digest);
        let join = JoinString {
            host: self.advertised.host.clone(),
            port: self.advertised.port,
            token,
            root: self.identity.root_fingerprint(),
        };
        Ok(Some(InviteAnswer { join: join.reveal() }))
    }

    fn is_of_cluster(&self, key: &ObjectKey) -> bool {
        let object = self.state.committed.get(key);
        object.is_some_and(|object| cluster::is_of_cluster(&object.owner.source))
    }

    pub(super) fn missing(&self, key: &ObjectKey) -> Refusal {
        let kind = key.kind;
        let names: Vec<_> = self
            .state
            .committed
            .keys()
            .filter(|other| other.kind == kind && other.namespace == key.namespace)
            .map(|other| other.name.as_str())
            .collect();
        let hint = match names.as_slice() {
            [] => format!("declare a {kind} first"),
            names => format!("there are: {}", names.join(", ")),
        };
        Refusal::Missing(ApiError::new("NotFound", format!("there is no {key}"), hint))
    }
}

/// Nobody reads what it says.
fn check_wanted(reply: &Answer<InviteAnswer>) -> Result<(), Refusal> {
    if reply.is_closed() { Err(unavailable("nobody waits for the invitation any more")) } else { Ok(()) }
}

fn check_usable(key: &ObjectKey, standing: Standing) -> Result<(), Refusal> {
    if standing == Standing::Active {
        return Ok(());
    }
    let message = format!("{key} cannot be used: {}", standing.sentence());
    Err(Refusal::Conflict(ApiError::new(standing.as_str(), message, "change its manifest first")))
}

/// A key of a cluster has its token in a secret there, for whoever may read that.
fn in_secret(key: &ObjectKey) -> Refusal {
    let (secret, namespace) = (cluster::secret_name(key), &key.namespace);
    let message = format!("the join string of {key} is in the secret {secret} of its namespace");
    let hint = format!("kubectl -n {namespace} get secret {secret} -o jsonpath='{{.data.join}}' | base64 -d");
    Refusal::Conflict(ApiError::new("InSecret", message, hint))
}

fn unavailable(message: &str) -> Refusal {
    Refusal::Unavailable(ApiError::new("Unavailable", message, "try again; see the controller's log"))
}
