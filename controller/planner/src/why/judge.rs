//! Two ends and a way between them: what the tables say of each pair, or why there is no way.

use std::net::IpAddr;

use horizon_api::{
    http::ApiError,
    section::NetworkId,
    verdict::{Action, Decision, Party, Query, evaluate},
};

use super::{
    Flow, Scene,
    end::{Being, End},
};
use crate::compile::NetworkAccess;

/// What is said of one pair.
#[derive(Clone, Debug)]
pub(super) struct Judged<'a> {
    pub source: &'a End<'a>,
    pub destination: &'a End<'a>,
    pub outcome: Result<Path<'a>, NoPath>,
    /// The unix second at which it may be another.
    pub until: Option<i64>,
}

/// One way, with what its table says.
#[derive(Clone, Debug)]
pub(super) struct Path<'a> {
    pub id: &'a NetworkId,
    pub network: &'a NetworkAccess,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub flow: Flow,
    pub decision: Decision,
}

/// Why no packet gets from one end to the other, whatever the policies say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NoPath {
    pub code: &'static str,
    pub message: String,
}

impl Judged<'_> {
    pub(super) fn is_allowed(&self) -> bool {
        self.outcome.as_ref().is_ok_and(Path::is_allowed)
    }
}

impl Path<'_> {
    pub(super) fn is_allowed(&self) -> bool {
        self.decision.action == Action::Allow
    }

    pub(super) fn query<'b>(&self, [source, destination]: [&'b End<'b>; 2]) -> Query<'b> {
        query([source, destination], [self.source, self.destination], self.flow)
    }
}

/// About a second of work in the worst of worlds: so many pairs times rules times flows.
const WORK_MAX: usize = 20_000_000;

/// Checks that a question about so many pairs and flows can be answered at once.
pub(super) fn check_work(scene: &Scene<'_>, pairs: usize, flows: usize) -> Result<(), ApiError> {
    let rules = scene.access.networks.values().map(|network| network.table.rules.len()).max().unwrap_or(0);
    if pairs.saturating_mul(rules + 1).saturating_mul(flows) <= WORK_MAX {
        return Ok(());
    }
    let flows = if flows == 1 { String::new() } else { format!(" and {flows} flows") };
    let message = format!("{pairs} pairs of devices and addresses{flows} are meant, with {rules} rules each");
    Err(ApiError::new("TooMany", message, "ask about fewer at once"))
}

/// Judges every source with every destination, but none with itself.
pub(super) fn judge<'a>(
    scene: &'a Scene<'_>,
    [sources, destinations]: [&'a [End<'a>]; 2],
    flow: Flow,
    at: i64,
) -> Vec<Judged<'a>> {
    let pairs = sources.iter().flat_map(|source| destinations.iter().map(move |to| (source, to)));
    pairs.map(|(source, destination)| judge_pair(scene, source, destination, flow, at)).collect()
}

pub(super) fn judge_pair<'a>(
    scene: &'a Scene<'_>,
    source: &'a End<'a>,
    destination: &'a End<'a>,
    flow: Flow,
    at: i64,
) -> Judged<'a> {
    let (outcome, until) = match obstacle(source, destination) {
        Some(no_path) => (Err(no_path), None),
        None => best_path(scene, [source, destination], flow, at),
    };
    let until = [until, source.until, destination.until].into_iter().flatten().min();
    Judged { source, destination, outcome, until }
}

/// Returns what keeps the two apart that no network can change.
fn obstacle(source: &End<'_>, destination: &End<'_>) -> Option<NoPath> {
    if let Some(off) = source.off.as_ref().or(destination.off.as_ref()) {
        return Some(NoPath { code: "Off", message: off.clone() });
    }
    match (&source.being, &destination.being) {
        (Being::Device(from), Being::Device(_)) if !from.device.is_empty() && source.meets(destination) => {
            Some(NoPath { code: "Same", message: format!("{} is on both ends", source.label) })
        }
        (Being::Device(_), _) | (_, Being::Device(_)) => None,
        (Being::Server(_) | Being::Host, Being::Server(_) | Being::Host) => {
            let message =
                format!("between {} and {} there is no link of a device", source.label, destination.label);
            Some(NoPath { code: "NoMember", message })
        }
    }
}

/// Tries every network that both are in and every pair of addresses; one that is allowed is as good as all.
fn best_path<'a>(
    scene: &'a Scene<'_>,
    ends: [&'a End<'a>; 2],
    flow: Flow,
    at: i64,
) -> (Result<Path<'a>, NoPath>, Option<i64>) {
    let mut paths = Vec::new();
    let mut is_carried = false;
    let mut is_shared = false;
    for (id, network) in &scene.access.networks {
        let (Some(from), Some(to)) = (ends[0].places.get(id), ends[1].places.get(id)) else { continue };
        is_shared = true;
        if network.servers.is_empty() {
            continue;
        }
        is_carried = true;
        for (source, destination) in from.iter().flat_map(|source| to.iter().map(move |to| (*source, *to))) {
            if source.is_ipv4() == destination.is_ipv4() {
                let decision = evaluate(&network.table, &query(ends, [source, destination], flow), at);
                paths.push(Path { id, network, source, destination, flow, decision });
            }
        }
    }
    let until = paths.iter().filter_map(|path| path.decision.holds_until).min();
    // What is allowed says most, then what a rule denies.
    let weight = |path: &Path<'_>| (!path.is_allowed(), path.decision.rule.is_none());
    let best = paths.into_iter().min_by_key(weight);
    (best.ok_or_else(|| no_path(ends, is_shared, is_carried)), until)
}

fn no_path([source, destination]: [&End<'_>; 2], is_shared: bool, is_carried: bool) -> NoPath {
    let (from, to) = (&source.label, &destination.label);
    for end in [source, destination] {
        if matches!(end.being, Being::Host) && !end.is_somewhere() {
            let message = format!("no server has a subnet route for {}", end.label);
            return NoPath { code: "NoRoute", message };
        }
    }
    if is_carried {
        let message = format!("{from} and {to} have no addresses of one family");
        return NoPath { code: "NoFamily", message };
    }
    let networks = |end: &End<'_>| match end.places.keys().map(NetworkId::as_str).collect::<Vec<_>>() {
        none if none.is_empty() => "no network".to_owned(),
        some => some.join(" and "),
    };
    if is_shared {
        let message = format!("no server that is enabled carries {}", networks(source));
        return NoPath { code: "NoGateway", message };
    }
    let message = format!("{from} is in {}, but {to} is in {}", networks(source), networks(destination));
    NoPath { code: "OtherNetwork", message }
}

fn query<'b>(ends: [&'b End<'b>; 2], [source, destination]: [IpAddr; 2], flow: Flow) -> Query<'b> {
    Query {
        source: Party { who: ends[0].being.who(), address: source },
        destination: Party { who: ends[1].being.who(), address: destination },
        protocol: flow.number(destination),
        port: flow.port,
    }
}
