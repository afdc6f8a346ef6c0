//! The log of a daemon: `HORIZON_LOG` filters, `HORIZON_LOG_FORMAT=json` for machines, stderr always.

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts logging. Call once, at the start of `main`.
pub fn start() {
    let (filter, mistake) = filter(std::env::var("HORIZON_LOG").ok().as_deref());
    let is_json = std::env::var("HORIZON_LOG_FORMAT").is_ok_and(|format| format == "json");
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    if is_json {
        registry.with(layer.json()).init();
    } else {
        use std::io::IsTerminal;
        registry.with(layer.with_ansi(std::io::stderr().is_terminal())).init();
    }
    #[expect(
        clippy::print_stderr,
        reason = "whoever set the filter must hear it, whatever the filter lets pass"
    )]
    if let Some(mistake) = mistake {
        eprintln!("warning: {mistake}");
    }
}

const DEFAULT: &str = "info,rtnetlink=warn,netlink_proto=warn";

/// Returns the filter, and what is wrong with the one that was asked for.
fn filter(asked: Option<&str>) -> (EnvFilter, Option<String>) {
    let Some(text) = asked.filter(|text| !text.is_empty()) else { return (EnvFilter::new(DEFAULT), None) };
    match EnvFilter::try_new(text) {
        Ok(filter) => (filter, None),
        Err(error) => {
            let mistake =
                format!("HORIZON_LOG={text} is not used: {error}; try `debug` or `info,quinn=warn`");
            (EnvFilter::new(DEFAULT), Some(mistake))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_told_and_the_default_is_used() {
        let (used, mistake) = filter(Some("info,=="));

        assert_eq!(used.to_string(), EnvFilter::new(DEFAULT).to_string());
        assert!(mistake.is_some_and(|mistake| mistake.contains("HORIZON_LOG=info,==")));
        assert!(filter(None).1.is_none() && filter(Some("debug")).1.is_none());
    }
}
