//! What answers the challenges of one connection.

use std::sync::Arc;

use horizon_api::{key::SecretKey, wire::cfg::ToController};
use horizon_node::controller::Answerer;

use crate::quoter::Quoter;

pub(super) struct Answers {
    pub(super) key: Arc<SecretKey>,
    pub(super) answerer: Answerer,
    /// Nothing where the controller understands no quotes.
    pub(super) quoter: Option<Quoter>,
}

impl Answers {
    /// Looks at this host again, and has it signed by this gateway's key and, where there is one, by the TPM.
    pub(super) async fn answer(&self, nonce: [u8; 32]) -> anyhow::Result<ToController> {
        let attestation = self.answerer.answer(nonce, &self.key).await?;
        let quote = match &self.quoter {
            Some(quoter) => quoter.quote(&attestation).await,
            None => None,
        };
        Ok(match quote {
            Some(quote) => ToController::AnswerWith { attestation, quote },
            None => ToController::Answer(attestation),
        })
    }
}
