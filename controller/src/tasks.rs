//! The tasks without which the controller is not one: the end of any of them is the end of the process.

use std::{collections::BTreeMap, future::Future, time::Duration};

use tokio::task::{Id, JoinError, JoinSet};

/// Tasks with their names.
#[derive(Default)]
pub struct Tasks {
    running: JoinSet<()>,
    names: BTreeMap<Id, &'static str>,
}

impl Tasks {
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Waits until a task ends, and says which and why. Without tasks it waits for ever.
    pub async fn ended(&mut self) -> anyhow::Error {
        match self.running.join_next_with_id().await {
            Some(Ok((id, ()))) => anyhow::anyhow!("{} ended", self.name(id)),
            Some(Err(error)) => anyhow::anyhow!("{} broke: {}", self.name(error.id()), reason(error)),
            None => std::future::pending().await,
        }
    }

    /// Lets the tasks end by themselves, for as long as `patience`, then ends them.
    pub async fn finish(mut self, patience: Duration) {
        let finished = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, finished).await.is_err() {
            self.running.shutdown().await;
        }
    }

    fn name(&self, id: Id) -> &'static str {
        self.names.get(&id).copied().unwrap_or("a task")
    }
}

fn reason(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".into())
        }
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn task_that_ends_or_panics_is_told_by_name() {
        let mut tasks = Tasks::default();
        tasks.spawn("the waiter", std::future::pending());
        tasks.spawn("the console", async { panic!("a mistake") });

        let panicked = tasks.ended().await.to_string();
        tasks.spawn("a watch", async {});
        let ended = tasks.ended().await.to_string();

        assert_eq!((panicked.as_str(), ended.as_str()), ("the console broke: a mistake", "a watch ended"));
        tasks.finish(Duration::ZERO).await;
    }
}
