//! `horizon-controller`: the broker.

use std::process::ExitCode;

use clap::Parser;
use horizon_controller::{
    args::{Args, Command},
    check,
    dispatch::dispatch,
};

/// A compilation makes and forgets millions of small things, among many that stay for long.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    // Its output is read by programs: no log, no threads.
    if let Command::Check(check) = args.command {
        return check::check(&check);
    }
    horizon_node::start();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return horizon_node::failure::exit(Err(error.into())),
    };
    runtime.block_on(dispatch(args.command)).unwrap_or_else(|error| horizon_node::failure::exit(Err(error)))
}
