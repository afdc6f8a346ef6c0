//! Which key exchange a handshake used.
//!
//! rustls tells it to its caller, quinn-proto does not. So the groups are wrapped: each notes its name for the thread
//! that computes it, and whoever drives a connection on that thread takes the note after the step.

use std::{cell::Cell, sync::LazyLock};

use rustls::{
    Error, NamedGroup,
    crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup, aws_lc_rs::kx_group},
};

thread_local! {
    static LAST: Cell<Option<NamedGroup>> = const { Cell::new(None) };
}

/// Takes the note of the last key exchange that this thread finished.
pub(crate) fn take_last() -> Option<String> {
    LAST.take().map(|group| format!("{group:?}"))
}

/// Returns whether a key exchange of this name holds against a quantum computer.
pub fn is_post_quantum(name: &str) -> bool {
    name == "X25519MLKEM768"
}

/// The groups of a link, post-quantum first.
pub(crate) fn groups() -> Vec<&'static dyn SupportedKxGroup> {
    static GROUPS: LazyLock<[Noted; 2]> =
        LazyLock::new(|| [Noted(kx_group::X25519MLKEM768), Noted(kx_group::X25519)]);
    GROUPS.iter().map(|group| group as &'static dyn SupportedKxGroup).collect()
}

#[derive(Debug)]
struct Noted(&'static dyn SupportedKxGroup);

impl SupportedKxGroup for Noted {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(NotedExchange { exchange: self.0.start()?, group: self.0.name() }))
    }

    fn start_and_complete(&self, peer: &[u8]) -> Result<CompletedKeyExchange, Error> {
        LAST.set(Some(self.0.name()));
        self.0.start_and_complete(peer)
    }

    fn name(&self) -> NamedGroup {
        self.0.name()
    }

    fn ffdhe_group(&self) -> Option<rustls::ffdhe_groups::FfdheGroup<'static>> {
        self.0.ffdhe_group()
    }

    fn usable_for_version(&self, version: rustls::ProtocolVersion) -> bool {
        self.0.usable_for_version(version)
    }
}

struct NotedExchange {
    exchange: Box<dyn ActiveKeyExchange>,
    group: NamedGroup,
}

impl ActiveKeyExchange for NotedExchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        LAST.set(Some(self.group));
        self.exchange.complete(peer)
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        self.exchange.hybrid_component()
    }

    fn complete_hybrid_component(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        LAST.set(self.exchange.hybrid_component().map(|(group, _)| group));
        self.exchange.complete_hybrid_component(peer)
    }

    fn pub_key(&self) -> &[u8] {
        self.exchange.pub_key()
    }

    fn group(&self) -> NamedGroup {
        self.group
    }
}
