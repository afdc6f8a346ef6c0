//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};
use horizon_dataplane::apply::InterfaceName;

/// The Horizon gateway: ends people's tunnels on this host, by the controller's signed configuration.
#[derive(Parser)]
#[command(version, about)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Enrol this host with the join string that `horizon-controller invite server NAME` printed.
    Join(JoinArgs),
    /// Run the gateway.
    Run(RunArgs),
    /// Say what the running gateway does.
    Status(StatusArgs),
    /// Undo every change that the gateway made to this host.
    Uninstall(UninstallArgs),
}

#[derive(clap::Args)]
pub(crate) struct JoinArgs {
    /// `horizon://HOST:PORT?key=TOKEN#ROOT`, in quotes; `-` reads it from standard input.
    #[arg(env = "HORIZON_JOIN", hide_env_values = true)]
    pub(crate) join: String,
    /// Which declared Server this host is, where the key fits several.
    #[arg(long, env = "HORIZON_NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Where links arrive, instead of all addresses with the port of the Server's endpoint.
    #[arg(long, env = "HORIZON_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Name of the TUN interface.
    #[arg(long, env = "HORIZON_TUN", default_value = "hzng0")]
    pub(crate) tun: InterfaceName,
}

#[derive(clap::Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print again every second, until Ctrl-C.
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(clap::Args)]
pub(crate) struct UninstallArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(clap::Args)]
pub(crate) struct DataArgs {
    /// The gateway's data folder.
    #[arg(long = "data", env = "HORIZON_DATA", default_value = "/var/lib/horizon/gateway")]
    pub(crate) folder: PathBuf,
}
