//! Reads what a TPM writes: numbers from the highest byte on, and bytes behind their length. To the end, or not at all.

/// The rest of what is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

/// It is shorter or longer than it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is cut off, or has more in it than it says")]
pub struct Malformed;

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// # Errors
    /// When so many bytes are not there.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// # Errors
    /// When so many bytes are not there.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.bytes(N)?.try_into().map_err(|_| Malformed)
    }

    /// # Errors
    /// When it is not there.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    /// # Errors
    /// When it is not there.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// # Errors
    /// When it is not there.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// # Errors
    /// When it is not there.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads bytes behind their length (`TPM2B`).
    ///
    /// # Errors
    /// When so many bytes are not there.
    pub fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.u16()?;
        self.bytes(count.into())
    }

    /// Reads a number of at most 32 bytes, such as a coordinate; leading zeros may be left out.
    ///
    /// # Errors
    /// When it is longer.
    pub fn coordinate(&mut self) -> Result<[u8; 32], Malformed> {
        let written = self.sized()?;
        let mut number = [0; 32];
        let start = number.len().checked_sub(written.len()).ok_or(Malformed)?;
        number[start..].copy_from_slice(written);
        Ok(number)
    }

    /// Returns what is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// # Errors
    /// When something is left.
    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_to_its_end_or_not_at_all() {
        let mut reader = Reader::new(&[1, 0, 2, 0, 3, 5, 6, 7]);

        assert_eq!((reader.u8(), reader.u16()), (Ok(1), Ok(2)));
        assert_eq!(reader.end(), Err(Malformed));
        assert_eq!(reader.sized(), Ok(&[5, 6, 7][..]));
        assert_eq!(reader.end(), Ok(()));
        assert_eq!(reader.u8(), Err(Malformed));
    }

    #[test]
    fn a_length_that_lies_is_malformed() {
        assert_eq!(Reader::new(&[0, 4, 1, 2, 3]).sized(), Err(Malformed));
        assert_eq!(Reader::new(&[[0, 33].as_slice(), &[0; 33]].concat()).coordinate(), Err(Malformed));
        assert_eq!(Reader::new(&[0, 1, 7]).coordinate().map(|number| number[31]), Ok(7));
    }
}
