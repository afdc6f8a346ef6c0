//! `horizon-gateway key`: how this gateway's key is kept.

use horizon_node::data_folder::DataFolder;

use crate::{
    args::{KeyArgs, KeyCommand},
    identity,
    quoter::TpmChoice,
};

/// The gateway must not run: its data folder is locked.
pub(crate) fn change(command: &KeyCommand) -> anyhow::Result<()> {
    let (KeyCommand::Seal(args) | KeyCommand::Unseal(args)) = command;
    let KeyArgs { data, tpm } = args;
    let data = DataFolder::open(&data.folder)?;
    let tpm = TpmChoice::path(tpm.choice.as_ref());
    let said = match command {
        KeyCommand::Seal(_) if identity::seal(&data, tpm.as_deref())? => {
            "the key is sealed: only this TPM opens it, and a copy of the disk lacks it; what the disk held before may be found on it until it is overwritten"
        }
        KeyCommand::Seal(_) => "the key was sealed before",
        KeyCommand::Unseal(_) if identity::unseal(&data, tpm.as_deref())? => {
            "the key is in a file again: a copy of the disk has it"
        }
        KeyCommand::Unseal(_) => "the key was not sealed",
    };
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        println!("{said}");
    }
    Ok(())
}
