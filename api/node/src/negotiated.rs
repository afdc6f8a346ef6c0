//! What a handshake agreed on, noted while it goes on.

use crate::{cipher, key_exchange};

/// The suite of a link, by its names in TLS; empty until they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// Such as `X25519MLKEM768`.
    pub key_exchange: String,
    /// Such as `TLS13_AES_128_GCM_SHA256`.
    pub cipher: String,
}

impl Negotiated {
    /// Takes one step of a handshake, and keeps the notes that it left on this thread.
    pub fn during<T>(&mut self, step: impl FnOnce() -> T) -> T {
        // Notes that another handshake left are not this one's.
        drop((key_exchange::take_last(), cipher::take_last()));
        let done = step();
        if let Some(group) = key_exchange::take_last() {
            self.key_exchange = group;
        }
        if let Some(suite) = cipher::take_last() {
            self.cipher = suite;
        }
        done
    }

    /// Returns whether the key exchange holds against a quantum computer.
    pub fn is_post_quantum(&self) -> bool {
        key_exchange::is_post_quantum(&self.key_exchange)
    }
}
