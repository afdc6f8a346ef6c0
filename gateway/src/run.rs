//! `horizon-gateway run`: builds the parts; only this file knows them all.

use std::{fs, io::ErrorKind, sync::Arc};

use anyhow::Context;
use horizon_api::delegation::{Pin, Trust};
use horizon_dataplane::apply::HostState;
use horizon_host::{Host, Leftovers, Linux};
use horizon_node::{clock, data_folder::DataFolder, failure::Failure, random};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tracing::{info, warn};

use crate::{
    args::RunArgs,
    cache::Cache,
    controller_link::{Complaint, ControllerLink, Report},
    disk::{DELEGATIONS, Delegations, ENROLMENT, Enrolment},
    eventloop::{EventLoop, Inboxes, Parts, wanted_host},
    keys::{KeyFiles, Keys},
    quoter::{Quoter, TpmChoice},
    running::Running,
    socket::{self, Order, Socket},
    status,
};

/// Messages of the controller link and of the shard that wait for the event loop.
const EVENTS_MAX: usize = 64;
const LINK_EVENTS_MAX: usize = 1024;
/// People at this host, one after the other.
const ORDERS_MAX: usize = 8;

pub(crate) async fn run(args: RunArgs) -> anyhow::Result<()> {
    clock::check(clock::unix_s()).map_err(Failure::Failed)?;
    let data = DataFolder::open(&args.data.folder)?;
    let enrolment = enrolment(&data)?;
    let tpm = TpmChoice::path(args.tpm.choice.as_ref());
    let key_files = KeyFiles::new(&data, tpm.clone());
    let mut keys = key_files.load()?;
    keys.handle_time(clock::unix_ms());
    let cache = Arc::new(Cache::open(&data)?);
    let cached = last_good(&cache, &enrolment.pin, &keys);
    let believed = believed(&data, &enrolment.pin);
    let trusts = cached.iter().map(|(running, _)| &running.trust).chain(&believed);
    let pin = trusts.map(Trust::pin).fold(enrolment.pin, Pin::later);
    let leftovers = cached.as_ref().map(|(running, _)| wanted_host(&running.config, &args.tun));
    let host = recovered_host(&data, leftovers.as_ref()).await?;
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    let (link_events, link_inbox) = mpsc::channel(LINK_EVENTS_MAX);
    let (reports, reports_seen) = watch::channel(Report::default());
    let (statuses, statuses_seen) = watch::channel(status::Status::default());
    let (keys_told, keys_seen) = watch::channel(keys.clone());
    let (orders, orders_inbox) = mpsc::channel(ORDERS_MAX);
    let quoter = Quoter::new(tpm, &enrolment.pin.root, keys.is_sealed);
    let mut event_loop = EventLoop::new(Parts {
        keys,
        key_files,
        keys_told,
        cache: Arc::clone(&cache),
        host,
        tun: args.tun,
        listen: args.listen,
        boot_id: random::bytes(),
        link_events,
        reports,
        statuses,
        enrolment: enrolment.clone(),
        quoter: quoter.clone(),
        believed,
        delegations: data.file(DELEGATIONS),
    });
    let mut tasks = JoinSet::new();
    let socket = match come_up(&mut event_loop, cached, &data, &mut tasks, (statuses_seen, orders)).await {
        Ok(socket) => socket,
        Err(error) => {
            event_loop.stop().await;
            return Err(error);
        }
    };
    let link = ControllerLink {
        keys: keys_seen,
        host: enrolment.host,
        port: enrolment.port,
        pin,
        cache,
        events,
        reports: reports_seen,
        complaint: Complaint::default(),
        quoter,
        heard: Vec::new(),
        refused_at: None,
    };
    tasks.spawn(async {
        link.run().await;
        "link to the controller"
    });
    let ended =
        event_loop.run(Inboxes { controller: inbox, links: link_inbox, orders: orders_inbox, tasks }).await;
    drop(socket);
    ended
}

/// Reads the configuration that ran last. An online key that was withdrawn since may have signed it.
fn last_good(cache: &Cache, pin: &Pin, keys: &Keys) -> Option<(Running, i64)> {
    cache.load(&pin.of_then(), &keys.names()).unwrap_or_else(|error| {
        warn!(reason = %format!("{error:#}"), "the cached configuration cannot be used; waiting for the controller's");
        None
    })
}

/// Opens the host with what an earlier run left on it: adopted where it is wanted again, else taken back.
async fn recovered_host(data: &DataFolder, wanted: Option<&HostState>) -> anyhow::Result<Host<Linux>> {
    let mut host = Host::open(data.path(), Linux::connect().context("talk to the kernel")?)?;
    let undone = host.recover(wanted.map_or(Leftovers::Undo, Leftovers::Adopt)).await?;
    if undone > 0 {
        info!(changes = undone, "took back what an earlier run left");
    }
    Ok(host)
}

/// Serves from the cache, and then says so to who asks. What fails here leaves changes for the loop to take back.
async fn come_up(
    event_loop: &mut EventLoop,
    cached: Option<(Running, i64)>,
    data: &DataFolder,
    tasks: &mut JoinSet<&'static str>,
    (statuses, orders): (watch::Receiver<status::Status>, mpsc::Sender<Order>),
) -> anyhow::Result<Socket> {
    if let Some((running, time_floor_ms)) = cached {
        info!(revision = running.verified.version().revision, "running from the cached configuration");
        event_loop.resume(running, time_floor_ms).await?;
    }
    let (socket, server) = socket::serve(data, statuses, orders)?;
    tasks.spawn(async {
        server.await;
        "status socket"
    });
    Ok(socket)
}

/// Reads whom this gateway believes. A file that cannot be read is as good as absent: the controller shows all of it
/// at the next contact.
fn believed(data: &DataFolder, pin: &Pin) -> Option<Trust> {
    let path = data.file(DELEGATIONS);
    let bytes = fs::read(&path).ok()?;
    match Delegations::read(&bytes) {
        Ok(read) if read.pin().root == pin.root => read.trust(),
        // This host belonged to another controller before.
        Ok(_) => None,
        Err(error) => {
            warn!(path = %path.display(), reason = %error, "what is believed of the controller's keys is read anew");
            None
        }
    }
}

fn enrolment(data: &DataFolder) -> anyhow::Result<Enrolment> {
    let path = data.file(ENROLMENT);
    let bytes = fs::read(&path).map_err(|e| {
        Failure::Failed(if e.kind() == ErrorKind::NotFound {
            "this host is not enrolled: run `horizon-gateway join STRING` with what `horizon-controller invite server NAME` prints".into()
        } else {
            format!("cannot read {}: {e}", path.display())
        })
    })?;
    Enrolment::read(&bytes).with_context(|| format!("read {}", path.display()))
}
