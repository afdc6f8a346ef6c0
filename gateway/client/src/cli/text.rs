//! Answers of the agent as text for people.

use std::fmt::Display;

use crate::api::{Servers, StateName, Status};

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
    if let Some(error) = &status.last_error {
        add("last error", format!("{} (at {})", error.message, error.at));
    }
    for warning in &status.warnings {
        add("warning", warning.clone());
    }
    lines.push(String::new());
    lines.join("\n")
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
