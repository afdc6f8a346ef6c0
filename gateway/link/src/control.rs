//! The control stream of one link, over quinn-proto's streams: whole messages in, whole messages out.

use horizon_api::wire::frame::{self, FrameError, FrameReader};
use quinn_proto::{Connection, Dir, ReadError, StreamId, WriteError};
use serde::{Serialize, de::DeserializeOwned};

/// Bytes that may wait to be sent: a device that does not read is closed, not buffered for.
const OUTBOX_BYTES_MAX: usize = 1 << 20;

#[derive(Default)]
pub(crate) struct ControlStream {
    id: Option<StreamId>,
    reader: FrameReader,
    outbox: Vec<u8>,
    /// The other end has said its last word.
    is_ended: bool,
}

/// Why a control stream cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("the other end sent what is no message of this protocol: {0}")]
    Frame(#[from] FrameError),
    #[error("the other end ended the control stream")]
    Ended,
    #[error("the other end does not read its control stream")]
    Stuck,
}

impl ControlStream {
    /// Opens the stream: whoever dials does, when the handshake is done; before, the other end gives no credit.
    pub(crate) fn open(&mut self, connection: &mut Connection) {
        self.id = connection.streams().open(Dir::Bi);
    }

    /// Reads what has come and gives back the next whole message.
    pub(crate) fn next<T: DeserializeOwned>(
        &mut self,
        connection: &mut Connection,
    ) -> Result<Option<T>, ControlError> {
        if self.id.is_none() {
            self.id = connection.streams().accept(Dir::Bi);
        }
        let Some(id) = self.id else { return Ok(None) };
        if let Some(message) = self.reader.next_frame(frame::BYTES_MAX_UNACCEPTED)? {
            return Ok(Some(message));
        }
        self.read(connection, id);
        match self.reader.next_frame(frame::BYTES_MAX_UNACCEPTED)? {
            None if self.is_ended => Err(ControlError::Ended),
            message => Ok(message),
        }
    }

    fn read(&mut self, connection: &mut Connection, id: StreamId) {
        let mut stream = connection.recv_stream(id);
        // The stream is not there yet, or gone: the connection's own events say which.
        let Ok(mut chunks) = stream.read(true) else { return };
        let mut taken = 0;
        while taken < frame::BYTES_MAX_UNACCEPTED {
            match chunks.next(frame::BYTES_MAX_UNACCEPTED - taken) {
                Ok(Some(chunk)) => {
                    taken += chunk.bytes.len();
                    self.reader.push(&chunk.bytes);
                }
                Ok(None) | Err(ReadError::Reset(_)) => {
                    self.is_ended = true;
                    break;
                }
                Err(ReadError::Blocked) => break,
            }
        }
        let _ = chunks.finalize();
    }

    pub(crate) fn send<T: Serialize>(
        &mut self,
        connection: &mut Connection,
        message: &T,
    ) -> Result<(), ControlError> {
        self.outbox.extend_from_slice(&frame::encode(message));
        if self.outbox.len() > OUTBOX_BYTES_MAX {
            return Err(ControlError::Stuck);
        }
        self.flush(connection)
    }

    /// Sends what waits, as far as flow control lets it.
    pub(crate) fn flush(&mut self, connection: &mut Connection) -> Result<(), ControlError> {
        let Some(id) = self.id else { return Ok(()) };
        while !self.outbox.is_empty() {
            match connection.send_stream(id).write(&self.outbox) {
                Ok(written) => drop(self.outbox.drain(..written)),
                Err(WriteError::Blocked) => return Ok(()),
                Err(WriteError::Stopped(_) | WriteError::ClosedStream) => return Err(ControlError::Ended),
            }
        }
        Ok(())
    }
}
