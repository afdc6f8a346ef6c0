//! The log of a daemon: `HORIZON_LOG` filters, `HORIZON_LOG_FORMAT=json` for machines, stderr always.

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts logging. Call once, at the start of `main`.
pub fn start() {
    let filter = EnvFilter::try_from_env("HORIZON_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,rtnetlink=warn,netlink_proto=warn"));
    let is_json = std::env::var("HORIZON_LOG_FORMAT").is_ok_and(|format| format == "json");
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    if is_json {
        registry.with(layer.json()).init();
    } else {
        use std::io::IsTerminal;
        registry.with(layer.with_ansi(std::io::stderr().is_terminal())).init();
    }
}
