//! The verbs that ask the running controller, through its socket.

pub mod backup;
pub mod guard;
pub mod keys;
pub mod kubeconfig;
mod server;

use std::{fmt::Write, path::Path};

use horizon_api::{
    http::{
        DeviceView, InviteAnswer, InviteKind, InviteRequest, ServerView, SignInLink, SignInRequest,
        StatusReport, View,
    },
    resource::{DEFAULT_NAMESPACE, Kind, ObjectKey},
};
use horizon_node::{
    failure::Failure,
    local::{self, Answer},
};
use http::Method;
use serde::Serialize;

use crate::{
    args::{InviteArgs, Invited, SignInArgs, StatusArgs},
    certificate,
};

/// Name of the socket in the data folder.
pub const SOCKET: &str = "control.sock";

/// Prints what is in force.
///
/// # Errors
/// When no controller answers.
pub async fn status(args: StatusArgs) -> anyhow::Result<()> {
    if let Some(object) = args.object {
        return guard::object(object, &args.data.folder, args.json).await;
    }
    let report: StatusReport = ask::<()>(&args.data.folder, Method::GET, "/v1/status", None).await?.json()?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", text(&report));
    }
    Ok(())
}

/// Prints a join string or a link.
///
/// # Errors
/// When no controller answers, or it refuses.
pub async fn invite(args: InviteArgs) -> anyhow::Result<()> {
    let kind = match args.kind {
        Invited::Server => InviteKind::Server,
        Invited::User => InviteKind::User,
        Invited::Device => InviteKind::Device,
    };
    let request = InviteRequest { kind, namespace: args.namespace, name: args.name, by_key: args.key };
    let answer: InviteAnswer =
        ask(&args.data.folder, Method::POST, "/v1/invite", Some(&request)).await?.json()?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        println!("{}", answer.join);
    }
    Ok(())
}

/// Prints a link that opens the console once.
///
/// # Errors
/// When no controller answers, or it refuses.
pub async fn sign_in(args: SignInArgs) -> anyhow::Result<()> {
    let request = SignInRequest { admin: args.admin.as_deref().map(admin).transpose()? };
    let link: SignInLink =
        ask(&args.data.folder, Method::POST, "/v1/sign-in-link", Some(&request)).await?.json()?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        println!("{}", link.url);
    }
    // Beside the link and not in it: whatever takes the link from the standard output takes it alone.
    #[expect(clippy::print_stderr, reason = "what the reader of the link compares")]
    if let Ok(fingerprint) = certificate::fingerprint(&args.data.folder) {
        eprintln!("the browser must show this SHA-256 fingerprint of the certificate: {fingerprint}");
    }
    Ok(())
}

/// Reads whom a person means.
fn admin(text: &str) -> anyhow::Result<ObjectKey> {
    let (namespace, name) = text.split_once('/').unwrap_or((DEFAULT_NAMESPACE, text));
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        return Err(Failure::Usage(format!("{text}: must be NAME or NAMESPACE/NAME of an Admin")).into());
    }
    Ok(ObjectKey::new(Kind::Admin, namespace, name))
}

async fn ask<B: Serialize + Sync>(
    data: &Path,
    method: Method,
    path: &str,
    body: Option<&B>,
) -> anyhow::Result<Answer> {
    local::request(&data.join(SOCKET), "controller", method, path, body).await
}

fn text(report: &StatusReport) -> String {
    let view = &report.view;
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(text, "revision    {} (epoch {})", view.revision, view.epoch);
    let _ = match report.readiness.ready {
        true => writeln!(text, "ready       yes"),
        false => writeln!(text, "ready       no: {}", report.readiness.reasons.join("; ")),
    };
    for source in &view.sources {
        let state = if source.complete { String::new() } else { format!(", incomplete: {}", source.reason) };
        let commit = source.commit.as_ref().map(|id| format!(", commit {id}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "source      {}: {} files, {} objects{commit}{state}",
            source.path, source.files, source.objects
        );
    }
    lists(&mut text, view);
    text.push_str(&guard::text(view));
    let _ = writeln!(text, "problems    {}", view.problems.len());
    for problem in &view.problems {
        let _ = writeln!(text, "  {problem}");
    }
    text
}

fn lists(text: &mut String, view: &View) {
    for server in &view.servers {
        let _ = writeln!(text, "server      {}/{}: {}", server.namespace, server.name, server_text(server));
    }
    for device in &view.devices {
        let place = match &device.server {
            _ if device.awaits_approval => {
                format!("waits for `horizon-controller approve {}`", device.key())
            }
            Some(server) => format!("on {server}"),
            None => "not connected".to_owned(),
        };
        let addresses = device.addresses.join(", ");
        let _ = writeln!(
            text,
            "device      {}/{} of {}: {place}, {addresses}{}",
            device.namespace,
            device.name,
            if device.user.is_empty() { "nobody" } else { &device.user },
            self_reported(device)
        );
    }
}

fn self_reported(device: &DeviceView) -> String {
    if device.posture.is_empty() { String::new() } else { format!("; self-reported: {}", device.posture) }
}

fn server_text(server: &ServerView) -> String {
    if server.ready {
        let (applied, links) = (server.applied_revision, server.links);
        return format!("ready, revision {applied}, {links} links");
    }
    format!("not ready: {} ({})", server.message, server.reason)
}
