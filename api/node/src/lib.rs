//! What every Horizon process shares: its key and files on disk, the TLS and QUIC settings of its links,
//! framed streams, sockets, waits, the clock and the log.

pub mod backoff;
pub mod clock;
pub mod controller;
pub mod data_folder;
pub mod door;
pub mod durable;
pub mod endpoint;
pub mod evidence;
pub mod failure;
pub mod framed;
pub mod join;
pub mod key_exchange;
pub mod local;
pub mod log;
pub mod quic;
pub mod random;
pub mod secret_file;
pub mod tls;
pub mod udp;
