//! `horizon`: the agent on a person's machine, and the command line that asks it.

mod account;
mod api;
mod args;
mod choice;
mod cli;
mod controller;
mod disk;
mod eventloop;
mod files;
mod run;
mod socket;
mod state;
mod terms;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{AgentCommand, Args, Command};

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
            Command::Agent(AgentCommand::Run(run)) => run::run(run).await,
            Command::Keygen(args) => cli::keygen(&args),
            Command::Ask(verb) => cli::ask(verb).await,
        }
    }))
}
