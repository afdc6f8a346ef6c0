//! Which servers to try, in which order.

use std::cmp::Reverse;

use horizon_api::{
    grant::Grant,
    key::PublicKey,
    section::{Endpoint, NetworkId},
    wire::dev::ServerOffer,
};

use crate::disk::{Connection, Wish};

/// A server for a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) server: String,
    pub(crate) key: PublicKey,
    /// The key that is to follow.
    pub(crate) next: Option<PublicKey>,
    pub(crate) network: NetworkId,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// Why there is no server to try.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChoiceError {
    #[error("there is no server `{name}`; {known}")]
    UnknownServer { name: String, known: String },
    #[error("this device is not in a network `{name}`; {known}")]
    UnknownNetwork { name: String, known: String },
    #[error("no server carries a network of this device; declare one, or ask the operator")]
    NoServer,
    #[error("server `{server}` does not carry network {network}; connect without one of the two")]
    NotCarried { server: String, network: NetworkId },
}

/// Round trips that differ by less are equal, so that the load decides and nothing flaps.
const RTT_STEP_US: u64 = 5_000;

/// Returns the servers from the best to the worst: those that the controller hears from, then the nearest as measured,
/// then the least loaded. The names break ties, so that the order is the same every time.
pub(crate) fn order<'a>(servers: &'a [ServerOffer], memory: &Connection) -> Vec<&'a ServerOffer> {
    let mut ordered: Vec<_> = servers.iter().collect();
    ordered.sort_by_cached_key(|server| {
        let rtt = memory.rtts_us.get(&server.key).map_or(u64::MAX, |rtt| rtt / RTT_STEP_US);
        (Reverse(server.is_connected), rtt, server.links, server.name.clone())
    });
    ordered
}

/// Returns whom to ask for a link, the best first, all for one network. A link that was lost is made again where it was
/// (`last`), before another server is better.
pub(crate) fn candidates(
    servers: &[ServerOffer],
    grant: &Grant,
    wish: &Wish,
    memory: &Connection,
    last: Option<PublicKey>,
) -> Result<Vec<Candidate>, ChoiceError> {
    let mut ordered = order(servers, memory);
    ordered.sort_by_key(|server| Some(server.key) != last);
    let asked = match &wish.server {
        Some(name) => vec![named(&ordered, name)?],
        None => ordered,
    };
    let network = network(&asked, grant, wish)?;
    let carries = |server: &&ServerOffer| server.networks.iter().any(|offer| offer.network == network);
    let candidates: Vec<_> = asked
        .into_iter()
        .filter(carries)
        .map(|server| Candidate {
            server: server.name.clone(),
            key: server.key,
            next: server.next,
            network: network.clone(),
            endpoints: server.endpoints.clone(),
        })
        .collect();
    match (candidates.is_empty(), &wish.server) {
        (false, _) => Ok(candidates),
        (true, Some(server)) => Err(ChoiceError::NotCarried { server: server.clone(), network }),
        (true, None) => Err(ChoiceError::NoServer),
    }
}

fn named<'a>(servers: &[&'a ServerOffer], name: &str) -> Result<&'a ServerOffer, ChoiceError> {
    servers.iter().copied().find(|server| server.name == name).ok_or_else(|| {
        let names = servers.iter().map(|server| server.name.as_str());
        ChoiceError::UnknownServer { name: name.to_owned(), known: known("servers", names) }
    })
}

/// The network that was asked for, else the first of the device that somebody carries.
fn network(servers: &[&ServerOffer], grant: &Grant, wish: &Wish) -> Result<NetworkId, ChoiceError> {
    let granted = || grant.networks.iter().map(|network| &network.network);
    match &wish.network {
        Some(name) => {
            let is_named = |id: &&NetworkId| {
                id.as_str() == name || id.as_str().split_once('/').is_some_and(|(_, short)| short == name)
            };
            granted().find(is_named).cloned().ok_or_else(|| {
                let names = granted().map(NetworkId::as_str);
                ChoiceError::UnknownNetwork { name: name.clone(), known: known("networks", names) }
            })
        }
        None => {
            let is_carried = |id: &&NetworkId| {
                servers.iter().any(|server| server.networks.iter().any(|offer| offer.network == **id))
            };
            granted().find(is_carried).cloned().ok_or(ChoiceError::NoServer)
        }
    }
}

