//! What others ask of a shard: a bounded queue of commands, and beside it the order to stop, which never finds it full.

use std::{
    io,
    sync::{Arc, OnceLock, mpsc},
};

use crate::{Command, wake::Wake};

/// Commands that may wait for a turn of the loop: a turn takes a millisecond at most.
const COMMANDS_MAX: usize = 64;

/// What is to be done next.
pub(crate) enum Order {
    Do(Command),
    /// End all links and the thread, and tell the other ends why.
    Stop(String),
}

/// The end of those who ask.
pub(crate) struct Orders {
    commands: mpsc::SyncSender<Command>,
    stop: Arc<OnceLock<String>>,
    wake: Arc<Wake>,
}

/// The shard's end.
pub(crate) struct Inbox {
    commands: mpsc::Receiver<Command>,
    stop: Arc<OnceLock<String>>,
    is_stopping: bool,
}

pub(crate) fn orders(wake: Arc<Wake>) -> (Orders, Inbox) {
    let (sender, commands) = mpsc::sync_channel(COMMANDS_MAX);
    let stop = Arc::new(OnceLock::new());
    let inbox = Inbox { commands, stop: Arc::clone(&stop), is_stopping: false };
    (Orders { commands: sender, stop, wake }, inbox)
}

impl Orders {
    /// # Errors
    /// When the shard has ended, or does not keep up.
    pub(crate) fn command(&self, command: Command) -> io::Result<()> {
        self.commands
            .try_send(command)
            .map_err(|_| io::Error::other("the shard takes no commands: it ended or is overloaded"))?;
        self.wake.wake();
        Ok(())
    }

    pub(crate) fn stop(&self, reason: &str) {
        // Asked twice, the first reason is told.
        drop(self.stop.set(reason.to_owned()));
        self.wake.wake();
    }
}

impl Inbox {
    /// Returns what is to be done next: what was asked before the stop comes before it.
    pub(crate) fn next(&mut self) -> Option<Order> {
        let stop = self.stop.get();
        if let Ok(command) = self.commands.try_recv() {
            return Some(Order::Do(command));
        }
        let reason = stop.filter(|_| !self.is_stopping)?;
        self.is_stopping = true;
        Some(Order::Stop(reason.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Orders, Inbox) {
        orders(Arc::new(Wake::new().expect("an eventfd")))
    }

    #[test]
    fn an_order_to_stop_gets_past_a_full_queue_and_comes_once() {
        let (orders, mut inbox) = pair();
        while orders.command(Command::HangUp { reason: String::new() }).is_ok() {}

        orders.stop("the gateway stops");
        orders.stop("again");

        let queued = (0..COMMANDS_MAX).filter_map(|_| inbox.next());
        assert!(queued.into_iter().all(|order| matches!(order, Order::Do(Command::HangUp { .. }))));
        assert!(matches!(inbox.next(), Some(Order::Stop(reason)) if reason == "the gateway stops"));
        assert!(inbox.next().is_none());
    }

    #[test]
    fn nothing_is_to_be_done_until_somebody_asks() {
        let (orders, mut inbox) = pair();
        assert!(inbox.next().is_none());

        orders.command(Command::HangUp { reason: "bye".into() }).expect("taken");

        assert!(matches!(inbox.next(), Some(Order::Do(Command::HangUp { .. }))));
        assert!(inbox.next().is_none());
    }
}
