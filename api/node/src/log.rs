//! The log of a daemon: `HORIZON_LOG` filters, `HORIZON_LOG_FORMAT=json` for machines, stderr always.

use std::io::{self, Write};

use horizon_api::redact::redacted;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts logging. Call once, at the start of `main`.
pub(crate) fn start() {
    let (filter, mistake) = filter(std::env::var("HORIZON_LOG").ok().as_deref());
    let is_json = std::env::var("HORIZON_LOG_FORMAT").is_ok_and(|format| format == "json");
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(|| Redacted(io::stderr())).with_target(false);
    if is_json {
        registry.with(layer.json()).init();
    } else {
        use std::io::IsTerminal;
        registry.with(layer.with_ansi(io::stderr().is_terminal())).init();
    }
    #[expect(
        clippy::print_stderr,
        reason = "whoever set the filter must hear it, whatever the filter lets pass"
    )]
    if let Some(mistake) = mistake {
        eprintln!("warning: {mistake}");
    }
}

/// Lets no token out, whatever was logged. Each event comes as one piece.
struct Redacted<W>(W);

impl<W: Write> Write for Redacted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(redacted(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
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
    fn no_token_leaves_by_the_log() {
        let mut log = Vec::new();
        let line = "refused key=hzr_0123456789_secretsecret from 192.0.2.1\n";

        Redacted(&mut log).write_all(line.as_bytes()).expect("written");

        assert_eq!(String::from_utf8_lossy(&log), "refused key=hzr_0123456789_… from 192.0.2.1\n");
    }

    #[test]
    fn a_filter_that_is_none_is_told_and_the_default_is_used() {
        let (used, mistake) = filter(Some("info,=="));

        assert_eq!(used.to_string(), EnvFilter::new(DEFAULT).to_string());
        assert!(mistake.is_some_and(|mistake| mistake.contains("HORIZON_LOG=info,==")));
        assert!(filter(None).1.is_none() && filter(Some("debug")).1.is_none());
    }
}
