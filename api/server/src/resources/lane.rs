//! Long answers on their way to their readers: so many at once, each for so long. What an answer is made of stays in
//! memory until its last piece is handed over, and a reader may be as slow as they like.

use std::{io, iter, sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use horizon_machinery::{refusal::Refusal, status};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

/// After how many seconds one answer too many may be asked for again.
const RETRY_AFTER_S: u32 = 2;

#[derive(Clone)]
pub(super) struct Lane {
    places: Arc<Semaphore>,
    time_max: Duration,
}

/// Somebody's place in a lane.
pub(super) struct Place {
    permit: OwnedSemaphorePermit,
    time_max: Duration,
}

impl Lane {
    pub(super) fn new(answers_max: usize, time_max: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(answers_max)), time_max }
    }

    /// Takes a place in the lane.
    ///
    /// # Errors
    /// 429 when all are taken.
    pub(super) fn enter(&self) -> Result<Place, Refusal> {
        let permit = Arc::clone(&self.places).try_acquire_owned();
        let permit = permit.map_err(|_| status::too_many_requests(RETRY_AFTER_S))?;
        Ok(Place { permit, time_max: self.time_max })
    }
}

impl Place {
    /// Returns pieces as a body that breaks off when its time is over: the place is free then, and so is what the
    /// pieces are made of.
    pub(super) fn send(self, pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
        let Self { permit, time_max } = self;
        let (sender, receiver) = mpsc::channel(1);
        let (whole, mut is_whole) = oneshot::channel();
        tokio::spawn(async move {
            if timeout(time_max, hand_over(pieces, &sender)).await.is_ok() {
                // Nobody hears it whose reader is gone.
                let _ = whole.send(());
            }
            drop((sender, permit));
        });
        // Without it the end of what was sent would pass for the end of the answer.
        let end = iter::once_with(move || {
            let why = format!("the answer was not read within {} s", time_max.as_secs());
            is_whole.try_recv().err().map(|_| Err(io::Error::new(io::ErrorKind::TimedOut, why)))
        });
        Body::from_stream(ReceiverStream::new(receiver).map(Ok).chain(tokio_stream::iter(end.flatten())))
    }
}

async fn hand_over(mut pieces: impl Iterator<Item = Bytes>, to: &mpsc::Sender<Bytes>) {
    while let Ok(place) = to.reserve().await {
        let Some(piece) = pieces.next() else { return };
        place.send(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces of something that is in memory as long as they are.
    struct Held {
        _held: Arc<()>,
        left: usize,
    }

    impl Iterator for Held {
        type Item = Bytes;

        fn next(&mut self) -> Option<Bytes> {
            self.left = self.left.checked_sub(1)?;
            Some(Bytes::from_static(b"piece"))
        }
    }

    #[tokio::test]
    async fn an_answer_is_whole_or_breaks_off_and_its_place_is_free_either_way() {
        let lane = |time_max| Lane::new(1, time_max);
        let held = Arc::new(());
        let pieces = || Held { _held: Arc::clone(&held), left: 9 };
        let read = |body| axum::body::to_bytes(body, usize::MAX);

        let quick = lane(Duration::from_secs(60));
        let body = quick.enter().unwrap().send(pieces());
        assert_eq!(quick.enter().err().map(|refusal| refusal.code), Some(429));
        assert_eq!(read(body).await.unwrap().len(), 9 * 5);

        drop(Arc::clone(&quick.places).acquire_owned().await.unwrap());
        let slow = lane(Duration::from_millis(10));
        let unread = slow.enter().unwrap().send(pieces());
        drop(Arc::clone(&slow.places).acquire_owned().await.unwrap());
        assert_eq!(Arc::strong_count(&held), 1, "the reader still holds what it does not read");
        assert!(read(unread).await.is_err());

        drop(quick.enter().unwrap().send(pieces()));
        drop(Arc::clone(&quick.places).acquire_owned().await.unwrap());
    }
}
