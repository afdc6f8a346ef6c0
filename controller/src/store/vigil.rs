//! Notices when a thread of the store ends: without it the process would live on and answer nothing.

use std::sync::Arc;

use tokio::sync::Notify;

/// Waits for the end of any thread that holds one of its [`Candle`]s.
#[derive(Debug, Clone, Default)]
pub(super) struct Vigil(Arc<Notify>);

/// Held by a thread as long as it lives; a panic drops it too.
#[derive(Debug)]
pub(super) struct Candle(Arc<Notify>);

impl Vigil {
    pub(super) fn candle(&self) -> Candle {
        Candle(Arc::clone(&self.0))
    }

    pub(super) async fn ended(&self) {
        self.0.notified().await;
    }
}

impl Drop for Candle {
    fn drop(&mut self) {
        // Remembered until somebody waits.
        self.0.notify_one();
    }
}
