//! The only crate that changes a host: TUN, addresses, routes, kernel settings, our nftables table.
//!
//! Each change is written to the journal before it is made, and taken back in reverse on exit,
//! or by the next start after a `kill -9`. What to change is decided in `horizon_dataplane::apply`.

mod disk;
pub mod executor;
pub mod host;
pub mod journal;
pub mod linux;
pub mod netlink;
pub mod nft;
pub mod recorder;
pub mod sysctl;
mod system;
pub mod tun;

pub use executor::{ExecuteError, Executor};
pub use host::{Host, HostError, Leftovers};
pub use journal::{Journal, JournalError};
pub use linux::Linux;
pub use nft::ForwardingBlocked;
pub use recorder::Recorder;
pub use tun::{Tun, TunError, TunQueue};
