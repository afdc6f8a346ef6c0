//! The control socket: only root and the daemon's own user are served, whatever the file's mode says.

use std::{
    fs::{self, Permissions},
    future::Future,
    io::ErrorKind,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use axum::Router;
use tokio::net::{UnixListener, UnixStream};

use super::{Connections, Peer, Version, accept_failed, converse, patient::Patient};

/// The file through which the verbs on the host reach this process.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    own_uid: u32,
}

impl ControlSocket {
    /// Opens the socket file. One left behind by a process that was killed is replaced; one that answers is not.
    pub async fn bind(path: &Path) -> anyhow::Result<Self> {
        remove_stale(path).await?;
        let listener = UnixListener::bind(path).with_context(|| format!("open socket {}", path.display()))?;
        fs::set_permissions(path, Permissions::from_mode(0o600))
            .context("restrict the socket to its owner")?;
        // The kernel made the file ours, so its owner is who we are.
        let own_uid = fs::metadata(path).context("read the socket's owner")?.uid();
        Ok(Self { listener, path: path.to_owned(), own_uid })
    }

    fn may_enter(&self, stream: &UnixStream) -> bool {
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == 0 || peer.uid() == self.own_uid => true,
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
}

/// The file goes with the socket, so that nobody knocks at a door without a room behind it.
impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "remove the control socket");
        }
    }
}

/// Serves a router on the control socket until `shutdown` is done, then gives running answers a second.
pub async fn serve_unix(socket: ControlSocket, router: Router, shutdown: impl Future<Output = ()>) {
    let mut connections = Connections::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = socket.listener.accept() => match accepted {
                Ok((stream, _)) if socket.may_enter(&stream) => connections
                    .spawn(|stopping| converse(Patient::new(stream), Version::One, router.clone(), Peer(None), stopping)),
                Ok(_) => {}
                Err(error) => accept_failed(error).await,
            },
        }
    }
    drop(socket);
    connections.stop().await;
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
