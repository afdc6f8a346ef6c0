//! `horizon-controller keys`: which keys the controller has, their rotation, and the root key elsewhere.

mod root;

use std::{fs, path::Path};

use anyhow::Context;
use horizon_api::http::{GatewayKeyView, KeyState, KeysAnswer, KeysRequest, OnlineKeyView, OwnKey, OwnKeys};
use horizon_node::failure::Failure;
use http::Method;

use super::{ask, guard::moment};
use crate::args::{KeysCommand, KeysListArgs, OverlapArgs, Rotated};

/// Lists or rotates keys.
///
/// # Errors
/// When no controller answers, or it refuses; when a file cannot be read or made.
pub async fn keys(command: KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::List(args) => list(args).await,
        KeysCommand::Rotate(args) => {
            let key = match args.key {
                Rotated::Pepper => OwnKey::Pepper,
                Rotated::Online => OwnKey::Online { overlap_s: seconds(&args.overlap) },
            };
            do_and_say(&args.data.folder, &KeysRequest::Rotate(key)).await
        }
        KeysCommand::Request(args) => {
            root::check_free(&args.file)?;
            let answer = ask_for(&args.data.folder, &KeysRequest::Request).await?;
            let text = answer.text.context("the controller gave no text; upgrade it")?;
            root::write(&args.file, text.as_bytes())?;
            say(&answer.message);
            say(&format!("carry {} to the root key: `horizon-controller keys sign`", args.file.display()));
            Ok(())
        }
        KeysCommand::Sign(args) => root::sign(&args),
        KeysCommand::Install(args) => {
            let path = args.signed.display();
            let text = fs::read_to_string(&args.signed)
                .map_err(|error| Failure::Usage(format!("cannot read {path}: {error}")))?;
            let request = KeysRequest::Install { text, overlap_s: seconds(&args.overlap) };
            do_and_say(&args.data.folder, &request).await
        }
        KeysCommand::Withdraw(args) => do_and_say(&args.data.folder, &KeysRequest::Withdraw).await,
        KeysCommand::Root(args) => root::root(args.command),
    }
}

async fn list(args: KeysListArgs) -> anyhow::Result<()> {
    let keys: OwnKeys = ask::<()>(&args.data.folder, Method::GET, "/v1/keys", None).await?.json()?;
    if args.json {
        say(&serde_json::to_string(&keys)?);
        return Ok(());
    }
    say(&format!("root        {}", keys.root));
    say(&format!("root        {}", if keys.is_root_here { "here" } else { "not here" }));
    for key in &keys.online_keys {
        let delegated = (key.state == KeyState::Current)
            .then(|| format!(", delegated until {}", moment(keys.delegation_ends_at)));
        say(&format!("online      {}{}", line(key), delegated.unwrap_or_default()));
    }
    for GatewayKeyView { server, key, next, since } in &keys.gateways {
        say(&format!(
            "gateway     {key}  {server}; {next} is to follow, told to devices since {}",
            moment(*since)
        ));
    }
    say(&format!("peppers     {}", keys.peppers));
    Ok(())
}

fn line(key: &OnlineKeyView) -> String {
    let state = match key.state {
        KeyState::Next => "next",
        KeyState::Current => "current",
        KeyState::Previous => "previous",
        KeyState::Withdrawn => "withdrawn",
    };
    let until = key.until.map(|at| format!(", believed until {}", moment(at))).unwrap_or_default();
    let waits = match key.waits_for.as_slice() {
        [] => String::new(),
        servers => format!(", waits for {}", servers.join(", ")),
    };
    format!("{}  {state:9} since {}{until}{waits}", key.key, moment(key.since))
}

async fn do_and_say(data: &Path, request: &KeysRequest) -> anyhow::Result<()> {
    say(&ask_for(data, request).await?.message);
    Ok(())
}

async fn ask_for(data: &Path, request: &KeysRequest) -> anyhow::Result<KeysAnswer> {
    ask(data, Method::POST, "/v1/keys", Some(request)).await?.json()
}

fn seconds(args: &OverlapArgs) -> u32 {
    args.overlap.as_seconds()
}

fn say(line: &str) {
    #[expect(clippy::print_stdout, reason = "what the commands are for")]
    {
        println!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_with_where_it_is_in_its_life() {
        let next = OnlineKeyView {
            key: "ed25519:A".into(),
            state: KeyState::Next,
            since: 0,
            until: None,
            waits_for: vec!["Server/gw-1".into()],
        };
        let previous = OnlineKeyView {
            state: KeyState::Previous,
            until: Some(60_000),
            waits_for: vec![],
            ..next.clone()
        };

        assert_eq!(line(&next), "ed25519:A  next      since 1970-01-01T00:00:00Z, waits for Server/gw-1");
        assert_eq!(
            line(&previous),
            "ed25519:A  previous  since 1970-01-01T00:00:00Z, believed until 1970-01-01T00:01:00Z"
        );
    }
}
