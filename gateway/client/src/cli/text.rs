//! Answers of the agent as text for people.

use std::fmt::Display;

use crate::api::{SealedPeer, Servers, StateName, Status};

pub(super) fn signed_in(status: &Status) -> String {
    if status.awaits_approval {
        return format!("{}: {}\n", status.message, "it signs in by itself once it is approved");
    }
    let device = or_dash(status.device.as_ref());
    let next = if status.wants_connection { "" } else { "connect with `horizon connect`\n" };
    match &status.user {
        Some(user) => format!("signed in as user {user}, this device is {device}\n{next}"),
        None => format!("signed in as device {device} of nobody\n{next}"),
    }
}

pub(super) fn connected(status: &Status) -> String {
    let server = or_dash(status.server.as_ref());
    let network = or_dash(status.network.as_ref());
    format!("connected to {network} through server {server} as {}\n", list(&status.addresses))
}

pub(super) fn status(status: &Status) -> String {
    let mut lines = vec![
        format!("state       {:?} since {}", status.state, status.since),
        format!("            {}", status.message),
    ];
    let mut add = |label: &str, text: String| lines.push(format!("{label:<11} {text}"));
    if !status.hint.is_empty() {
        add("to do", status.hint.clone());
    }
    match (&status.user, &status.device) {
        (Some(user), Some(device)) => add("signed in", format!("user {user}, device {device}")),
        (None, Some(device)) => add("signed in", format!("device {device} of nobody")),
        (_, None) => add("signed in", "no".to_owned()),
    }
    if let Some(controller) = &status.controller {
        let reach = match (controller.is_reachable, &controller.refusal) {
            (_, Some(refusal)) if status.awaits_approval => refusal.clone(),
            (_, Some(refusal)) => format!("refuses this device: {refusal}"),
            (Some(true), None) => "there".to_owned(),
            (Some(false), None) => "away".to_owned(),
            (None, None) => "not asked yet".to_owned(),
        };
        add("controller", format!("{} ({reach})", controller.address));
    }
    if let Some(expires_at) = status.grant_expires_at {
        let grace =
            if status.is_in_grace { ", accepted beyond its end while the controller is away" } else { "" };
        add("grant", format!("until {expires_at}{grace}"));
    }
    add("key", format!("{} in a file", status.key));
    if let Some(network) = &status.network {
        add("network", format!("{network} through {}", or_dash(status.server.as_ref())));
        add("addresses", list(&status.addresses));
        add("routes", list(&status.routes));
    }
    if status.state == StateName::Connected {
        let rtt = status.rtt_ms.map_or_else(|| "not measured yet".to_owned(), |ms| format!("{ms:.1} ms"));
        add("traffic", format!("{} B in, {} B out, rtt {rtt}", status.inbound_bytes, status.outbound_bytes));
        let holds = if status.post_quantum == Some(true) { "post-quantum" } else { "not post-quantum" };
        let (exchange, cipher) = (or_dash(status.key_exchange.as_ref()), or_dash(status.cipher.as_ref()));
        add("secured by", format!("{exchange} ({holds}) and {cipher}"));
        add("server key", or_dash(status.server_key.as_ref()));
    }
    if let Some(sealing) = &status.sealing {
        add(
            "sealed",
            format!("packets between devices, from end to end; not {}", sealing.not_sealed.join(", ")),
        );
        if !sealing.has_card {
            add(
                "",
                "the controller has not signed this device's key yet: nobody opens its packets".to_owned(),
            );
        }
        if sealing.dropped_unsealed > 0 {
            add("", format!("{} packets came without a seal and were dropped", sealing.dropped_unsealed));
        }
        for peer in &sealing.peers {
            add("", sealed_peer(peer));
        }
    }
    if let Some(error) = &status.last_error {
        add("last error", format!("{} (at {})", error.message, error.at));
    }
    for warning in &status.warnings {
        add("warning", warning.clone());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn sealed_peer(peer: &SealedPeer) -> String {
    let name = if peer.device.is_empty() { "a device".to_owned() } else { peer.device.clone() };
    let keys = match (&peer.suite, peer.age_s) {
        (Some(suite), Some(age_s)) => format!("{suite}, keys {} of {age_s} s ago", peer.handshakes),
        _ => "no keys".to_owned(),
    };
    let counts = [
        (peer.replayed, "replayed"),
        (peer.broken, "broken"),
        (peer.waited, "given up"),
        (peer.refused, "refused"),
    ];
    let bad: String = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!(", {count} {word}"))
        .collect();
    // With keys, it is what was before.
    let when = if peer.suite.is_some() { "before: " } else { "" };
    let why = peer.refusal.as_ref().map(|reason| format!(" ({when}{reason})")).unwrap_or_default();
    format!("{name} at {}: {keys}; {} packets out, {} in{bad}{why}", peer.address, peer.sealed, peer.opened)
}

pub(super) fn servers(servers: &Servers) -> String {
    if servers.servers.is_empty() {
        return "no server carries a network of this device; declare one, or ask the operator\n".to_owned();
    }
    let row = |cells: [&str; 6]| {
        let [mark, name, state, links, rtt, networks] = cells;
        format!("{mark:<1} {name:<20} {state:<9} {links:>5} {rtt:>9}  {networks}\n")
    };
    let mut text = row(["", "SERVER", "STATE", "LINKS", "RTT", "NETWORKS"]);
    for server in &servers.servers {
        let state = if server.is_ready { "ready" } else { "not seen" };
        let rtt = server.rtt_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
        let mark = if server.is_current { "*" } else { "" };
        text += &row([mark, &server.name, state, &server.links.to_string(), &rtt, &list(&server.networks)]);
    }
    text + &format!("as the controller said at {}\n", servers.as_of)
}

fn or_dash(value: Option<&impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

fn list<T: Display>(values: &[T]) -> String {
    if values.is_empty() {
        return "-".to_owned();
    }
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
