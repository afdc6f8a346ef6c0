//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use horizon_api::name::Name;
use horizon_dataplane::apply::InterfaceName;

/// Horizon on this machine: sign in, connect to a private network, see how it is.
#[derive(Parser)]
#[command(version, about)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The daemon that holds the link.
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Make a key pair to sign in with, and print its public half as spec.publicKey of a PersonalKey takes it.
    Keygen(KeygenArgs),
    #[command(flatten)]
    Ask(Verb),
}

#[derive(Subcommand)]
pub(crate) enum AgentCommand {
    /// Run the agent: as root, or with CAP_NET_ADMIN.
    Run(RunArgs),
}

/// What a person asks of the running agent.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Sign this device in with the link that `horizon-controller invite user NAME` printed.
    Login(LoginArgs),
    /// Disconnect and forget the controller; the device keeps its key.
    Logout(AskArgs),
    /// List the servers that this device may connect to, the best first.
    Servers(AskArgs),
    /// Connect, and wait until the link is up or refused.
    Connect(ConnectArgs),
    /// End the link and leave the host as it was.
    Disconnect(AskArgs),
    /// Take another device key; the one before is revoked, and the link is made anew with the next one.
    RotateKey(AskArgs),
    /// Say what the agent does.
    Status(StatusArgs),
}

#[derive(clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Name of the TUN interface.
    #[arg(long, env = "HORIZON_TUN", default_value = "hzn0")]
    pub(crate) tun: InterfaceName,
}

#[derive(clap::Args)]
pub(crate) struct KeygenArgs {
    /// The file to make; only its owner can read it.
    pub(crate) file: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct LoginArgs {
    /// `horizon://HOST:PORT?key=hzc_…#ROOT`, in quotes; `-` reads it from standard input.
    #[arg(env = "HORIZON_LINK", hide_env_values = true)]
    pub(crate) link: String,
    /// Sign in with the key pair in this file, which `horizon keygen` made, and a link without a token.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// What this device is called, instead of its host name.
    #[arg(long, env = "HORIZON_NAME")]
    pub(crate) name: Option<Name>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(clap::Args)]
pub(crate) struct ConnectArgs {
    /// Stay with this server, instead of the best one and its replacements.
    #[arg(env = "HORIZON_SERVER")]
    pub(crate) server: Option<String>,
    /// Which network, where the device is in several: `NAME` or `NAMESPACE/NAME`.
    #[arg(long, env = "HORIZON_NETWORK")]
    pub(crate) network: Option<String>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(clap::Args)]
pub(crate) struct StatusArgs {
    /// Print again every second, until Ctrl-C.
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(clap::Args)]
pub(crate) struct AskArgs {
    /// Print one JSON document a line.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(clap::Args)]
pub(crate) struct DataArgs {
    /// The agent's data folder.
    #[arg(long = "data", env = "HORIZON_DATA", default_value = "/var/lib/horizon/agent")]
    pub(crate) folder: PathBuf,
}
