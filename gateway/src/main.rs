//! `horizon-gateway`: the daemon on a gateway's host.

mod args;
mod cache;
mod controller_link;
mod disk;
mod eventloop;
mod identity;
mod join;
mod key;
mod keys;
mod listen;
mod moment;
mod quoter;
mod rotate_key;
mod run;
mod running;
mod socket;
mod standby;
mod status;
mod uninstall;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    horizon_node::start();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return horizon_node::failure::exit(Err(error.into())),
    };
    horizon_node::failure::exit(runtime.block_on(args.command.run()))
}
