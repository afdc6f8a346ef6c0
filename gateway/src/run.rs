//! `horizon-gateway run`: builds the parts; only this file knows them all.

use std::{fs, io::ErrorKind, sync::Arc};

use anyhow::Context;
use horizon_host::{Host, Leftovers, Linux};
use horizon_node::{clock, data_folder::DataFolder, failure::Failure, random, secret_file};
use tokio::sync::{mpsc, watch};
use tracing::info;

use crate::{
    args::RunArgs,
    cache::Cache,
    controller_link::{ControllerLink, Report},
    disk::Enrolment,
    eventloop::{EventLoop, Parts, wanted_host},
    status,
};

/// Messages of the controller link and of the shard that wait for the event loop.
const EVENTS_MAX: usize = 64;
const LINK_EVENTS_MAX: usize = 1024;

pub(crate) async fn run(args: RunArgs) -> anyhow::Result<()> {
    clock::check(clock::unix_s()).map_err(Failure::Failed)?;
    let data = DataFolder::open(&args.data.folder)?;
    let enrolment = enrolment(&data)?;
    let key = Arc::new(secret_file::node_key(&data.file("node.key"))?);
    let cache = Arc::new(Cache::open(&data)?);
    let cached = cache.load(&enrolment.pin, &key.public())?;
    let mut host = Host::open(data.path(), Linux::connect().context("talk to the kernel")?)?;
    let leftovers = cached.as_ref().map(|(running, _)| wanted_host(&running.config, &args.tun));
    let undone = match &leftovers {
        Some(wanted) => host.recover(Leftovers::Adopt(wanted)).await?,
        None => host.recover(Leftovers::Undo).await?,
    };
    if undone > 0 {
        info!(changes = undone, "took back what an earlier run left");
    }
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    let (link_events, link_inbox) = mpsc::channel(LINK_EVENTS_MAX);
    let (reports, reports_seen) = watch::channel(Report::default());
    let (statuses, statuses_seen) = watch::channel(status::Status::default());
    let pin = cached.as_ref().map_or(enrolment.pin, |(running, _)| running.trust.pin());
    let mut event_loop = EventLoop::new(Parts {
        key: Arc::clone(&key),
        cache: Arc::clone(&cache),
        host,
        tun: args.tun,
        listen: args.listen,
        boot_id: random::bytes(),
        link_events,
        reports,
        statuses,
        enrolment: enrolment.clone(),
    });
    if let Some((running, time_floor_ms)) = cached {
        info!(revision = running.verified.version().revision, "running from the cached configuration");
        event_loop.resume(running, time_floor_ms).await?;
    }
    let _socket = status::serve(&data, statuses_seen)?;
    let link = ControllerLink {
        key,
        host: enrolment.host,
        port: enrolment.port,
        pin,
        cache,
        events,
        reports: reports_seen,
    };
    tokio::spawn(link.run());
    event_loop.run(inbox, link_inbox).await
}

fn enrolment(data: &DataFolder) -> anyhow::Result<Enrolment> {
    let path = data.file("enrolment");
    let bytes = fs::read(&path).map_err(|e| {
        Failure::Failed(if e.kind() == ErrorKind::NotFound {
            "this host is not enrolled: run `horizon-gateway join STRING` with what `horizon-controller invite server NAME` prints".into()
        } else {
            format!("cannot read {}: {e}", path.display())
        })
    })?;
    Enrolment::read(&bytes).with_context(|| format!("read {}", path.display()))
}
