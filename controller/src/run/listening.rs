//! Where the controller is reached: TCP for people and clients, UDP for nodes, a socket for the operator of the host.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context;
use horizon_api::wire::{ALPN_CFG, ALPN_DEV};
use horizon_api_server::ControlSocket;
use horizon_node::{failure::cannot_listen, quic};
use tokio::net::TcpListener;

use crate::{certificate, identity::ControllerIdentity, verbs::SOCKET};

/// Everything that listens.
pub(super) struct Listening {
    pub(super) endpoint: quinn::Endpoint,
    pub(super) listener: TcpListener,
    pub(super) socket: ControlSocket,
    pub(super) tls: Arc<rustls::ServerConfig>,
    /// SHA-256 of the console's certificate.
    pub(super) fingerprint: String,
    pub(super) console_url: String,
}

impl Listening {
    /// Opens all of it, or nothing.
    ///
    /// # Errors
    /// When an address is taken or not this host's, or the certificate cannot be read or made.
    pub(super) async fn open(
        data: &Path,
        identity: &ControllerIdentity,
        http: SocketAddr,
        quic: SocketAddr,
        host: &str,
    ) -> anyhow::Result<Self> {
        let tls = certificate::server_config(data, host)?;
        let fingerprint = certificate::fingerprint(data).context("read the console's certificate")?;
        let endpoint =
            quic::listen(identity.online(), &[ALPN_CFG, ALPN_DEV], quic).map_err(|error| match error
                .downcast::<std::io::Error>(
            ) {
                Ok(error) => cannot_listen("UDP", quic, "--quic", &error).into(),
                Err(error) => error,
            })?;
        let listener =
            TcpListener::bind(http).await.map_err(|error| cannot_listen("TCP", http, "--http", &error))?;
        let path = data.join(SOCKET);
        let socket =
            ControlSocket::bind(&path).await.with_context(|| format!("listen on {}", path.display()))?;
        let console_url = format!("https://{}:{}", bracketed(host), listener.local_addr()?.port());
        Ok(Self { endpoint, listener, socket, tls, fingerprint, console_url })
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
