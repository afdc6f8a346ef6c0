//! HTTPS: each handshake runs in its connection's own task, against the clock.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::{Connections, Peer, Version, accept_failed, converse, patient::Patient};

const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// Serves a router over TLS until `shutdown` is done, then gives running answers a second.
pub async fn serve_https(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let acceptor = TlsAcceptor::from(config);
    let mut connections = Connections::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => connections
                    .spawn(|stopping| connection(acceptor.clone(), stream, peer, router.clone(), stopping)),
                Err(error) => accept_failed(error).await,
            },
        }
    }
    drop(listener);
    connections.stop().await;
}

async fn connection(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    stopping: watch::Receiver<bool>,
) {
    // Events are small and wanted now.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "set TCP_NODELAY");
    }
    match timeout(HANDSHAKE_PATIENCE, acceptor.accept(Patient::new(stream))).await {
        Ok(Ok(stream)) => {
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let version = if is_h2 { Version::Two } else { Version::One };
            converse(stream, version, router, Peer(Some(peer)), stopping).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake broke"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
}
