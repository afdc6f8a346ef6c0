//! What the tests of the whole share: a small world of network namespaces in which the real programs run,
//! strangers that speak the wire themselves, and a browser.

pub mod browser;
pub mod canary;
pub mod cluster;
pub mod demo;
pub mod folder;
pub mod garbage;
pub mod joiner;
pub mod kubectl;
pub mod memory;
pub mod namespace;
pub mod packet;
pub mod page;
pub mod process;
pub mod program;
pub mod random;
pub mod relay;
pub mod rogue;
pub mod scenario;
pub mod snapshot;
pub mod software_tpm;
pub mod standalone;
pub mod stranger;
pub mod traffic;
pub mod wait;
pub mod world;
