//! Another key for this device: proved to the controller beside the one before, granted, and dialled with at once.

use std::sync::Arc;

use horizon_api::key::SecretKey;
use horizon_link::Command;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{Event, EventLoop, Reply, moment};
use crate::{account::sealing::SealIdentity, controller, disk, socket::not_signed_in, state::Problem};

/// What a rotation needs of the loop.
pub(super) struct Rotation {
    key: Arc<SecretKey>,
    next: SecretKey,
    seal: Arc<SealIdentity>,
    home: disk::Home,
    sign_in: u64,
    events: mpsc::Sender<Event>,
}

impl Rotation {
    /// Asks the controller. Where an answer was lost, the next key is known there already.
    pub(super) fn begin(self, reply: Reply) {
        let Self { key, next, seal, home, sign_in, events } = self;
        let word = seal.of(&next).word();
        tokio::spawn(async move {
            let outcome = match controller::refresh(&next, word, &home).await {
                Ok(account) => Ok(account),
                Err(_) => controller::rotate(&key, &next, &home).await,
            };
            drop(
                events.send(Event::Rotated { sign_in, next: next.into(), outcome, reply: Some(reply) }).await,
            );
        });
    }
}

impl EventLoop {
    /// Makes the next key, on disk before anybody hears of it.
    pub(super) fn rotate_key(&self) -> anyhow::Result<Rotation> {
        let home = self.account.as_ref().map(|account| account.stored().home()).ok_or_else(not_signed_in)?;
        Ok(Rotation {
            key: Arc::clone(&self.parts.key),
            next: self.parts.files.next_key()?,
            seal: Arc::clone(&self.parts.seal),
            home,
            sign_in: self.grants.sign_in(),
            events: self.parts.events.clone(),
        })
    }

    /// Takes the next key up: grant and key on disk, then the link is made with it. The link that is there carries
    /// packets until then.
    pub(super) fn rotated(
        &mut self,
        sign_in: u64,
        next: SecretKey,
        outcome: anyhow::Result<disk::Account>,
    ) -> anyhow::Result<()> {
        self.grants.check(sign_in)?;
        let account = self.checked(outcome?, &next.public())?;
        self.parts.files.store_rotated(account.stored())?;
        info!(key = %next.public(), "this device has another key");
        if let Some(link) = &mut self.link {
            link.is_replaced = true;
            if let Err(error) =
                link.handle.command(Command::Rekey(Box::new(SecretKey::from_seed(&next.seed()))))
            {
                warn!(%error, "the link keeps the key before until it is made anew");
            }
        }
        self.parts.seal = Arc::new(self.parts.seal.of(&next));
        self.parts.key = Arc::new(next);
        self.grants.begin_sign_in();
        self.take_account(account);
        // Cards, where packets are sealed, come with the next grant.
        self.grants.hurry();
        self.machine.handle_carrier_lost(Problem::new("this device has another key", ""), moment());
        Ok(())
    }
}
