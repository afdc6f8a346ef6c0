//! Answers as values (TPM 2.0 Library, Part 3). Pure.

use horizon_api::tpm::{
    PCR_COUNT, PCR_SELECT, SHA256,
    reader::{Malformed, Reader},
};
use zeroize::Zeroizing;

use crate::{failure::TpmError, sealed::Sealed};

/// The body of an answer that is no refusal. It may hold a secret.
#[derive(Debug)]
pub(crate) struct Response {
    body: Zeroizing<Vec<u8>>,
    has_session: bool,
}

/// A key that was made.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) handle: u32,
    pub(crate) public: Vec<u8>,
}

impl Response {
    /// Reads the head of an answer.
    pub(crate) fn read(bytes: Zeroizing<Vec<u8>>) -> Result<Self, TpmError> {
        let mut reader = Reader::new(&bytes);
        let (tag, size, code) = (reader.u16()?, reader.u32()?, reader.u32()?);
        if usize::try_from(size) != Ok(bytes.len()) {
            return Err(Malformed.into());
        }
        if code != 0 {
            return Err(TpmError::of_code(code));
        }
        Ok(Self { body: Zeroizing::new(bytes[10..].to_vec()), has_session: tag == 0x8002 })
    }

    pub(crate) fn created(&self) -> Result<Created, TpmError> {
        let mut reader = Reader::new(&self.body);
        let handle = reader.u32()?;
        let mut parameters = self.parameters(reader)?;
        // How it was made, and a ticket that says so, follow.
        Ok(Created { handle, public: parameters.sized()?.to_vec() })
    }

    pub(crate) fn handle(&self) -> Result<u32, TpmError> {
        Ok(Reader::new(&self.body).u32()?)
    }

    /// Returns the registers of a quote, one after the other. A TPM without the bank of SHA-256 has none.
    pub(crate) fn registers(&self) -> Result<Vec<u8>, TpmError> {
        let mut reader = Reader::new(&self.body);
        let _updates = reader.u32()?;
        let selection = (reader.u32()?, reader.u16()?, reader.u8()?, reader.array::<3>()?);
        if selection != (1, SHA256, 3, PCR_SELECT) || reader.u32()? != u32::try_from(PCR_COUNT).unwrap_or(0) {
            return Err(TpmError::NoBank);
        }
        let mut registers = Vec::new();
        for _ in 0..PCR_COUNT {
            registers.extend(reader.sized()?);
        }
        reader.end()?;
        Ok(registers)
    }

    /// Returns what was signed, and the signature.
    pub(crate) fn quoted(&self) -> Result<(Vec<u8>, Vec<u8>), TpmError> {
        let mut parameters = self.parameters(Reader::new(&self.body))?;
        let attest = parameters.sized()?.to_vec();
        Ok((attest, parameters.rest().to_vec()))
    }

    pub(crate) fn sealed(&self) -> Result<Sealed, TpmError> {
        let mut parameters = self.parameters(Reader::new(&self.body))?;
        let (private, public) = (parameters.sized()?.to_vec(), parameters.sized()?.to_vec());
        Ok(Sealed { private, public })
    }

    pub(crate) fn secret(&self) -> Result<Zeroizing<[u8; 32]>, TpmError> {
        let mut parameters = self.parameters(Reader::new(&self.body))?;
        let secret = parameters.sized()?.try_into().map_err(|_| Malformed)?;
        parameters.end()?;
        Ok(Zeroizing::new(secret))
    }

    /// Behind the handles: with a session, the parameters have a length of their own.
    fn parameters<'a>(&self, mut reader: Reader<'a>) -> Result<Reader<'a>, TpmError> {
        if !self.has_session {
            return Ok(reader);
        }
        let count = usize::try_from(reader.u32()?).map_err(|_| Malformed)?;
        Ok(Reader::new(reader.bytes(count)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Response, TpmError> {
        Response::read(Zeroizing::new(bytes.to_vec()))
    }

    #[test]
    fn a_refusal_and_an_answer_of_another_length_are_no_answers() {
        assert!(matches!(read(&[0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1]), Err(TpmError::Refused(0x101))));
        assert!(matches!(read(&[0x80, 1, 0, 0, 0, 11, 0, 0, 0, 0]), Err(TpmError::Malformed(_))));
        assert!(matches!(read(&[0x80, 1, 0, 0]), Err(TpmError::Malformed(_))));
    }

    #[test]
    fn parameters_end_where_the_session_begins() {
        let head = [0x80, 2, 0, 0, 0, 53, 0, 0, 0, 0];
        let secret = [&[0, 0, 0, 34, 0, 32][..], &[7; 32], &[0; 5]].concat();

        let response = read(&[&head[..], &secret].concat()).expect("an answer");

        assert_eq!(*response.secret().expect("a secret"), [7; 32]);
        assert!(response.created().is_err() && response.quoted().is_ok_and(|(_, rest)| rest.is_empty()));
    }

    #[test]
    fn a_tpm_that_selects_no_register_has_no_bank() {
        let none = [
            &[0x80, 1, 0, 0, 0, 28, 0, 0, 0, 0][..],
            &[0, 0, 0, 9],
            &[0, 0, 0, 1, 0, 11, 3, 0, 0, 0],
            &[0; 4],
        ];

        assert!(matches!(read(&none.concat()).and_then(|answer| answer.registers()), Err(TpmError::NoBank)));
    }
}
