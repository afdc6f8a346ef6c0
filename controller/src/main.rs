//! `horizon-controller`: the broker.

use std::process::ExitCode;

use clap::Parser;
use horizon_controller::{
    args::{Args, Command},
    check, policy, run,
    verbs::{self, guard},
};

/// A compilation makes and forgets millions of small things.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Command::Check(check) = args.command {
        return check::check(&check);
    }
    horizon_node::log::start();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return horizon_node::failure::exit(Err(error.into())),
    };
    let done = runtime.block_on(async {
        match args.command {
            Command::Run(run) => run::run(run).await?,
            Command::Status(status) => verbs::status(status).await?,
            Command::Invite(invite) => verbs::invite(invite).await?,
            Command::SignIn(sign_in) => verbs::sign_in(sign_in).await?,
            Command::Plan(plan) => guard::plan(plan).await?,
            Command::Approve(approve) => guard::approve(approve).await?,
            Command::Hold(hold) => guard::hold(hold).await?,
            Command::Release(release) => guard::release(release).await?,
            Command::Arm(arm) => guard::arm(arm).await?,
            Command::Confirm(confirm) => guard::confirm(confirm).await?,
            Command::Policy(policy) => return policy::policy(policy.command).await,
            Command::Check(_) => {}
        }
        Ok(ExitCode::SUCCESS)
    });
    done.unwrap_or_else(|error| horizon_node::failure::exit(Err(error)))
}
