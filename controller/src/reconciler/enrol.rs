//! Servers: a join binds a declared Server to a key, once; an attach lets a bound one back in.

use std::net::IpAddr;

use horizon_api::{
    key::PublicKey,
    resource::{ObjectKey, OnRevoke, RegistrationRole},
    token::{KeyedDigest, Token, TokenDigest, TokenKind},
    wire::{Evidence, Refusal, RefusalCode},
};
use horizon_node::clock;
use horizon_planner::compile::{EffectiveServer, Standing};
use ipnet::IpNet;
use tracing::{error, info};
use uuid::Uuid;

use super::Reconciler;
use crate::{
    event::{AttachRequest, JoinRequest, ServerName},
    push::gateway::outside_ranges,
    store::{Named, NodeKind, UseKey, UseOutcome},
};

/// A key that fits a token.
pub(super) struct Found {
    pub(super) key: ObjectKey,
    pub(super) digest: Vec<u8>,
}

impl Reconciler {
    pub(super) async fn join(&mut self, request: JoinRequest) -> Result<ServerName, Refusal> {
        self.check_awake()?;
        let digest = match self.token_digest(request.token.reveal(), TokenKind::Registration) {
            Ok(digest) => digest,
            Err(refusal) => return Err(self.refused(refusal, None, request.remote, &request.gateway).await),
        };
        let decided = self.decide_join(&digest, &request);
        let (found, server, uses_max) = match decided {
            Ok(decided) => decided,
            Err((refusal, key)) => {
                return Err(self.refused(refusal, key.as_ref(), request.remote, &request.gateway).await);
            }
        };
        let outcome = self.use_for_server(&found, &server, uses_max, &request).await?;
        self.finish_join(&found, &server, &request, outcome).await
    }

    /// Decides which declared Server a join is for. The store has the last word about the use.
    fn decide_join(
        &self,
        digest: &TokenDigest,
        request: &JoinRequest,
    ) -> Result<(Found, ObjectKey, u32), (Refusal, Option<ObjectKey>)> {
        let keys = self.state.compiled.effective.registration_keys.iter();
        let declared = keys.clone().map(|(key, effective)| (key, effective.declared()));
        let found = self.find_key(digest, declared).ok_or_else(|| (unknown_key(), None))?;
        let refuse = |refusal| (refusal, Some(found.key.clone()));
        let effective = &self.state.compiled.effective.registration_keys[&found.key];
        check_role(effective.role).map_err(refuse)?;
        check_standing(effective.standing).map_err(refuse)?;
        check_source(&effective.source_cidrs, request.remote).map_err(refuse)?;
        let uses_max = effective.max_uses;
        let server = self.candidate(&found.key, request.name.as_deref(), &request.gateway).map_err(refuse)?;
        self.check_place(&server, request.remote).map_err(|refusal| (refusal, Some(server.clone())))?;
        Ok((found, server, uses_max))
    }

    /// The only Server that waits for this key and gateway, or the named one.
    fn candidate(
        &self,
        key: &ObjectKey,
        name: Option<&str>,
        gateway: &PublicKey,
    ) -> Result<ObjectKey, Refusal> {
        let servers = self.state.compiled.effective.servers.iter();
        let fitting: Vec<_> = servers
            .filter(|(_, server)| server.registration_key.as_ref() == Some(key))
            .filter(|(server, _)| name.is_none_or(|name| server.name == name))
            .collect();
        // A gateway that lost the answer asks again: it is bound by now.
        if let Some((server, _)) = fitting.iter().find(|(_, server)| server.public_key == Some(*gateway)) {
            return Ok((*server).clone());
        }
        let is_free =
            |server: &EffectiveServer| server.public_key.is_none() && server.standing == Standing::Active;
        let free: Vec<_> = fitting.iter().filter(|(_, server)| is_free(server)).collect();
        match free.as_slice() {
            [(server, _)] => Ok((*server).clone()),
            [] if fitting.is_empty() => Err(Refusal::new(
                RefusalCode::NoCandidate,
                match name {
                    Some(name) => format!("no Server {name} is declared with this registration key"),
                    None => "no Server is declared with this registration key".to_owned(),
                },
                "declare one whose spec.identity.registrationKeyRef names the key",
            )),
            [] => Err(Refusal::new(
                RefusalCode::AlreadyBound,
                "every Server that this key may enrol has a gateway already",
                "declare another Server, or remove and declare again the one whose host is gone",
            )),
            several => {
                let names: Vec<_> = several.iter().map(|(server, _)| server.name.as_str()).collect();
                Err(Refusal::new(
                    RefusalCode::ManyCandidates,
                    format!("this key fits several Servers: {}", names.join(", ")),
                    "say which with `--name`",
                ))
            }
        }
    }

