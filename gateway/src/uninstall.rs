//! `horizon-gateway uninstall`: leaves the host as it was.

use horizon_host::{Host, Leftovers, Linux};
use horizon_node::data_folder::DataFolder;

use crate::args::UninstallArgs;

pub(crate) async fn uninstall(args: UninstallArgs) -> anyhow::Result<()> {
    let data = DataFolder::open(&args.data.folder)?;
    let mut host = Host::open(data.path(), Linux::connect()?)?;
    let undone = host.recover(Leftovers::Undo).await?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        println!(
            "{undone} changes taken back; keys and cached configuration stay in {}",
            data.path().display()
        );
    }
    Ok(())
}
