//! QUIC of control links (quinn on tokio): bounded, kept alive, without resumption.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use horizon_api::{
    key::{PublicKey, SecretKey},
    wire::EXPORTER_LABEL,
};
use quinn::{
    ClientConfig, Connection, Endpoint, IdleTimeout, ServerConfig, TokioRuntime, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};

use crate::{endpoint, tls};

/// A control link is dead after so long without a packet.
const IDLE: Duration = Duration::from_secs(15);
/// A third of it: two keep-alives may be lost.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// First datagrams that may wait to be looked at, which takes no time; what comes on top is passed over, and the
/// caller repeats it.
const INCOMING_MAX: usize = 1024;

/// Binds the controller's end of control links.
///
/// # Errors
/// When the key is refused or the address is taken; the caller names the flag.
pub fn listen(key: &SecretKey, alpns: &[&[u8]], address: SocketAddr) -> anyhow::Result<Endpoint> {
    let config = answering(key, alpns)?;
    let socket = std::net::UdpSocket::bind(address)?;
    Ok(Endpoint::new(endpoint::config(key), Some(config), socket, Arc::new(TokioRuntime))?)
}

/// Has another key answer whoever dials from here on; links that are there stay.
///
/// # Errors
/// When the key is refused.
pub fn answer_with(endpoint: &Endpoint, key: &SecretKey, alpns: &[&[u8]]) -> anyhow::Result<()> {
    endpoint.set_server_config(Some(answering(key, alpns)?));
    Ok(())
}

fn answering(key: &SecretKey, alpns: &[&[u8]]) -> anyhow::Result<ServerConfig> {
    let crypto = QuicServerConfig::try_from(tls::server_config(key, alpns)?)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport()));
    config.max_incoming(INCOMING_MAX);
    Ok(config)
}

/// Dials the controller. Whether its key is the right one is for the caller to check by the delegation.
///
/// # Errors
/// When the name does not resolve or nobody answers.
pub async fn dial(
    key: &SecretKey,
    alpn: &[u8],
    host: &str,
    port: u16,
) -> anyhow::Result<(Endpoint, Connection)> {
    let crypto = QuicClientConfig::try_from(tls::client_config(key, alpn, None)?)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport()));
    let addresses: Vec<SocketAddr> =
        tokio::net::lookup_host((host, port)).await.with_context(|| format!("resolve {host}"))?.collect();
    let mut last = anyhow::anyhow!("the name {host} has no address");
    // The first may be of a family that this host does not have.
    for address in addresses {
        match dial_address(&config, address).await {
            Ok(dialled) => return Ok(dialled),
            Err(error) => last = error.context(format!("reach {address}")),
        }
    }
    Err(last)
}

async fn dial_address(config: &ClientConfig, address: SocketAddr) -> anyhow::Result<(Endpoint, Connection)> {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let endpoint = Endpoint::client(any).context("open a UDP socket")?;
    let connection = endpoint.connect_with(config.clone(), address, "horizon")?.await?;
    Ok((endpoint, connection))
}

/// Returns the key that the peer's handshake proved.
///
/// # Errors
/// When the peer showed none, which the TLS settings do not allow.
pub fn peer_key(connection: &Connection) -> anyhow::Result<PublicKey> {
    let identity = connection.peer_identity().context("the peer showed no key")?;
    let certificates = identity
        .downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>()
        .map_err(|_| anyhow::anyhow!("the peer's identity is not a key"))?;
    let spki = certificates.first().context("the peer showed no key")?;
    Ok(PublicKey::from_spki(spki)?)
}

/// Returns the 32 bytes that are equal on both ends of this connection and on no other (RFC 8446 §7.5).
///
/// # Errors
/// When the handshake is not complete.
pub fn exporter(connection: &Connection) -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    connection
        .export_keying_material(&mut bytes, EXPORTER_LABEL, b"")
        .map_err(|_| anyhow::anyhow!("the connection cannot export keying material"))?;
    Ok(bytes)
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(IdleTimeout::try_from(IDLE).expect("15 s fit in a QUIC timeout")));
    transport.keep_alive_interval(Some(KEEP_ALIVE));
    // One control stream, and nothing beside it.
    transport.max_concurrent_bidi_streams(VarInt::from_u32(1));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    transport.datagram_receive_buffer_size(None);
    transport.allow_spin(false);
    transport
}
