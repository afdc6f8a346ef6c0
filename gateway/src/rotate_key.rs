//! `horizon-gateway rotate-key`: another key for this gateway, while devices go on.

use horizon_node::failure::Failure;

use crate::{
    args::RotateKeyArgs,
    socket::{self, Done, Question},
};

pub(crate) async fn rotate(args: RotateKeyArgs) -> anyhow::Result<()> {
    let question = Question::RotateKey { overlap_s: args.overlap.as_seconds() };
    match socket::ask(&args.data.folder, question).await? {
        Done::Done(text) => {
            #[expect(clippy::print_stdout, reason = "what the command is for")]
            {
                println!("{text}");
            }
            Ok(())
        }
        Done::Failed(text) => Err(Failure::Failed(text).into()),
    }
}
