//! The control socket: only root and the daemon's own user are served, whatever the file's mode says.

use std::{
    fs::{self, Permissions},
    future::Future,
    io::ErrorKind,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, bail, ensure};
use axum::Router;
use tokio::net::{UnixListener, UnixStream};

use super::{Connections, Peer, accept_failed, converse, patient::Patient};

/// Serves a router on a socket file until `shutdown` is done, then removes the file.
///
/// A file left behind by a process that was killed is replaced; a socket that answers is not.
pub async fn serve_unix(
    path: &Path,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    remove_stale(path).await?;
    let listener = UnixListener::bind(path).with_context(|| format!("open socket {}", path.display()))?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).context("restrict the socket to its owner")?;
    // The kernel made the file ours, so its owner is who we are.
    let own_uid = fs::metadata(path).context("read the socket's owner")?.uid();
    let mut connections = Connections::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if may_enter(&stream, own_uid) => connections
                    .spawn(|stopping| converse(Patient::new(stream), router.clone(), Peer(None), stopping)),
                Ok(_) => {}
                Err(error) => accept_failed(error).await,
            },
        }
    }
    drop(listener);
    connections.stop().await;
    fs::remove_file(path).with_context(|| format!("remove socket {}", path.display()))
}

async fn remove_stale(path: &Path) -> anyhow::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("look at {}", path.display())),
    };
    ensure!(metadata.file_type().is_socket(), "{} is in the way and is not a socket", path.display());
    match UnixStream::connect(path).await {
        Ok(_) => bail!("another controller answers on {}", path.display()),
        Err(_) => fs::remove_file(path).with_context(|| format!("remove {}", path.display())),
    }
}

fn may_enter(stream: &UnixStream, own_uid: u32) -> bool {
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == 0 || peer.uid() == own_uid => true,
        Ok(peer) => {
            tracing::warn!(uid = peer.uid(), "control socket refused a user");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "control socket could not tell its caller");
            false
        }
    }
}
