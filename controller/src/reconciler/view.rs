//! The picture that console and `status` show, made of the state.

use horizon_api::{
    http::{
        ArmedView, DeviceView, EventSeverity, EventView, HoldView, ServerView, SourceView, StaleView, View,
    },
    key::PublicKey,
    problem::Problem,
    resource::ObjectKey,
    wire::cfg::LinkReport,
};
use horizon_node::clock;
use horizon_planner::{
    compile::{API_SOURCE, EffectiveDevice, EffectiveServer, Standing},
    hold::UNTIL_RELEASED,
};

use super::{
    gateways::Gateway,
    guard::Armed,
    plan::held_plan,
    state::{SourceNote, State},
};
use crate::{source::cluster, store::StoredEvent};

/// The newest security events on the page.
pub(super) const EVENTS_SHOWN: i64 = 50;

/// The code of the problem that nothing can be committed.
pub const STALLED: &str = "Stalled";
/// The code of the problem that a change which nobody confirmed cannot be taken back.
pub const UNREVERTED: &str = "NotTakenBack";

pub(super) fn view(state: &State) -> View {
    let servers =
        state.compiled.effective.servers.iter().map(|(key, server)| server_view(state, key, server));
    let devices =
        state.compiled.effective.devices.iter().map(|(key, device)| device_view(state, key, device));
    let mut problems = state.compiled.problems.clone();
    problems.extend(state.stalled.as_ref().map(|reason| {
        Problem::error("", STALLED, reason.clone())
            .fix("the old revision stays in force; see the controller's log")
    }));
    problems.extend(state.unreverted.as_ref().map(|reason| {
        Problem::error("", UNREVERTED, reason.clone())
            .fix("it is tried again and again; see the controller's log, or keep the change with `horizon-controller confirm`")
    }));
    problems.extend(state.delegation_warning.as_ref().map(|reason| {
        Problem::error("", "Delegation", reason.clone())
            .fix("run `horizon-controller keys request`, or put root.key back into the data folder for an hour; without a delegation no node believes this controller")
            .warning()
    }));
    problems.extend(state.lacking(clock::unix_ms()));
    View {
        epoch: state.version.epoch,
        revision: state.version.revision,
        controller_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: millis(state.started_at_ms),
        complete: state.source_notes.values().all(|note| note.is_complete),
        cluster: state.untold.has_cluster(),
        sources: sources(state),
        servers: servers.collect(),
        devices: devices.collect(),
        problems,
        keys: state.used_keys(),
        plans: state.compiled.plans.iter().map(held_plan).collect(),
        holds: holds(state),
        armed: state.guard.armed.as_ref().map(armed_view),
        stale: stale(state),
        events: state.events.iter().map(event_view).collect(),
    }
}

fn holds(state: &State) -> Vec<HoldView> {
    let holds = state.holds.iter().map(|(object, hold)| HoldView {
        object: object.clone(),
        reason: hold.reason.clone(),
        by: hold.by.clone(),
        until: if hold.until >= UNTIL_RELEASED { 0 } else { millis(hold.until.saturating_mul(1000)) },
    });
    holds.collect()
}

fn armed_view(armed: &Armed) -> ArmedView {
    let provisional = armed.provisional.as_ref();
    ArmedView {
        by: armed.by.clone(),
        within: millis(armed.within_ms / 1000),
        revision: provisional.map(|provisional| provisional.revision),
        revert_at: provisional.map(|provisional| millis(provisional.revert_at_ms)),
    }
}

fn stale(state: &State) -> Vec<StaleView> {
    let stale = state.compiled.objects.iter().filter_map(|(key, object)| {
        let stale = object.stale.as_ref()?;
        Some(StaleView {
            object: key.clone(),
            place: object.owner.origin.to_string(),
            reason: stale.reason.as_str().to_owned(),
            message: stale.message.clone(),
        })
    });
    stale.take(STALE_SHOWN).collect()
}

/// More than a person goes through one by one; a folder that is gone makes all of them stale.
const STALE_SHOWN: usize = 200;

fn sources(state: &State) -> Vec<SourceView> {
    let count =
        |source: &str| state.committed.values().filter(|object| object.owner.source == source).count();
    let (kinds, folders): (Vec<_>, Vec<_>) =
        state.source_notes.iter().partition(|(source, _)| cluster::is_of_cluster(source));
    let cluster = (!kinds.is_empty()).then(|| cluster_view(state, &kinds));
    let folders = folders.into_iter().map(|(source, note)| SourceView {
        path: source.trim_start_matches("files:").to_owned(),
        complete: note.is_complete,
        reason: if note.is_complete { String::new() } else { note.reason.clone() },
        files: number(note.files),
        objects: number(count(source)),
        commit: note.commit.clone(),
    });
    let api = SourceView {
        path: API_SOURCE.into(),
        complete: true,
        objects: number(count(API_SOURCE)),
        ..SourceView::default()
    };
    folders.chain(cluster).chain([api]).collect()
}

