//! What answers the challenges of one connection, beside everything else that happens on it.

use std::{future, sync::Arc};

use anyhow::Context;
use horizon_api::{key::SecretKey, wire::cfg::ToController};
use horizon_node::controller::Answerer;
use tokio::task::JoinSet;
use tracing::debug;

use crate::quoter::Quoter;

pub(super) struct Answers {
    key: Arc<SecretKey>,
    answerer: Answerer,
    /// Nothing where the controller understands no quotes.
    quoter: Option<Quoter>,
    under_way: JoinSet<anyhow::Result<ToController>>,
}

/// A controller asks one after the other, and gives up on one before the next.
const UNDER_WAY_MAX: usize = 4;

impl Answers {
    pub(super) fn new(key: Arc<SecretKey>, answerer: Answerer, quoter: Option<Quoter>) -> Self {
        Self { key, answerer, quoter, under_way: JoinSet::new() }
    }

    /// Begins to answer a challenge: a TPM may take its time, and nothing waits for it.
    pub(super) fn begin(&mut self, nonce: [u8; 32]) {
        if self.under_way.len() >= UNDER_WAY_MAX {
            return debug!("a challenge stays unanswered: this host answers too slowly");
        }
        let (key, answerer, quoter) = (Arc::clone(&self.key), self.answerer, self.quoter.clone());
        self.under_way.spawn(async move { answer(nonce, &key, answerer, quoter).await });
    }

    /// Returns the next answer that is ready. Where none was asked for, it waits for ever. Safe to cancel.
    pub(super) async fn next(&mut self) -> anyhow::Result<ToController> {
        match self.under_way.join_next().await {
            Some(answer) => answer.context("answer a challenge")?,
            None => future::pending().await,
        }
    }
}

/// Looks at this host again, and has it signed by this gateway's key and, where there is one, by the TPM.
async fn answer(
    nonce: [u8; 32],
    key: &SecretKey,
    answerer: Answerer,
    quoter: Option<Quoter>,
) -> anyhow::Result<ToController> {
    let attestation = answerer.answer(nonce, key).await?;
    let quote = match &quoter {
        Some(quoter) => quoter.quote(&attestation).await,
        None => None,
    };
    Ok(match quote {
        Some(quote) => ToController::AnswerWith { attestation, quote },
        None => ToController::Answer(attestation),
    })
}
