//! Each verb of the command line to what does it.

use std::process::ExitCode;

use crate::{
    args::Command,
    check, policy, run,
    verbs::{self, backup, guard},
};

/// Does what the command line says.
///
/// # Errors
/// When it cannot be done; the chain says why.
pub async fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(check) => return Ok(check::check(&check)),
        Command::Run(run) => run::run(run).await?,
        Command::Status(status) => verbs::status(status).await?,
        Command::Invite(invite) => verbs::invite(invite).await?,
        Command::SignIn(sign_in) => verbs::sign_in(sign_in).await?,
        Command::Kubeconfig(kubeconfig) => verbs::kubeconfig::kubeconfig(kubeconfig).await?,
        Command::Plan(plan) => guard::plan(plan).await?,
        Command::Approve(approve) => guard::approve(approve).await?,
        Command::Hold(hold) => guard::hold(hold).await?,
        Command::Release(release) => guard::release(release).await?,
        Command::Arm(arm) => guard::arm(arm).await?,
        Command::Confirm(confirm) => guard::confirm(confirm).await?,
        Command::Backup(backup) => backup::backup(backup).await?,
        Command::Restore(restore) => backup::restore(&restore)?,
        Command::Keys(keys) => verbs::keys::keys(keys.command).await?,
        Command::Policy(policy) => return policy::policy(policy.command).await,
    }
    Ok(ExitCode::SUCCESS)
}
