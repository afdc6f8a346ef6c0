//! A body: bounded in size, in time, and in what all of them take together.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use horizon_machinery::{
    refusal::{Reason, Refusal},
    status::{self, BODY_BYTES_MAX},
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tokio_stream::StreamExt;

use super::Desk;

const PATIENCE: Duration = Duration::from_secs(10);

/// A body that was read; as long as it is here, its bytes count.
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

/// Reads a body.
///
/// # Errors
/// 413 above 3 MiB, 429 when all bodies together are too much, 408 for one that comes too slowly, 400 for one that
/// breaks off.
pub(super) async fn receive(desk: &Desk, headers: &HeaderMap, body: Body) -> Result<Received, Refusal> {
    receive_within(PATIENCE, desk, headers, body).await
}

async fn receive_within(
    patience: Duration,
    desk: &Desk,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, Refusal> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > BODY_BYTES_MAX as u64) {
        return Err(status::body_too_large(BODY_BYTES_MAX));
    }
    timeout(patience, gather(desk, body)).await.unwrap_or_else(|_| {
        let message = "the body did not arrive in 10 s; send it again, with the Content-Length that it has";
        Err(Refusal::plain(408, Reason::Timeout, message))
    })
}

async fn gather(desk: &Desk, body: Body) -> Result<Received, Refusal> {
    let mut received = Received { bytes: vec![], room: None };
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Refusal::bad_request(format!("the body broke off: {error}")))?;
        if received.bytes.len() + piece.len() > BODY_BYTES_MAX {
            return Err(status::body_too_large(BODY_BYTES_MAX));
        }
        let bytes = u32::try_from(piece.len()).map_err(|_| status::body_too_large(BODY_BYTES_MAX))?;
        let room = std::sync::Arc::clone(&desk.body_bytes).try_acquire_many_owned(bytes);
        let room = room.map_err(|_| status::too_many_requests(1))?;
        match &mut received.room {
            Some(all) => all.merge(room),
            None => received.room = Some(room),
        }
        received.bytes.extend_from_slice(&piece);
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_arrive_gives_its_room_back() {
        let desk = Desk::default();
        let all = desk.body_bytes.available_permits();
        let (pieces, receiver) = mpsc::channel::<io::Result<&[u8]>>(1);
        pieces.send(Ok(b"{")).await.unwrap();

        let body = Body::from_stream(ReceiverStream::new(receiver));
        let refused = receive_within(Duration::from_millis(20), &desk, &HeaderMap::new(), body).await;

        assert_eq!(refused.err().map(|refusal| refusal.code), Some(408));
        assert_eq!(desk.body_bytes.available_permits(), all);
    }

    #[tokio::test]
    async fn a_body_holds_its_room_as_long_as_it_is_here() {
        let desk = Desk::default();
        let all = desk.body_bytes.available_permits();

        let received = receive(&desk, &HeaderMap::new(), Body::from("four")).await.ok().unwrap();

        assert_eq!((received.bytes.as_slice(), desk.body_bytes.available_permits()), (&b"four"[..], all - 4));
        drop(received);
        assert_eq!(desk.body_bytes.available_permits(), all);
    }
}