    async fn use_for_server(
        &self,
        found: &Found,
        server: &ObjectKey,
        uses_max: u32,
        request: &JoinRequest,
    ) -> Result<UseOutcome, Refusal> {
        let (Some(key), Some(owner)) = (self.state.ledger.get(&found.key), self.state.ledger.get(server))
        else {
            return Err(not_ready());
        };
        let request = UseKey {
            key: Named { uid: key.uid.to_string(), name: found.key.to_string() },
            digest: found.digest.clone(),
            uses_max: Some(i64::from(uses_max)),
            on_revoke: self.on_revoke(found).as_str().into(),
            owner: Named { uid: owner.uid.to_string(), name: server.to_string() },
            owner_kind: NodeKind::Server,
            creates: None,
            public_key: request.gateway.as_bytes().to_vec(),
            evidence: evidence_json(&request.evidence),
            remote: request.remote.to_string(),
            event_id: Uuid::now_v7().to_string(),
            now: clock::unix_ms(),
        };
        self.store.use_key(request).await.map_err(|error| store_refuses(&error))
    }

    async fn finish_join(
        &mut self,
        found: &Found,
        server: &ObjectKey,
        request: &JoinRequest,
        outcome: UseOutcome,
    ) -> Result<ServerName, Refusal> {
        match outcome {
            UseOutcome::Bound => {
                self.state.count_use(&found.digest);
                // Who says a used token again is no other host than before: what is known of it stays.
                self.state.trust.handle_bound(server, request.gateway, request.evidence.clone());
            }
            UseOutcome::AlreadyBound { .. } => {}
            UseOutcome::Exhausted
            | UseOutcome::OwnerAlreadyBound
            | UseOutcome::PublicKeyTaken { .. }
            | UseOutcome::Revoked => {
                let refusal = refusal_of(&outcome);
                return Err(self.refused(refusal, Some(&found.key), request.remote, &request.gateway).await);
            }
        }
        self.read_events().await;
        info!(%server, key = %request.gateway.short(), "server enrolled");
        self.state.facts.servers.insert(server.clone(), request.gateway);
        self.state.enrol(request.gateway, found, self.on_revoke(found));
        self.state.note_use(found, request.remote, server);
        self.recompile_or_log("join").await;
        // It is bound, and asks again; what it must run is committed by then.
        self.check_awake()?;
        Ok((server.namespace.to_string(), server.name.to_string()))
    }

    pub(super) async fn attach(&mut self, request: &AttachRequest) -> Result<ServerName, Refusal> {
        // A disabled one is let in too: it hears that it has nothing to serve.
        let server = match self.state.server_of(&request.gateway) {
            Some(server) => Some(server),
            None => self.take_up_key(request).await?,
        };
        let known = server.filter(|server| self.state.assignments.contains_key(server));
        match known {
            Some(server) => match self.check_place(&server, request.remote) {
                Ok(()) => Ok((server.namespace.into(), server.name.into())),
                Err(refusal) => {
                    Err(self.refused(refusal, Some(&server), request.remote, &request.gateway).await)
                }
            },
            None => {
                self.check_awake()?;
                let refusal = Refusal::new(
                    RefusalCode::NotEnrolled,
                    "no Server has this gateway's key",
                    "declare its Server again, or enrol with `horizon-gateway join`",
                );
                Err(self.refused(refusal, None, request.remote, &request.gateway).await)
            }
        }
    }

    pub(super) fn check_place(&self, server: &ObjectKey, remote: IpAddr) -> Result<(), Refusal> {
        let effective = self.state.compiled.effective.servers.get(server);
        if effective.is_none_or(|effective| is_in(&effective.source_cidrs, remote)) {
            return Ok(());
        }
        Err(outside_ranges(remote))
    }

    /// Finds the key of a token. All are compared, each in constant time.
    pub(super) fn find_key<'a>(
        &self,
        digest: &TokenDigest,
        keys: impl Iterator<Item = (&'a ObjectKey, Option<TokenDigest>)>,
    ) -> Option<Found> {
        let presented = self.identity.pepper().keyed(digest);
        let mut found = None;
        for (key, declared) in keys {
            let stored = self.keyed_digest(key, declared);
            if stored.is_some_and(|stored| stored.matches(&presented)) {
                found = Some(Found { key: key.clone(), digest: presented.as_bytes().to_vec() });
            }
        }
        found
    }

    /// Returns the digest of the token that a key has: the declared one, or the one that was made for it.
    pub(super) fn keyed_digest(&self, key: &ObjectKey, declared: Option<TokenDigest>) -> Option<KeyedDigest> {
        if let Some(declared) = declared {
            return Some(self.identity.pepper().keyed(&declared));
        }
        let bytes = self.state.digests.get(self.state.ledger.get(key)?.uid.as_str())?;
        Some(KeyedDigest::from_bytes(bytes.as_slice().try_into().ok()?))
    }

