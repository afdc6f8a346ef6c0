//! `horizon agent run`: builds the parts; only this file knows them all.

use std::sync::Arc;

use anyhow::Context;
use horizon_host::{Host, Leftovers, Linux};
use horizon_node::{clock, data_folder::DataFolder, failure::Failure, secret_file};
use tokio::sync::{mpsc, watch};
use tracing::info;

use crate::{
    account::{Account, sealing::SealIdentity},
    args::RunArgs,
    eventloop::{EventLoop, Parts, remembered_host},
    files::Files,
    socket,
};

/// What waits for the event loop.
const EVENTS_MAX: usize = 64;
const LINK_EVENTS_MAX: usize = 256;

pub(crate) async fn run(args: RunArgs) -> anyhow::Result<()> {
    clock::check(clock::unix_s()).map_err(Failure::Failed)?;
    let data = DataFolder::open(&args.data.folder)?;
    let files = Files::new(&data);
    let key = Arc::new(files.own_key()?);
    let seal = secret_file::load_or_create(&data.file("seal.key"))?;
    let seal = Arc::new(SealIdentity::new(seal, &key));
    let account = files.account()?.map(|stored| Account::new(stored, &key.public()));
    let account =
        account.transpose().context("check the sign-in; run `horizon login LINK` after removing its file")?;
    let waiting = files.waiting()?;
    let memory = files.connection()?;
    let mut host = Host::open(data.path(), Linux::connect().context("talk to the kernel")?)?;
    let is_wanted = account.is_some() && memory.wish.is_some();
    let undone = if is_wanted {
        host.recover(Leftovers::Adopt(&remembered_host(memory.accept.as_ref(), &args.tun))).await?
    } else {
        host.recover(Leftovers::Undo).await?
    };
    if undone > 0 {
        info!(changes = undone, "took back what an earlier run left");
    }
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    let (link_events, link_inbox) = mpsc::channel(LINK_EVENTS_MAX);
    let parts = Parts { key, seal, files, host, tun: args.tun, events: events.clone(), link_events };
    let mut event_loop = EventLoop::new(parts, account, waiting, memory);
    let (snapshots, snapshots_seen) = watch::channel(event_loop.snapshot());
    let _socket = socket::serve(&data, events, snapshots_seen)?;
    if is_wanted {
        event_loop.resume().await;
    }
    event_loop.run(inbox, link_inbox, snapshots).await
}
