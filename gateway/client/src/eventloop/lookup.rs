//! From servers to addresses: resolves the names of endpoints, away from the loop.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use horizon_node::udp::Family;

use crate::{choice::Candidate, state::Target};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) targets: Vec<Target>,
    /// What must be reached beside the link: the gateways themselves, and the controller.
    pub(crate) direct: BTreeSet<IpAddr>,
    /// The last name that did not resolve.
    pub(crate) problem: Option<String>,
}

impl Found {
    /// Adds, as the last, where a link was up: what is declared may not be so yet.
    pub(super) fn add_last(&mut self, last: &Target) {
        let is_its_server = |target: &Target| target.key == last.key && target.network == last.network;
        let is_known =
            self.targets.iter().any(|target| is_its_server(target) && target.remote == last.remote);
        if !is_known && self.targets.iter().any(is_its_server) {
            self.direct.insert(last.remote.ip().to_canonical());
            self.targets.push(last.clone());
        }
    }
}

/// A resolver that takes longer gives no answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// No link waits longer for the controller's address.
const CONTROLLER_PATIENCE: Duration = Duration::from_millis(500);

/// Resolves all endpoints, in their order, and the controller's name.
pub(crate) async fn find(candidates: Vec<Candidate>, family: Family, controller: (String, u16)) -> Found {
    let mut found = Found::default();
    let controller = tokio::spawn(async move { resolve(&controller.0, controller.1).await });
    for candidate in candidates {
        for endpoint in &candidate.endpoints {
            match resolve(&endpoint.host, endpoint.port).await {
                Ok(addresses) => {
                    found.direct.extend(addresses.iter().map(SocketAddr::ip));
                    let fitting = addresses.into_iter().filter_map(|address| family.fit(address));
                    found.targets.extend(fitting.map(|remote| Target {
                        server: candidate.server.clone(),
                        key: candidate.key,
                        next: candidate.next,
                        network: candidate.network.clone(),
                        remote,
                    }));
                }
                Err(problem) => found.problem = Some(problem),
            }
        }
    }
    // A controller whose name does not resolve is no reason to stay without a link.
    if let Ok(Ok(Ok(addresses))) = tokio::time::timeout(CONTROLLER_PATIENCE, controller).await {
        found.direct.extend(addresses.into_iter().map(|address| address.ip()));
    }
    found
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let fail =
        |reason: String| format!("the name {host} has no address ({reason}); check this host's resolver");
    match tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(fail(error.to_string())),
        Err(_) => Err(fail("no answer".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use horizon_api::{key::SecretKey, section::NetworkId};

    fn target(seed: u8, port: u16) -> Target {
        Target {
            server: "gw-1".into(),
            key: SecretKey::from_seed(&[seed; 32]).public(),
            next: None,
            network: NetworkId::new("default", "office"),
            remote: ([192, 0, 2, seed], port).into(),
        }
    }

    #[test]
    fn where_a_link_was_up_is_tried_last_while_its_server_may_be_used() {
        let check = |last: Target, expected: &[Target]| {
            let mut found = Found { targets: vec![target(1, 7555), target(2, 7444)], ..Found::default() };
            found.add_last(&last);
            assert_eq!(found.targets, expected);
        };
        let known = [target(1, 7555), target(2, 7444)];

        check(target(1, 7444), &[target(1, 7555), target(2, 7444), target(1, 7444)]);
        check(target(2, 7444), &known);
        check(target(3, 7444), &known);
    }
}
