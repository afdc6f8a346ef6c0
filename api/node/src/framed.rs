//! A control stream: typed messages over a QUIC stream, with a limit on what the other end may send.

use std::time::Duration;

use horizon_api::wire::frame::{self, FrameError, PREFIX_BYTES};
use quinn::{Connection, RecvStream, SendStream};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;

/// Why a message did not arrive, here or there.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    #[error("the other end closed the link{0}")]
    Closed(String),
    #[error("the other end sent nothing for {0:?}")]
    Silent(Duration),
    #[error("the other end took nothing for {0:?}")]
    Unread(Duration),
    #[error("the other end sent what is no message of this protocol")]
    Frame(#[from] FrameError),
}

/// A peer that takes not a byte for so long is not there to read; the idle time of a link is the same.
const UNREAD_MAX: Duration = Duration::from_secs(15);

/// The sending half.
#[derive(Debug)]
pub struct Sender(SendStream);

/// The receiving half.
#[derive(Debug)]
pub struct Receiver {
    stream: RecvStream,
    bytes_max: usize,
}

/// Opens the control stream: whoever dials does. It exists for the other end with the first message.
///
/// # Errors
/// When the connection is gone.
pub async fn open(connection: &Connection) -> Result<(Sender, Receiver), ReceiveError> {
    let (send, recv) = connection.open_bi().await.map_err(|e| closed(&e))?;
    Ok((Sender(send), Receiver { stream: recv, bytes_max: frame::BYTES_MAX_UNACCEPTED }))
}

/// Waits for the control stream of whoever dialled.
///
/// # Errors
/// When the connection is gone, or nothing came in time.
pub async fn accept(connection: &Connection, patience: Duration) -> Result<(Sender, Receiver), ReceiveError> {
    let accepted = tokio::time::timeout(patience, connection.accept_bi()).await;
    let (send, recv) = accepted.map_err(|_| ReceiveError::Silent(patience))?.map_err(|e| closed(&e))?;
    Ok((Sender(send), Receiver { stream: recv, bytes_max: frame::BYTES_MAX_UNACCEPTED }))
}

impl Sender {
    /// Hands a message to the link; a long one as fast as the other end takes it.
    ///
    /// # Errors
    /// When the link is gone, or the other end takes nothing for as long as would make a link dead.
    pub async fn send<T: Serialize + Sync>(&mut self, message: &T) -> Result<(), ReceiveError> {
        let bytes = frame::encode(message);
        let mut left = bytes.as_slice();
        while !left.is_empty() {
            // Acknowledgements alone keep a link alive, so only progress counts.
            let written = tokio::time::timeout(UNREAD_MAX, self.0.write(left)).await;
            let written = written.map_err(|_| ReceiveError::Unread(UNREAD_MAX))?.map_err(|e| closed(&e))?;
            left = left.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends what is left and says that nothing follows.
    pub async fn finish(&mut self) {
        if self.0.finish().is_ok() {
            drop(tokio::time::timeout(Duration::from_secs(2), self.0.stopped()).await);
        }
    }
}

impl Receiver {
    /// The other end is believed: longer frames may come.
    pub fn accept_long_frames(&mut self) {
        self.bytes_max = frame::BYTES_MAX;
    }

    /// Waits for the next message. Not safe to cancel: a message half read is lost.
    ///
    /// # Errors
    /// When the link is gone or the bytes are not a `T`.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, ReceiveError> {
        let mut prefix = [0; PREFIX_BYTES];
        self.stream.read_exact(&mut prefix).await.map_err(|e| closed(&e))?;
        let mut body = vec![0; frame::body_bytes(prefix, self.bytes_max)?];
        self.stream.read_exact(&mut body).await.map_err(|e| closed(&e))?;
        Ok(horizon_api::cbor::decode(&body).map_err(FrameError::from)?)
    }

    /// Waits for the next message for so long.
    ///
    /// # Errors
    /// As [`Receiver::receive`], and [`ReceiveError::Silent`].
    pub async fn receive_within<T: DeserializeOwned>(
        &mut self,
        patience: Duration,
    ) -> Result<T, ReceiveError> {
        tokio::time::timeout(patience, self.receive()).await.map_err(|_| ReceiveError::Silent(patience))?
    }
}

/// Messages that were read ahead, in order; the last may be why there are no more.
pub type Inbox<T> = mpsc::Receiver<Result<T, ReceiveError>>;

/// Messages that may wait in an [`Inbox`]: each is short but the sections of an assignment, which are asked for.
const INBOX_MAX: usize = 16;

/// Reads ahead in a task of its own, because receiving cannot be cancelled without losing bytes. The task ends with
/// the stream, or when the inbox is let go of.
pub fn read_ahead<T: DeserializeOwned + Send + 'static>(mut receiver: Receiver) -> Inbox<T> {
    let (sender, inbox) = mpsc::channel(INBOX_MAX);
    tokio::spawn(async move {
        loop {
            let received = tokio::select! {
                received = receiver.receive() => received,
                () = sender.closed() => return,
            };
            let is_end = received.is_err();
            if sender.send(received).await.is_err() || is_end {
                return;
            }
        }
    });
    inbox
}

fn closed(error: &dyn std::error::Error) -> ReceiveError {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        text = format!(": {error}");
        cause = error.source();
    }
    ReceiveError::Closed(text)
}
