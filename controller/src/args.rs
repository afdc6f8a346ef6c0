//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use horizon_api::resource::{ObjectKey, Period};
use ipnet::IpNet;

/// The Horizon controller: turns declared resources into signed configuration for gateways.
#[derive(Parser)]
#[command(version, about)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run the controller.
    Run(RunArgs),
    /// Check folders of manifests, without a controller.
    Check(CheckArgs),
    /// Say what is in force, what gateways run, and what is wrong with the manifests.
    Status(StatusArgs),
    /// Print the join string of a server or the link of a user, once.
    Invite(InviteArgs),
    /// Print a link that opens the console once.
    SignIn(SignInArgs),
    /// Print a file with which kubectl and other clients of Kubernetes use this controller.
    Kubeconfig(KubeconfigArgs),
    /// Say what a change does to people: what waits for an approval, or what other folders would do.
    Plan(PlanArgs),
    /// Let a plan pass that waits, or a device in.
    Approve(ApproveArgs),
    /// Take an object out of force, whoever owns it, until a moment.
    Hold(HoldArgs),
    /// End a hold before its time.
    Release(ReleaseArgs),
    /// Make the next change one that is taken back unless it is confirmed.
    Arm(ArmArgs),
    /// Confirm the change that waits for it.
    Confirm(ConfirmArgs),
    /// Copy the store of the running controller into a file.
    Backup(BackupArgs),
    /// Make the store of a data folder from a copy, while no controller runs on it.
    Restore(RestoreArgs),
    /// Say which keys the controller has, or rotate one.
    Keys(KeysArgs),
    /// Say who may reach what, and why.
    Policy(PolicyArgs),
}

#[derive(clap::Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    pub command: PolicyCommand,
}

#[derive(Subcommand)]
pub enum PolicyCommand {
    /// Print the verdict, the rule that gives it or what else stands in the way, and when that changes.
    Why(WhyArgs),
    /// Print `allowed` or `denied` and nothing else.
    Can(WhyArgs),
}

