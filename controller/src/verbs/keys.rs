//! `horizon-controller keys`: which keys the controller has, and their rotation.

use horizon_api::http::{OwnKey, OwnKeys, RotateRequest};
use http::Method;

use super::{
    ask,
    guard::{done, moment},
};
use crate::args::{KeysCommand, KeysListArgs, Rotated};

/// Lists or rotates keys.
///
/// # Errors
/// When no controller answers, or it refuses.
pub async fn keys(command: KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::List(args) => list(args).await,
        KeysCommand::Rotate(args) => {
            let key = match args.key {
                Rotated::Pepper => OwnKey::Pepper,
            };
            done(&args.data.folder, "/v1/keys/rotate", &RotateRequest { key }).await
        }
    }
}

async fn list(args: KeysListArgs) -> anyhow::Result<()> {
    let keys: OwnKeys = ask::<()>(&args.data.folder, Method::GET, "/v1/keys", None).await?.json()?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    if args.json {
        println!("{}", serde_json::to_string(&keys)?);
    } else {
        let place = if keys.is_root_here { "root.key is here" } else { "root.key is elsewhere" };
        println!("root        {} ({place})", keys.root);
        println!("online      {}, delegated until {}", keys.online, moment(keys.delegation_ends_at));
        println!("peppers     {}", keys.peppers);
    }
    Ok(())
}
