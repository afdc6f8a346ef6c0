//! `horizon-gateway status`: what the running gateway does, read from its socket as one JSON document.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use horizon_api::wire::cfg::LinkReport;
use horizon_node::{data_folder::DataFolder, failure::Failure};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::watch,
};

use crate::args::StatusArgs;

const SOCKET: &str = "gateway.sock";

/// What a person at the host wants to know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) namespace: String,
    pub(crate) server: String,
    pub(crate) key: String,
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

/// The socket's file, removed with the value.
pub(crate) struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Listens, and returns what answers each connection with the newest status for as long as it is polled.
pub(crate) fn serve(
    data: &DataFolder,
    statuses: watch::Receiver<Status>,
) -> anyhow::Result<(Socket, impl Future<Output = ()> + use<>)> {
    let path = data.file(SOCKET);
    // The folder is locked, so a socket that is there is of a process that is gone.
    drop(fs::remove_file(&path));
    let listener = UnixListener::bind(&path).with_context(|| format!("listen on {}", path.display()))?;
    let socket = Socket(path);
    fs::set_permissions(&socket.0, fs::Permissions::from_mode(0o600))?;
    Ok((socket, answer_all(listener, statuses)))
}

async fn answer_all(listener: UnixListener, statuses: watch::Receiver<Status>) {
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => {
                let json = serde_json::to_vec(&*statuses.borrow()).unwrap_or_default();
                let written = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&json)).await;
                tracing::trace!(?written, "status told");
            }
            // Descriptors that ran out are free again at some time; who asks waits in the queue of the socket.
            Err(error) => {
                tracing::warn!(%error, "cannot take a question about the status");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

/// Long enough for a busy host, short enough for a person.
const AFTER_ERROR: Duration = Duration::from_millis(200);

pub(crate) async fn print(args: StatusArgs) -> anyhow::Result<()> {
    loop {
        let status = ask(&args.data.folder.join(SOCKET)).await?;
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

async fn ask(socket: &Path) -> anyhow::Result<Status> {
    let mut stream = UnixStream::connect(socket).await.map_err(|e| {
        Failure::Unreachable(format!(
            "no gateway answers on {} ({e}); start it with `horizon-gateway run`, or name its folder with --data DIR",
            socket.display()
        ))
    })?;
    let mut json = Vec::new();
    stream.read_to_end(&mut json).await?;
    serde_json::from_slice(&json).context("read the status")
}

fn text(status: &Status) -> String {
    let mut lines = vec![format!("server      {}/{}", status.namespace, status.server)];
    lines.push(format!("key         {}", status.key));
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

fn moment(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| unix_ms.to_string(), |at| at.to_string())
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
