//! The device or socket of a TPM: one command goes, one answer comes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::{fs::FileTypeExt, net::UnixStream},
    path::Path,
    thread,
    time::Duration,
};

use zeroize::Zeroizing;

use crate::failure::TpmError;

/// What moves the bytes.
#[derive(Debug)]
pub(crate) enum Device {
    /// The kernel's: a read gives one whole answer.
    File(File),
    /// Of a TPM in software, such as swtpm: the answer says in its head how long it is.
    Socket(UnixStream),
}

/// No answer is longer (`TPM2_MAX_RESPONSE_SIZE` of all that are known).
const ANSWER_BYTES_MAX: usize = 4096;
/// Some make a key in seconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// A TPM that is busy says so, and is asked again.
const TRIES: u32 = 6;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

impl Device {
    pub(crate) fn open(path: &Path) -> Result<Self, TpmError> {
        let fail = |reason: io::Error| {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "the kinds of input and output errors are open"
            )]
            match reason.kind() {
                ErrorKind::NotFound => TpmError::Missing(path.to_owned()),
                ErrorKind::PermissionDenied => TpmError::NoAccess(path.to_owned()),
                _ => TpmError::Unusable { path: path.to_owned(), reason },
            }
        };
        let kind = fs::metadata(path).map_err(fail)?.file_type();
        if kind.is_socket() {
            let stream = UnixStream::connect(path).map_err(fail)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Self::Socket(stream))
        } else if kind.is_char_device() {
            OpenOptions::new().read(true).write(true).open(path).map(Self::File).map_err(fail)
        } else {
            Err(fail(io::Error::other("it is neither a device nor a socket")))
        }
    }

    /// The answer may hold a secret.
    pub(crate) fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let mut answer = Zeroizing::new(vec![0; ANSWER_BYTES_MAX]);
        let count = match self {
            Self::File(file) => {
                // The kernel takes a command in one write and gives its answer in one read.
                let written = file.write(command)?;
                if written != command.len() {
                    return Err(io::Error::from(ErrorKind::WriteZero).into());
                }
                file.read(&mut answer)?
            }
            Self::Socket(stream) => {
                stream.write_all(command)?;
                stream.read_exact(&mut answer[..10])?;
                let size = answer[2..6].iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
                let rest = answer.get_mut(10..size).ok_or(ErrorKind::InvalidData).map_err(io::Error::from)?;
                stream.read_exact(rest)?;
                size
            }
        };
        answer.truncate(count);
        Ok(answer)
    }
}

/// Asks until the TPM is not busy.
pub(crate) fn patiently<T>(mut ask: impl FnMut() -> Result<T, TpmError>) -> Result<T, TpmError> {
    for turn in 1..TRIES {
        match ask() {
            Err(TpmError::Busy) => thread::sleep(BETWEEN_TRIES * turn),
            answer => return answer,
        }
    }
    ask()
}
