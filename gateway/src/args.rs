//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};
use horizon_api::resource::Period;
use horizon_dataplane::apply::InterfaceName;

use crate::{join, key, quoter::TpmChoice, rotate_key, run, status, uninstall};

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
    /// Give this gateway another key while it runs: devices are told of it, and then it takes the place of the key
    /// that it has, which is revoked.
    RotateKey(RotateKeyArgs),
    /// Change how this gateway's key is kept.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Undo every change that the gateway made to this host.
    Uninstall(UninstallArgs),
}

impl Command {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Join(args) => join::join(args).await,
            Self::Run(args) => run::run(args).await,
            Self::Status(args) => status::print(args).await,
            Self::RotateKey(args) => rotate_key::rotate(args).await,
            Self::Key(command) => key::change(&command),
            Self::Uninstall(args) => uninstall::uninstall(args).await,
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct JoinArgs {
    /// `horizon://HOST:PORT?key=TOKEN#ROOT`, in quotes; `-` reads it from standard input.
    #[arg(env = "HORIZON_JOIN", hide_env_values = true)]
    pub(crate) join: String,
    /// Which declared Server this host is, where the key fits several.
    #[arg(long, env = "HORIZON_NAME")]
    pub(crate) name: Option<String>,
    /// Make a key that is sealed to the TPM of this host from the start.
    #[arg(long)]
    pub(crate) seal_key: bool,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) tpm: TpmArgs,
}

#[derive(clap::Args)]
pub(crate) struct RotateKeyArgs {
    /// How long devices are told of the next key before it is taken up: as long as the grants and offers live that do
    /// not name it. `0s` is for a key that leaked: devices then ask the controller when they connect again.
    #[arg(long, default_value = "65m")]
    pub(crate) overlap: Period,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Seal the key to the TPM of this host: no other host opens it. The gateway must be stopped.
    Seal(KeyArgs),
    /// Keep the key in a file again, as before a TPM is replaced or cleared. The gateway must be stopped.
    Unseal(KeyArgs),
}

#[derive(clap::Args)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) tpm: TpmArgs,
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
    #[command(flatten)]
    pub(crate) tpm: TpmArgs,
}

#[derive(clap::Args)]
pub(crate) struct TpmArgs {
    /// The TPM that signs what this host was started with, and opens a sealed key: a device, or the socket of a TPM in
    /// software; `none` uses none. When left out, it is `/dev/tpmrm0` where the host has it.
    #[arg(long = "tpm", value_name = "PATH", env = "HORIZON_TPM")]
    pub(crate) choice: Option<TpmChoice>,
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