fn known<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        format!("there are no {what}")
    } else {
        format!("known {what}: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use horizon_api::{grant::NetworkGrant, key::SecretKey, verdict::Identity, wire::dev::NetworkOffer};

    fn key(seed: u8) -> PublicKey {
        SecretKey::from_seed(&[seed; 32]).public()
    }

    fn server(name: &str, seed: u8, networks: &[&str]) -> ServerOffer {
        let networks = networks
            .iter()
            .map(|name| NetworkOffer { network: NetworkId::new("default", name), routes: vec![] });
        ServerOffer {
            name: name.into(),
            key: key(seed),
            next: None,
            previous: None,
            endpoints: vec![],
            networks: networks.collect(),
            is_connected: true,
            links: 0,
        }
    }

    fn grant(networks: &[&str]) -> Grant {
        let networks = networks.iter().map(|name| NetworkGrant {
            network: NetworkId::new("default", name),
            addresses: vec![],
            sealed: None,
        });
        Grant {
            id: [0; 16],
            epoch: 1,
            device: key(9),
            identity: Identity::default(),
            audience: [].into(),
            networks: networks.collect(),
            issued_at: 0,
            not_before: 0,
            expires_at: 1,
        }
    }

    fn names(servers: &[&ServerOffer]) -> Vec<String> {
        servers.iter().map(|server| server.name.clone()).collect()
    }

    #[test]
    fn heard_of_comes_before_near_before_idle_before_unmeasured() {
        let away = ServerOffer { is_connected: false, ..server("away", 1, &[]) };
        let busy = ServerOffer { links: 10, ..server("busy", 2, &[]) };
        let idle = ServerOffer { links: 1, ..server("idle", 3, &[]) };
        let (far, unmeasured) = (server("far", 4, &[]), server("unmeasured", 5, &[]));
        let rtts_us = [(key(1), 1), (key(2), 20_100), (key(3), 24_900), (key(4), 90_000)].into();
        let memory = Connection { rtts_us, ..Connection::default() };

        let all = [away, far, unmeasured, busy, idle];
        let ordered = order(&all, &memory);

        assert_eq!(names(&ordered), ["idle", "busy", "far", "unmeasured", "away"]);
    }

    fn check(wish: Wish, expected: Result<&[&str], &str>) {
        let servers =
            [server("a", 1, &["lab"]), server("b", 2, &["office"]), server("c", 3, &["office", "lab"])];
        let grant = grant(&["office", "lab"]);

        let found = candidates(&servers, &grant, &wish, &Connection::default(), None);

        let found = found.map(|all| all.into_iter().map(|one| one.server).collect::<Vec<_>>());
        let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    }

    #[test]
    fn a_wish_narrows_the_servers_of_one_network() {
        let wish = |server: Option<&str>, network: Option<&str>| Wish {
            server: server.map(str::to_owned),
            network: network.map(str::to_owned),
        };
        check(wish(None, None), Ok(&["b", "c"]));
        check(wish(None, Some("lab")), Ok(&["a", "c"]));
        check(wish(None, Some("default/office")), Ok(&["b", "c"]));
        check(wish(Some("a"), None), Ok(&["a"]));
        check(wish(Some("x"), None), Err("there is no server `x`; known servers: a, b, c"));
        check(
            wish(None, Some("x")),
            Err("this device is not in a network `x`; known networks: default/office, default/lab"),
        );
        check(
            wish(Some("a"), Some("office")),
            Err("server `a` does not carry network default/office; connect without one of the two"),
        );
    }

    #[test]
    fn a_lost_link_is_made_again_where_it_was() {
        let servers = [server("a", 1, &["office"]), server("b", 2, &["office"])];
        let (grant, wish) = (grant(&["office"]), Wish::default());

        let found = candidates(&servers, &grant, &wish, &Connection::default(), Some(key(2)));

        let names: Vec<_> = found.expect("two").into_iter().map(|one| one.server).collect();
        assert_eq!(names, ["b", "a"]);
    }

    #[test]
    fn no_server_is_said() {
        let none = candidates(&[], &grant(&["office"]), &Wish::default(), &Connection::default(), None);

        assert_eq!(none, Err(ChoiceError::NoServer));
    }
}
