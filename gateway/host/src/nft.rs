//! Our nftables table, through `nft`: one text, one transaction. Foreign tables are only read.

mod forward;
mod legacy;

use std::fs;
use std::io;
use std::process::{Output, Stdio};

use horizon_dataplane::apply::{Firewall, InterfaceName, TABLE};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

pub use forward::ForwardingBlocked;

/// The `nft` of this host, and what our table looks like where we installed it.
#[derive(Default)]
pub struct Nft {
    installed: Option<(Firewall, Value)>,
}

/// Why `nft` did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    #[error("the program nft is missing; install nftables: apt install nftables")]
    Missing,
    #[error("nft has no permission; run as root or give CAP_NET_ADMIN")]
    NotPermitted,
    #[error("nft refused: {0}")]
    Refused(String),
    #[error("run nft")]
    Run { source: io::Error },
    #[error("nft gave no JSON")]
    Json { source: serde_json::Error },
}

impl Nft {
    /// Replaces our table.
    ///
    /// # Errors
    /// Without nftables or the right; then the table is as it was.
    pub async fn install(&mut self, firewall: &Firewall) -> Result<(), NftError> {
        run(&["-f", "-"], &firewall.install_text()).await?;
        self.installed = listing().await?.map(|listing| (firewall.clone(), listing));
        Ok(())
    }

    /// Removes our table, if it exists.
    ///
    /// # Errors
    /// As for installing it; without `nft` nobody can have made the table.
    pub async fn remove(&mut self) -> Result<(), NftError> {
        self.installed = None;
        match run(&["-f", "-"], &Firewall::remove_text()).await {
            Ok(_) | Err(NftError::Missing) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns our table, if it is exactly as this process made it.
    /// One of an earlier process, or one that somebody changed, is as good as none: it is replaced.
    ///
    /// # Errors
    /// As for installing it.
    pub async fn installed(&self) -> Result<Option<Firewall>, NftError> {
        let Some((firewall, expected)) = &self.installed else { return Ok(None) };
        Ok((listing().await?.as_ref() == Some(expected)).then(|| firewall.clone()))
    }

    /// Returns the foreign chains that drop what we forward from an interface of ours.
    ///
    /// # Errors
    /// When the rules cannot be read.
    pub async fn forwarding_blocked(&self, tun: &InterfaceName) -> Result<Vec<ForwardingBlocked>, NftError> {
        let text = run(&["-j", "list", "ruleset"], "").await?;
        let ruleset = serde_json::from_slice(&text).map_err(|source| NftError::Json { source })?;
        let mut blocked = forward::blocking(&ruleset, tun);
        for (command, tables) in LEGACY {
            // Reading would load the tables where nobody has any.
            if fs::read_to_string(tables).is_ok_and(|names| names.lines().any(|name| name == "filter")) {
                let saved = run_first(
                    &[&format!("{command}-save"), &format!("/usr/sbin/{command}-save")],
                    &["-t", "filter"],
                    "",
                )
                .await;
                let saved = saved.unwrap_or_default();
                blocked.extend(legacy::blocking(&String::from_utf8_lossy(&saved), command, tun));
            }
        }
        Ok(blocked)
    }
}

/// The older iptables by IP version, and where the kernel names its tables.
const LEGACY: [(&str, &str); 2] =
    [("iptables-legacy", "/proc/net/ip_tables_names"), ("ip6tables-legacy", "/proc/net/ip6_tables_names")];

/// Our table as JSON, without what the kernel numbers by itself; none if there is no such table.
async fn listing() -> Result<Option<Value>, NftError> {
    let text = match run(&["-j", "list", "table", "inet", TABLE], "").await {
        Ok(text) => text,
        Err(NftError::Refused(reason)) if reason.contains("No such file or directory") => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut listing = serde_json::from_slice(&text).map_err(|source| NftError::Json { source })?;
    drop_handles(&mut listing);
    Ok(Some(listing))
}

fn drop_handles(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.remove("handle");
        fields.values_mut().for_each(drop_handles);
    } else if let Value::Array(items) = value {
        items.iter_mut().for_each(drop_handles);
    }
}

async fn run(arguments: &[&str], input: &str) -> Result<Vec<u8>, NftError> {
    // A service's PATH may lack the administrator's folders.
    run_first(&["nft", "/usr/sbin/nft"], arguments, input).await
}

/// Runs the first of these programs that is there.
async fn run_first(programs: &[&str], arguments: &[&str], input: &str) -> Result<Vec<u8>, NftError> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for program in programs {
        match output_of(program, arguments, input).await {
            Ok(output) => return read(output),
            Err(error) => last = error,
        }
    }
    if last.kind() == io::ErrorKind::NotFound {
        Err(NftError::Missing)
    } else {
        Err(NftError::Run { source: last })
    }
}

async fn output_of(program: &str, arguments: &[&str], input: &str) -> io::Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends early says why on its own; the broken pipe says nothing.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    child.wait_with_output().await
}

fn read(output: Output) -> Result<Vec<u8>, NftError> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    if reason.contains("Operation not permitted") {
        return Err(NftError::NotPermitted);
    }
    let first_line = reason.lines().next().unwrap_or("it gave no reason");
    Err(NftError::Refused(first_line.to_owned()))
}
