//! `horizon-gateway`: the daemon on a gateway's host.

mod args;
mod cache;
mod controller_link;
mod disk;
mod eventloop;
mod join;
mod listen;
mod run;
mod running;
mod standby;
mod status;
mod uninstall;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    horizon_node::start();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return horizon_node::failure::exit(Err(error.into())),
    };
    horizon_node::failure::exit(runtime.block_on(async {
        match args.command {
            Command::Join(join) => join::join(join).await,
            Command::Run(run) => run::run(run).await,
            Command::Status(status) => status::print(status).await,
            Command::Uninstall(uninstall) => uninstall::uninstall(uninstall).await,
        }
    }))
}
