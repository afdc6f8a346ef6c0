//! `horizon-gateway status`: what the running gateway does, read from its socket as one JSON document.

use std::{collections::BTreeMap, time::Duration};

use horizon_api::wire::cfg::LinkReport;
use serde::{Deserialize, Serialize};

use crate::{
    args::StatusArgs,
    moment::moment,
    socket::{self, Question},
};

/// What a person at the host wants to know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) namespace: String,
    pub(crate) server: String,
    pub(crate) key: String,
    /// The key that is to follow.
    #[serde(default)]
    pub(crate) next_key: Option<NextKey>,
    pub(crate) revision: Option<u64>,
    /// Unix milliseconds since when the controller is away.
    pub(crate) standby_since_ms: Option<i64>,
    /// Why the controller cannot be reached.
    pub(crate) away_reason: Option<String>,
    /// Why the controller does not want this gateway.
    pub(crate) dismissed: Option<String>,
    /// Networks in which packets between devices are sealed: this gateway cannot read them.
    #[serde(default)]
    pub(crate) sealed_networks: Vec<String>,
    pub(crate) links: Vec<LinkReport>,
    pub(crate) drops: BTreeMap<String, u64>,
    pub(crate) warnings: Vec<String>,
    /// What this gateway shows of its host is worth this much.
    #[serde(default)]
    pub(crate) evidence: String,
}

/// The key that is to follow, and when.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct NextKey {
    pub(crate) key: String,
    /// Unix milliseconds; nothing while the controller does not know it.
    pub(crate) due_ms: Option<i64>,
    /// What it waits for beside the time.
    pub(crate) waits_for: Option<String>,
}

pub(crate) async fn print(args: StatusArgs) -> anyhow::Result<()> {
    loop {
        let status: Status = socket::ask(&args.data.folder, Question::Status).await?;
        #[expect(clippy::print_stdout, reason = "what the command is for")]
        if args.json {
            println!("{}", serde_json::to_string(&status)?);
        } else {
            print!("{}", text(&status));
        }
        if !args.watch {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn text(status: &Status) -> String {
    let mut lines = vec![format!("server      {}/{}", status.namespace, status.server)];
    lines.push(format!("key         {}", status.key));
    if let Some(NextKey { key, due_ms, waits_for }) = &status.next_key {
        let due = due_ms.map(|due_ms| format!(", to be taken up at {}", moment(due_ms)));
        let waits = waits_for.as_ref().map(|reason| format!(": {reason}"));
        lines.push(format!("next key    {key}{}{}", due.unwrap_or_default(), waits.unwrap_or_default()));
    }
    lines.push(match status.revision {
        Some(revision) => format!("revision    {revision}"),
        None => "revision    none yet".to_owned(),
    });
    lines.push(match (status.standby_since_ms, &status.dismissed) {
        (_, Some(reason)) => format!("controller  refuses this gateway: {reason}"),
        (Some(since_ms), None) => {
            let reason = status.away_reason.as_ref().map(|reason| format!(": {reason}"));
            format!("controller  away since {}{}", moment(since_ms), reason.unwrap_or_default())
        }
        (None, None) => "controller  connected".to_owned(),
    });
    if !status.evidence.is_empty() {
        lines.push(format!("evidence    {}", status.evidence));
    }
    lines.extend(status.warnings.iter().map(|warning| format!("warning     {warning}")));
    lines.extend(status.sealed_networks.iter().map(|network| {
        format!("sealed      {network}: packets between two devices, from end to end; this gateway cannot read them")
    }));
    lines.push(format!("links       {}", status.links.len()));
    for link in &status.links {
        let grace = if link.is_in_grace { ", grant in grace" } else { "" };
        lines.push(format!(
            "  {} ({}) on {} from {}: {} B in, {} B out, rtt {:.1} ms, {} and {}, with the key {}{grace}",
            link.name,
            link.user,
            link.network,
            link.remote,
            link.inbound_bytes,
            link.outbound_bytes,
            Duration::from_micros(link.rtt_us).as_secs_f64() * 1000.0,
            link.key_exchange,
            link.cipher,
            link.device,
        ));
    }
    lines.extend(status.drops.iter().map(|(reason, count)| format!("dropped     {count} × {reason}")));
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller(status: Status) -> String {
        let text = text(&status);
        text.lines().find(|line| line.starts_with("controller")).expect("a line").to_owned()
    }

    #[test]
    fn a_person_reads_since_when_the_controller_is_away_and_why() {
        let away = Status { standby_since_ms: Some(0), ..Status::default() };
        let told = Status { away_reason: Some("nobody answers; check it".into()), ..away.clone() };

        assert_eq!(controller(away), "controller  away since 1970-01-01T00:00:00Z");
        assert_eq!(controller(told), "controller  away since 1970-01-01T00:00:00Z: nobody answers; check it");
        assert_eq!(controller(Status::default()), "controller  connected");
    }
}
