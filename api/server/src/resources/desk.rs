//! What all requests to the resource API share: its bounds.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{counters::DeviceCounts, lane::Lane, token::Tokens};

/// Watchers at once. Each costs a task and at most one batch of events.
const WATCHERS_MAX: usize = 1024;
/// Bytes of bodies in flight at once.
const BODY_BYTES_ALL_MAX: usize = 64 * 1024 * 1024;

/// Long lists at once that are written as a whole, such as YAML: each may take some hundred MiB.
const LONG_LISTS_MAX: usize = 4;
/// Lists at once that are written piece by piece. Each keeps the objects of its moment, whatever becomes of them.
const PIECED_LISTS_MAX: usize = 64;
/// How long a list may be on its way: time for 10,000 objects of 750 bytes at one Mbit/s.
const LIST_TIME_MAX: Duration = Duration::from_secs(60);

/// How long a token is remembered; one that ends is refused within this time, and its watches end within twice that.
const TOKEN_LIFE: Duration = Duration::from_secs(5);

/// How long a watch goes on while nobody answers whether its token is valid.
const SILENCE_MAX: Duration = Duration::from_secs(30);

pub(crate) struct Desk {
    pub(super) tokens: Tokens,
    pub(super) silence_max: Duration,
    pub(super) watchers: Arc<Semaphore>,
    /// One permit a byte.
    pub(super) body_bytes: Arc<Semaphore>,
    pub(super) long_lists: Lane,
    pub(super) pieced_lists: Lane,
    pub(super) device_counts: Arc<DeviceCounts>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            tokens: Tokens::new(TOKEN_LIFE),
            silence_max: SILENCE_MAX,
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
            body_bytes: Arc::new(Semaphore::new(BODY_BYTES_ALL_MAX)),
            long_lists: Lane::new(LONG_LISTS_MAX, LIST_TIME_MAX),
            pieced_lists: Lane::new(PIECED_LISTS_MAX, LIST_TIME_MAX),
            device_counts: Arc::default(),
        }
    }
}
