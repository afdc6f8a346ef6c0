//! What the agent says of itself: one whole picture after each event.

use horizon_dataplane::drop_reason::DropReason;
use horizon_link::{LinkStatus, PeerStatus};
use horizon_node::negotiated::Negotiated;
use jiff::Timestamp;

use super::EventLoop;
use crate::{
    account::{Account, sealing},
    api::{ControllerStatus, KeyStorage, LastError, SealedPeer, SealingStatus, Server, Servers, Status},
    choice,
    state::Problem,
};

/// The newest picture: what the socket answers with.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) status: Status,
    /// Nothing before a login.
    pub(crate) servers: Option<Servers>,
}

impl EventLoop {
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            status: self.status(),
            servers: self.account.as_ref().map(|account| self.servers(account)),
        }
    }

    fn status(&self) -> Status {
        let state = self.machine.state();
        let last_problem = self.machine.last_problem();
        let said = state.explain(last_problem.map(|(_, problem)| problem));
        let link = self.live_link();
        // What the host is set by: also while the link is being made again.
        let accept = self.memory.accept.as_ref().filter(|_| self.link.is_some());
        let up = self.machine.up();
        let running = self.link.as_ref().filter(|_| up.is_some());
        let negotiated = running.map(|link| &link.negotiated);
        let grant = self.account.as_ref().map(Account::grant);
        let said = if self.waiting.is_some() {
            Problem::new(
                "this device waits for an admin's approval",
                "wait: it signs in by itself once it is approved",
            )
        } else if self.account.is_none() {
            Problem { hint: "run `horizon login LINK`".to_owned(), ..said }
        } else {
            said
        };
        Status {
            state: state.name(),
            since: moment_ms(self.machine.since_ms()),
            message: said.message,
            hint: said.hint,
            awaits_approval: self.waiting.is_some(),
            wants_connection: self.machine.wants_connection()
                || (self.waiting.is_some() && self.memory.wish.is_some()),
            server: up.map(|up| up.server.clone()),
            network: accept.map(|accept| accept.network.clone()),
            gateway: accept.map(|accept| accept.gateway.clone()).unwrap_or_default(),
            addresses: accept.map(|accept| accept.addresses.clone()).unwrap_or_default(),
            routes: accept.map(|accept| accept.routes.clone()).unwrap_or_default(),
            rtt_ms: link.as_ref().map(|link| milliseconds(link.rtt_us)),
            inbound_bytes: link.as_ref().map_or(0, |link| link.inbound_bytes),
            outbound_bytes: link.as_ref().map_or(0, |link| link.outbound_bytes),
            server_key: up.map(|up| up.key.to_string()),
            post_quantum: negotiated.map(Negotiated::is_post_quantum),
            key_exchange: negotiated.map(|negotiated| negotiated.key_exchange.clone()),
            cipher: negotiated.map(|negotiated| negotiated.cipher.clone()),
            is_in_grace: up.is_some() && accept.is_some_and(|accept| accept.is_in_grace),
            grant_expires_at: grant.map(|grant| moment_ms(grant.expires_at.saturating_mul(1000))),
            controller: self.home().map(|home| ControllerStatus {
                address: format!("{}:{}", home.host, home.port),
                is_reachable: self.grants.is_reachable,
                refusal: self.grants.refusal.clone(),
            }),
            user: grant.map(|grant| grant.identity.user.to_string()).filter(|user| !user.is_empty()),
            device: grant.map(|grant| grant.identity.device.to_string()),
            key: self.parts.key.public().to_string(),
            key_storage: KeyStorage::File,
            last_error: last_problem.map(|(at_ms, problem)| LastError {
                at: moment_ms(*at_ms),
                message: problem.message.clone(),
                hint: problem.hint.clone(),
            }),
            sealing: self.sealing(),
            warnings: self.warnings.clone(),
        }
    }

    /// How packets for other devices are sealed, in the network of the link that is wanted.
    fn sealing(&self) -> Option<SealingStatus> {
        let (account, link) = (self.account.as_ref()?, self.link.as_ref()?);
        let network = &link.dialed.as_ref()?.network;
        sealing::scope(account, network)?;
        let status = link.handle.status();
        let peers = status.sealed.as_deref().unwrap_or_default().iter().map(sealed_peer).collect();
        Some(SealingStatus {
            has_card: self.parts.seal.card(account, network).is_some(),
            not_sealed: NOT_SEALED.map(str::to_owned).to_vec(),
            dropped_unsealed: status.drops.get(DropReason::NotSealed.as_str()).copied().unwrap_or(0),
            peers,
        })
    }

    fn live_link(&self) -> Option<LinkStatus> {
        let (link, _) = (self.link.as_ref()?, self.machine.up()?);
        link.handle.status().links.first().cloned()
    }

    fn servers(&self, account: &Account) -> Servers {
        let current = self.machine.up().map(|up| up.key);
        let known = &account.stored().granted.servers;
        let servers = choice::order(known, &self.memory).into_iter().map(|server| {
            let mut routes: Vec<_> = server.networks.iter().flat_map(|offer| offer.routes.clone()).collect();
            routes.sort_unstable();
            routes.dedup();
            Server {
                name: server.name.clone(),
                endpoints: server.endpoints.iter().map(ToString::to_string).collect(),
                networks: server.networks.iter().map(|offer| offer.network.clone()).collect(),
                routes,
                is_ready: server.is_connected,
                links: server.links,
                rtt_ms: self.memory.rtts_us.get(&server.key).map(|rtt_us| milliseconds(*rtt_us)),
                is_current: current == Some(server.key),
            }
        });
        let as_of = moment_ms(account.stored().received_at.saturating_mul(1000));
        Servers { servers: servers.collect(), as_of }
    }
}

/// What ends at the gateway itself, or leaves the network there.
const NOT_SEALED: [&str; 4] =
    ["the gateway's own services", "names (DNS)", "the LAN channel", "what lies behind the gateway"];

fn sealed_peer(peer: &PeerStatus) -> SealedPeer {
    SealedPeer {
        device: peer.name.clone(),
        key: peer.device.map(|key| key.to_string()),
        address: peer.ends.peer,
        suite: peer.suite.map(|suite| suite.name().to_owned()),
        age_s: peer.age.map(|age| age.as_secs()),
        handshakes: peer.handshakes,
        sealed: peer.sealed,
        opened: peer.opened,
        replayed: peer.replayed,
        broken: peer.broken,
        waited: peer.waited,
        refused: peer.refused,
        refusal: peer.refusal.clone(),
    }
}

fn milliseconds(us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64() * 1000.0
}

/// A time that cannot be written is shown as the beginning of time.
fn moment_ms(unix_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