    /// Returns what a key says of its revocation.
    pub(super) fn on_revoke(&self, found: &Found) -> OnRevoke {
        self.state.compiled.effective.on_revoke(&found.key).unwrap_or_default()
    }

    /// Refuses for now when what is decided could not be committed: a final answer would be a wrong one.
    pub(super) fn check_awake(&self) -> Result<(), Refusal> {
        if !self.state.has_read_all {
            return Err(not_ready());
        }
        match &self.state.stalled {
            None => Ok(()),
            Some(_) => Err(cannot_write()),
        }
    }

    pub(super) fn token_digest(&self, text: &str, kind: TokenKind) -> Result<TokenDigest, Refusal> {
        let token: Token = text.parse().map_err(|_| unknown_key())?;
        if token.kind() == kind { Ok(token.digest()) } else { Err(unknown_key()) }
    }
}

pub(super) fn unknown_key() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownKey,
        "no key of this kind is known here",
        "ask for a new join string or link; each works only where it was made",
    )
}

pub(super) fn not_ready() -> Refusal {
    Refusal::new(RefusalCode::NotReady, "the controller is still starting", "try again in a moment")
}

pub(super) fn store_refuses(error: &crate::store::StoreError) -> Refusal {
    error!(%error, "the store refuses a use of a key");
    cannot_write()
}

/// What nodes and operators are told alike.
pub(super) const CANNOT_WRITE: &str = "the controller cannot write its store";

fn cannot_write() -> Refusal {
    Refusal::new(RefusalCode::Busy, CANNOT_WRITE, "try again; see its log")
}

/// An exhausted key may still answer a retry: the store knows.
fn check_role(role: RegistrationRole) -> Result<(), Refusal> {
    match role {
        RegistrationRole::Server => Ok(()),
        RegistrationRole::Device => Err(Refusal::new(
            RefusalCode::NoCandidate,
            "this registration key enrols devices, not servers",
            "run `horizon login` with it on a device, or use a RegistrationKey with `role: Server`",
        )),
    }
}

pub(super) fn check_standing(standing: Standing) -> Result<(), Refusal> {
    let refuse = |code, hint: &str| {
        Err(Refusal::new(code, format!("the key cannot be used: {}", standing.sentence()), hint))
    };
    match standing {
        Standing::Active | Standing::Exhausted => Ok(()),
        Standing::Expired => refuse(RefusalCode::KeyExpired, "ask for a new one"),
        Standing::Disabled
        | Standing::Held
        | Standing::AwaitingApproval
        | Standing::NoUser
        | Standing::UserDisabled
        | Standing::UserHeld
        | Standing::UserExpired
        | Standing::KeyRevoked
        | Standing::KeyFollowed => refuse(RefusalCode::KeyDisabled, "ask an administrator of this network"),
    }
}

pub(super) fn check_source(allowed: &[IpNet], remote: IpAddr) -> Result<(), Refusal> {
    if is_in(allowed, remote) {
        return Ok(());
    }
    let message = format!("the key may not be used from {}", remote.to_canonical());
    Err(Refusal::new(RefusalCode::SourceNotAllowed, message, "use it from one of its sourceCidrs"))
}

/// No range is everywhere.
fn is_in(allowed: &[IpNet], remote: IpAddr) -> bool {
    let remote = remote.to_canonical();
    allowed.is_empty() || allowed.iter().any(|prefix| prefix.contains(&remote))
}

pub(super) fn refusal_of(outcome: &UseOutcome) -> Refusal {
    let (code, message, hint) = match outcome {
        UseOutcome::Exhausted => {
            (RefusalCode::KeyExhausted, "the key was used as often as it may be", "ask for a new one")
        }
        UseOutcome::OwnerAlreadyBound => (
            RefusalCode::AlreadyBound,
            "the object that this key enrols has another key already",
            "remove and declare it again if its host is gone",
        ),
        UseOutcome::PublicKeyTaken { .. } => (
            RefusalCode::AlreadyBound,
            "this node's key belongs to something else already",
            "remove its data folder and enrol again",
        ),
        UseOutcome::Revoked => (
            RefusalCode::Revoked,
            "this node's key was revoked",
            "ask an administrator to declare its Device again; or stop its agent, remove `device.key` from the agent's data folder, and sign in again",
        ),
        UseOutcome::Bound | UseOutcome::AlreadyBound { .. } => {
            (RefusalCode::Busy, "the controller was interrupted", "try again")
        }
    };
    Refusal::new(code, message, hint)
}

pub(super) fn evidence_json(evidence: &Evidence) -> String {
    serde_json::to_string(evidence).unwrap_or_else(|_| "{}".into())
}
