//! Another key for this gateway: made here, announced by the link to the controller, and taken up step by step.

use horizon_api::{
    key::{PublicKey, SecretKey},
    wire::Refusal,
};
use horizon_link::Command;
use horizon_node::clock;
use tracing::{info, warn};

use super::EventLoop;
use crate::{keys::Keys, moment::moment};

impl EventLoop {
    /// Makes the key that is to follow, or changes when the one that is there is taken up.
    pub(super) fn rotate_key(&mut self, overlap_s: u32) -> Result<String, String> {
        let made =
            tokio::task::block_in_place(|| self.parts.key_files.make_next(&self.parts.keys, overlap_s));
        let keys = made.map_err(|error| format!("no other key is made: {error:#}"))?;
        let Some(next) = keys.next.as_ref().map(|next| next.key.public()) else {
            return Err("no other key is made".to_owned());
        };
        info!(key = %next, overlap_s, "another key is to follow this gateway's");
        self.set_keys(keys);
        self.turn_to_next_key();
        Ok(format!(
            "the key {next} is to follow {}: the controller tells devices of it, and it is taken up {}; `horizon-gateway status` shows when, or what it waits for",
            self.parts.keys.key.public(),
            if overlap_s == 0 { "as soon as it knows".to_owned() } else { format!("{overlap_s} s later") }
        ))
    }

    /// The controller tells devices of the next key.
    pub(super) fn next_key_known(&mut self, next: &PublicKey, known_s: u32) {
        let mut keys = self.parts.keys.clone();
        keys.handle_known(next, known_s, clock::unix_ms());
        if let Err(error) = self.parts.key_files.note(&keys) {
            warn!(reason = %format!("{error:#}"), "a restart has to ask when the next key is taken up");
        }
        if let Some(due_ms) = keys.due_ms().filter(|_| keys.due_ms() != self.parts.keys.due_ms()) {
            info!(key = %next.short(), at = %moment(due_ms), "the controller tells devices of the next key");
        }
        self.set_keys(keys);
        self.turn_to_next_key();
    }

    pub(super) fn next_key_refused(&mut self, refusal: Refusal) {
        warn!(reason = %refusal, "the next key is not taken up yet");
        let mut keys = self.parts.keys.clone();
        keys.handle_refused(refusal);
        self.set_keys(keys);
    }

    /// Answers links with the next key once devices know it; then the link to the controller is made with it.
    pub(super) fn turn_to_next_key(&mut self) {
        let mut keys = self.parts.keys.clone();
        if !keys.handle_time(clock::unix_ms()) {
            return;
        }
        if let Err(error) = self.answer_with(keys.answering()) {
            return warn!(reason = %format!("{error:#}"), "links are answered with the key before");
        }
        info!(key = %keys.answering().public().short(), "links are answered with the next key");
        self.set_keys(keys);
    }

    /// The controller let this gateway in with the next key: it is this gateway's.
    pub(super) fn take_up_key(&mut self) -> anyhow::Result<()> {
        let old = self.parts.keys.key.public();
        let was_answering = self.parts.keys.answering().public();
        let keys = tokio::task::block_in_place(|| self.parts.key_files.take_up(&self.parts.keys))?;
        info!(key = %keys.key.public(), old = %old.short(), "this gateway has another key");
        if was_answering == old {
            // Nobody told devices: they are to ask the controller.
            self.stop_shard("this gateway has another key");
        }
        self.set_keys(keys);
        self.serve_or_retry();
        Ok(())
    }

    fn answer_with(&self, key: &SecretKey) -> anyhow::Result<()> {
        let Some(shard) = &self.shard else { return Ok(()) };
        Ok(shard.handle.command(Command::Rekey(Box::new(SecretKey::from_seed(&key.seed()))))?)
    }

    fn set_keys(&mut self, keys: Keys) {
        self.parts.keys = keys.clone();
        self.parts.keys_told.send_replace(keys);
        self.beat();
    }
}