/// Exit codes: 0 allowed, 3 denied, 1 when a name is not known, 2 usage, 4 when no controller answers.
#[derive(clap::Args)]
pub struct WhyArgs {
    /// Who begins: a user or a device, user:NAME, device:NAME, group:NAME, tag:NAME, server:NAME, an address or a prefix.
    pub source: String,
    /// What is to be reached, with a port: nas:445, nas:53/udp, nas/icmp, server:gw-1:22, 198.51.100.7:80, [fd77::5]:443.
    pub destination: String,
    /// The namespace of names that say none; NAMESPACE/NAME says one.
    #[arg(short, long, default_value = horizon_api::resource::DEFAULT_NAMESPACE)]
    pub namespace: String,
    /// Ask these folders and not the running controller.
    #[arg(long, value_delimiter = ',')]
    pub manifests: Vec<PathBuf>,
    /// The moment that is meant, such as 2027-01-31T18:00:00Z; the present when left out.
    #[arg(long)]
    pub at: Option<jiff::Timestamp>,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct RunArgs {
    /// Folders of manifests; without any, and without `--kube`, everything is declared by the resource API.
    #[arg(long, env = "HORIZON_MANIFESTS", num_args = 1.., value_delimiter = ',')]
    pub manifests: Vec<PathBuf>,
    /// Resources are also those of the Kubernetes cluster that `$KUBECONFIG` names, or in which this runs: its
    /// CustomResourceDefinitions are their store.
    #[arg(long, env = "HORIZON_KUBE")]
    pub kube: bool,
    /// Look at this namespace of the cluster only, and not at all of them.
    #[arg(long, env = "HORIZON_KUBE_NAMESPACE", requires = "kube")]
    pub kube_namespace: Option<String>,
    #[command(flatten)]
    pub data: DataArgs,
    /// Console and API (HTTPS, TCP).
    #[arg(long, env = "HORIZON_HTTP", default_value = "[::]:7443")]
    pub http: SocketAddr,
    /// Gateways and devices (QUIC, UDP).
    #[arg(long, env = "HORIZON_QUIC", default_value = "[::]:7443")]
    pub quic: SocketAddr,
    /// HOST:PORT under which gateways, devices and browsers reach this controller; it goes into join strings.
    /// The default is this host's name and the port of `--quic`.
    #[arg(long, env = "HORIZON_ADVERTISE")]
    pub advertise: Option<String>,
    /// How often each gateway must prove its key anew, on average: each time after a random while.
    #[arg(long, env = "HORIZON_CHALLENGE_EVERY", default_value = "40s")]
    pub challenge_every: Period,
}

#[derive(clap::Args)]
pub struct CheckArgs {
    /// Folders of manifests.
    #[arg(required = true)]
    pub folders: Vec<PathBuf>,
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct PlanArgs {
    /// Folders in place of those that the controller reads, one for each, in their order.
    pub folders: Vec<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct ApproveArgs {
    /// The hash of the plan, or its first twelve digits; or Device/NAME, or Device/NAMESPACE/NAME.
    #[arg(value_name = "HASH|DEVICE")]
    pub what: String,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct HoldArgs {
    /// KIND/NAME, or KIND/NAMESPACE/NAME.
    pub object: ObjectKey,
    /// Why: everybody who looks at the object reads it.
    #[arg(long)]
    pub reason: String,
    /// For how long, such as 30m or 2h.
    #[arg(long = "for")]
    pub time: Period,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct ReleaseArgs {
    /// KIND/NAME, or KIND/NAMESPACE/NAME.
    pub object: ObjectKey,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct ArmArgs {
    /// How long the next change waits for `confirm`, such as 60s or 5m.
    #[arg(long)]
    pub confirm_within: Period,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct ConfirmArgs {
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    pub command: KeysCommand,
}

#[derive(Subcommand)]
pub enum KeysCommand {
    /// Print which keys there are; nothing secret of them.
    List(KeysListArgs),
    /// Take another key in the place of one, while everything goes on.
    Rotate(KeysRotateArgs),
    /// Make the next online key, and a file that asks for it at a root key that is kept elsewhere.
    Request(KeysRequestArgs),
    /// Sign what such a file asks for: run it where the root key is. It needs no controller.
    Sign(KeysSignArgs),
    /// Take in what the root key signed: the next online key follows the one that signs.
    Install(KeysInstallArgs),
    /// End the time at once in which the online key before is still believed.
    Withdraw(KeysWithdrawArgs),
    /// Carry the root key away.
    Root(KeysRootArgs),
}

#[derive(clap::Args)]
pub struct KeysRequestArgs {
    /// The file that is made; nothing may be there yet.
    pub file: PathBuf,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct KeysSignArgs {
    /// A file that `keys request` made.
    pub request: PathBuf,
    /// The root key's file.
    #[arg(long)]
    pub root: PathBuf,
    /// The file that is made; REQUEST with `.signed` behind it when left out.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct KeysInstallArgs {
    /// A file that `keys sign` made.
    pub signed: PathBuf,
    #[command(flatten)]
    pub overlap: OverlapArgs,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct KeysWithdrawArgs {
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct OverlapArgs {
    /// How long the online key before is believed after the next one signs: as long as grants that it signed live.
    #[arg(long, default_value = "65m")]
    pub overlap: Period,
}

#[derive(clap::Args)]
pub struct KeysRootArgs {
    #[command(subcommand)]
    pub command: KeysRootCommand,
}

#[derive(Subcommand)]
pub enum KeysRootCommand {
    /// Copy the root key into a file that only its owner can read.
    Export(KeysRootExportArgs),
    /// Take the root key out of the data folder, once a copy of it is shown.
    Remove(KeysRootRemoveArgs),
}

#[derive(clap::Args)]
pub struct KeysRootExportArgs {
    /// The file that is made; nothing may be there yet.
    pub file: PathBuf,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct KeysRootRemoveArgs {
    /// The copy that stays.
    #[arg(long)]
    pub copy: PathBuf,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct KeysListArgs {
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct KeysRotateArgs {
    /// Which key.
    pub key: Rotated,
    #[command(flatten)]
    pub overlap: OverlapArgs,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Rotated {
    /// What digests of tokens are kept under; tokens that people hold go on working.
    Pepper,
    /// What links are answered with, and configuration and grants are signed with.
    Online,
}

#[derive(clap::Args)]
pub struct StatusArgs {
    /// One object: KIND/NAME, or KIND/NAMESPACE/NAME.
    pub object: Option<ObjectKey>,
    #[command(flatten)]
    pub data: DataArgs,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args)]
pub struct InviteArgs {
    /// Whom to invite.
    pub kind: Invited,
    /// Name of the Server, of the User, or of the RegistrationKey that enrols devices.
    pub name: String,
    /// Print a link without a token, for a person who signs in with the key pair of a PersonalKey with a publicKey.
    #[arg(long)]
    pub key: bool,
    #[arg(long, default_value = horizon_api::resource::DEFAULT_NAMESPACE)]
    pub namespace: String,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct BackupArgs {
    /// The file that is made; nothing may be there yet.
    pub file: PathBuf,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct RestoreArgs {
    /// A file that `backup` made.
    pub file: PathBuf,
    /// An epoch that gateways have heard of, where the data folder does not know it: a gateway that refuses the
    /// restored controller names it.
    #[arg(long, default_value_t = 0)]
    pub after_epoch: u32,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct SignInArgs {
    /// The Admin who signs in: NAME, or NAMESPACE/NAME. The operator of the host when left out.
    pub admin: Option<String>,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct KubeconfigArgs {
    /// The Admin who uses it: NAME, or NAMESPACE/NAME. The operator of the host when left out.
    pub admin: Option<String>,
    /// How long its token is valid, such as 8h or 720h.
    #[arg(long = "for", default_value = "720h")]
    pub time: Period,
    /// The address of the controller, such as https://controller.example.net:7443; the one that it advertises when left
    /// out.
    #[arg(long)]
    pub server: Option<String>,
    /// Write a file that only its owner can read, and print nothing.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// End every token of the Admin, or of the operator, and make none.
    #[arg(long, conflicts_with_all = ["time", "server", "out", "from", "list"])]
    pub end: bool,
    /// End one token, by its id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["admin", "time", "server", "out", "from", "list", "end"])]
    pub end_token: Option<String>,
    /// From where its token may be used, such as 198.51.100.0/24; may be repeated. From everywhere when left out.
    #[arg(long, value_name = "CIDR")]
    pub from: Vec<IpNet>,
    /// List the tokens that are valid, of everybody, and make none.
    #[arg(long, conflicts_with_all = ["admin", "time", "server", "out", "from"])]
    pub list: bool,
    /// Print the list as one JSON document.
    #[arg(long, requires = "list")]
    pub json: bool,
    #[command(flatten)]
    pub data: DataArgs,
}

#[derive(clap::Args)]
pub struct DataArgs {
    /// The controller's data folder.
    #[arg(long = "data", env = "HORIZON_DATA", default_value = "/var/lib/horizon/controller")]
    pub folder: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Invited {
    Server,
    User,
    /// Devices that a RegistrationKey with `role: Device` enrols.
    Device,
}
