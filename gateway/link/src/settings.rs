//! QUIC settings of links.

use std::{sync::Arc, time::Duration};

use horizon_api::{
    key::{PublicKey, SecretKey},
    wire::ALPN_LINK,
};
use horizon_dataplane::congestion::DelayConfig;
use horizon_node::{endpoint, tls};
use quinn_proto::{
    ClientConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};

/// A link is dead after so long without a packet.
const IDLE: Duration = Duration::from_secs(15);
/// Half of a usual NAT's shortest UDP timeout, and a third of [`IDLE`].
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Fits every path of today's Internet that has no tunnel of its own; falls back to 1200.
const MTU_START: u16 = 1330;
/// An Ethernet frame less an IPv4 and a UDP header.
pub(crate) const MTU_MOST: u16 = 1472;
/// Datagrams that quinn-proto may hold back: a batch and one more super-packet. The queue is not here.
pub(crate) const DATAGRAM_SEND_BYTES: usize = 1 << 20;
/// Datagrams that wait for one turn of the loop.
const DATAGRAM_RECEIVE_BYTES: usize = 8 << 20;

/// Returns the settings of an endpoint, which tells old peers at once that their links are gone.
pub(crate) fn endpoint(key: &SecretKey) -> EndpointConfig {
    let mut config = endpoint::config(key);
    config.grease_quic_bit(false);
    config
}

/// # Errors
/// When the TLS library refuses the key.
pub(crate) fn server(key: &SecretKey) -> Result<ServerConfig, String> {
    let crypto = tls::server_config(key, &[ALPN_LINK]).map_err(|e| e.to_string())?;
    let crypto = QuicServerConfig::try_from(crypto).map_err(|e| e.to_string())?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport()));
    config.migration(true);
    Ok(config)
}

/// # Errors
/// When the TLS library refuses the key.
pub(crate) fn client(key: &SecretKey, gateway: Vec<PublicKey>) -> Result<ClientConfig, String> {
    let crypto = tls::client_config(key, ALPN_LINK, Some(gateway)).map_err(|e| e.to_string())?;
    let crypto = QuicClientConfig::try_from(crypto).map_err(|e| e.to_string())?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

fn transport() -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(MTU_MOST);
    let mut config = TransportConfig::default();
    config.max_idle_timeout(Some(IdleTimeout::try_from(IDLE).expect("15 s fit in a QUIC timeout")));
    config.keep_alive_interval(Some(KEEP_ALIVE));
    config.initial_mtu(MTU_START);
    config.mtu_discovery_config(Some(discovery));
    config.datagram_send_buffer_size(DATAGRAM_SEND_BYTES);
    config.datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BYTES));
    // The control stream, and nothing else.
    config.max_concurrent_bidi_streams(VarInt::from_u32(1));
    config.max_concurrent_uni_streams(VarInt::from_u32(0));
    config.stream_receive_window(VarInt::from_u32(128 << 10));
    config.receive_window(VarInt::from_u32(256 << 10));
    config.congestion_controller_factory(Arc::new(DelayConfig::default()));
    config.allow_spin(false);
    config
}
