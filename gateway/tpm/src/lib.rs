//! A TPM 2.0, spoken to over its device or a socket, without any library of the host: one program runs on hosts with and
//! without a TPM.
//!
//! It does two things: it signs what the host was started with ([`Tpm::quote`]), and it keeps a secret so that no other
//! TPM opens it ([`Tpm::seal`]). `command` and `response` say which bytes go and come, `device` moves them.

mod command;
mod device;
mod failure;
mod response;
pub mod sealed;

use std::path::Path;

use horizon_api::tpm::{AttestationKey, Quote};
use zeroize::Zeroizing;

pub use self::failure::TpmError;
use self::{
    command::Hierarchy,
    device::Device,
    response::{Created, Response},
    sealed::Sealed,
};

/// A TPM that answers. It is given back, without anything of ours in it, when the value goes.
#[derive(Debug)]
pub struct Tpm(Device);

/// A register may change between two looks; a host that changes them all the time is not one to believe.
const QUOTE_TRIES: usize = 3;

impl Tpm {
    /// Opens a device such as `/dev/tpmrm0`, or the socket of a TPM in software.
    ///
    /// # Errors
    /// When it is not there, may not be opened, or is of another user.
    pub fn open(path: &Path) -> Result<Self, TpmError> {
        Device::open(path).map(Self)
    }

    /// Has the TPM sign its registers 0 to 7 together with the qualifying data, with a key that only this TPM has. The
    /// same seed gives the same key as long as the TPM lives.
    ///
    /// # Errors
    /// When the TPM refuses.
    pub fn quote(&mut self, seed: &[u8; 32], qualifying: &[u8; 32]) -> Result<Quote, TpmError> {
        self.with_primary(Hierarchy::Endorsement, &AttestationKey::template(seed), |tpm, key| {
            for _ in 0..QUOTE_TRIES {
                let before = tpm.ask(&command::read_pcrs())?.registers()?;
                let quoted = tpm.ask(&command::quote(key.handle, qualifying))?.quoted()?;
                let after = tpm.ask(&command::read_pcrs())?.registers()?;
                if before == after {
                    let (attest, signature) = quoted;
                    return Ok(Quote { key: key.public.clone(), attest, signature, pcrs: before });
                }
            }
            Err(TpmError::Restless)
        })
    }

    /// Has the TPM encrypt a secret so that only this TPM opens it.
    ///
    /// # Errors
    /// When the TPM refuses.
    pub fn seal(&mut self, secret: &[u8; 32]) -> Result<Sealed, TpmError> {
        self.with_primary(Hierarchy::Owner, command::STORAGE_KEY, |tpm, storage| {
            tpm.ask(&command::seal(storage.handle, secret))?.sealed()
        })
    }

    /// Opens what this TPM sealed.
    ///
    /// # Errors
    /// [`TpmError::Foreign`] when another TPM sealed it, or this one was cleared since.
    pub fn unseal(&mut self, sealed: &Sealed) -> Result<Zeroizing<[u8; 32]>, TpmError> {
        self.with_primary(Hierarchy::Owner, command::STORAGE_KEY, |tpm, storage| {
            let loaded = tpm.ask(&command::load(storage.handle, sealed)).map_err(TpmError::of_loading)?;
            let handle = loaded.handle()?;
            let opened = tpm.ask(&command::unseal(handle)).and_then(|response| response.secret());
            let flushed = tpm.flush(handle);
            flushed.and(opened)
        })
    }

    /// Makes a primary key for as long as it is needed: a device has room for three.
    fn with_primary<T>(
        &mut self,
        hierarchy: Hierarchy,
        template: &[u8],
        work: impl FnOnce(&mut Self, &Created) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let created = self.ask(&command::create_primary(hierarchy, template))?.created()?;
        let worked = work(self, &created);
        let flushed = self.flush(created.handle);
        worked.and_then(|done| flushed.map(|()| done))
    }

    fn flush(&mut self, handle: u32) -> Result<(), TpmError> {
        self.ask(&command::flush(handle)).map(drop)
    }

    fn ask(&mut self, command: &[u8]) -> Result<Response, TpmError> {
        device::patiently(|| Response::read(self.0.transmit(command)?))
    }
}