/// People see one cluster, and not its kinds.
fn cluster_view(state: &State, kinds: &[(&String, &SourceNote)]) -> SourceView {
    let unread: Vec<&str> =
        kinds.iter().filter(|(_, note)| !note.is_complete).map(|(_, note)| note.reason.as_str()).collect();
    let more = match unread.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more kinds)", count - 1),
    };
    let objects = state.committed.values().filter(|object| cluster::is_of_cluster(&object.owner.source));
    SourceView {
        path: "the Kubernetes cluster".into(),
        complete: unread.is_empty(),
        reason: unread.first().map(|first| format!("{first}{more}")).unwrap_or_default(),
        objects: number(objects.count()),
        ..SourceView::default()
    }
}

fn server_view(state: &State, key: &ObjectKey, server: &EffectiveServer) -> ServerView {
    let gateway = state.gateway_of(server.public_key);
    let object = state.committed.get(key);
    let entry = state.ledger.get(key);
    let ready = entry.and_then(|entry| entry.conditions.iter().find(|c| c.kind == "Ready"));
    let is_ready = ready.is_some_and(horizon_api::condition::Condition::is_true);
    let heartbeat = gateway.and_then(|gateway| gateway.heartbeat.as_ref());
    let is_connected = gateway.is_some_and(Gateway::is_connected);
    let (rx_bytes, tx_bytes) = heartbeat.map_or((0, 0), Gateway::totals);
    let rates = gateway.map(|gateway| gateway.rates).unwrap_or_default();
    let links = heartbeat.filter(|_| is_connected).map_or(0, |h| h.links.len());
    let why = ready.filter(|_| !is_ready);
    ServerView {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        enrolled: server.public_key.is_some(),
        connected: is_connected,
        ready: is_ready,
        reason: why.map(|c| c.reason.to_string()).unwrap_or_default(),
        message: why.map(|c| c.message.to_string()).unwrap_or_default(),
        desired_revision: state.assignments.get(key).map_or(0, |assigned| assigned.revision),
        applied_revision: gateway.map_or(0, Gateway::revision),
        version: gateway.map(|gateway| gateway.version.clone()).unwrap_or_default(),
        endpoints: server.endpoints.iter().map(ToString::to_string).collect(),
        networks: server.networks.iter().map(ToString::to_string).collect(),
        links: number(links),
        rx_bytes,
        tx_bytes,
        rx_bps: rates.inbound * 8.0,
        tx_bps: rates.outbound * 8.0,
        last_seen: last_seen(state, server.public_key),
        owner: object.map(|object| object.owner.origin.to_string()).unwrap_or_default(),
        trust: state.trust_view(key),
    }
}

fn device_view(state: &State, key: &ObjectKey, device: &EffectiveDevice) -> DeviceView {
    let link = device.public_key.and_then(|public| link_of(state, &public));
    let networks = device.networks.iter();
    DeviceView {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        user: device.user.as_ref().map(|user| user.name.to_string()).unwrap_or_default(),
        networks: networks.clone().map(|n| n.network.to_string()).collect(),
        addresses: networks.flat_map(|n| n.addresses.iter().map(ToString::to_string)).collect(),
        posture: device.identity.posture.as_ref().map(|posture| posture.to_string()).unwrap_or_default(),
        awaits_approval: device.standing == Standing::AwaitingApproval,
        server: link.map(|(server, _)| server.name.to_string()),
        connected: link.is_some(),
        rx_bytes: link.map_or(0, |(_, link)| link.inbound_bytes),
        tx_bytes: link.map_or(0, |(_, link)| link.outbound_bytes),
        last_seen: last_seen(state, device.public_key),
        public_key: device.public_key.map(|key| key.to_string()).unwrap_or_default(),
        key_exchange: link.map(|(_, link)| link.key_exchange.clone()).unwrap_or_default(),
        cipher: link.map(|(_, link)| link.cipher.clone()).unwrap_or_default(),
    }
}

fn last_seen(state: &State, node: Option<PublicKey>) -> Option<u64> {
    state.last_seen.of(&node?).map(millis)
}

/// The link of a device, as the gateway that carries it said last.
fn link_of<'a>(state: &'a State, device: &PublicKey) -> Option<(&'a ObjectKey, &'a LinkReport)> {
    state.compiled.effective.servers.iter().find_map(|(server, effective)| {
        let gateway = state.gateway_of(effective.public_key).filter(|gateway| gateway.is_connected())?;
        let link = gateway.heartbeat.as_ref()?.links.iter().find(|link| link.device == *device)?;
        Some((server, link))
    })
}

fn event_view(stored: &StoredEvent) -> EventView {
    let event = &stored.event;
    let text = |key: &str| event.detail.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    let from = if event.remote.is_empty() { String::new() } else { format!(" (from {})", event.remote) };
    EventView {
        id: u64::try_from(stored.seq).unwrap_or(0),
        at: millis(event.at),
        severity: EventSeverity::from_ocsf(event.severity as u8),
        kind: event.kind.clone(),
        subject: event.object.clone(),
        message: format!("{}{from}", text("reason")),
    }
}

fn millis(unix_ms: i64) -> u64 {
    u64::try_from(unix_ms).unwrap_or(0)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
