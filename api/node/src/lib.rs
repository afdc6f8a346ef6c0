//! What every Horizon process shares: its key and files on disk, the TLS and QUIC settings of its links,
//! framed streams, sockets, waits, the clock and the log.

pub mod backoff;
mod cipher;
pub mod clock;
pub mod controller;
mod cut_off;
pub mod data_folder;
pub mod door;
pub mod durable;
pub mod endpoint;
pub mod evidence;
pub mod failure;
pub mod framed;
mod harden;
pub mod join;
pub mod key_exchange;
pub mod local;
mod log;
pub mod negotiated;
pub mod posture;
pub mod quic;
pub mod random;
pub mod secret_file;
pub mod tls;
pub mod udp;

/// Begins a process: with a log, without core dumps, and so that `| head` ends it without a word.
pub fn start() {
    log::start();
    harden::harden();
    cut_off::end_quietly();
}
