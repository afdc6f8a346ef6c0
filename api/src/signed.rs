//! A document with its signature, kept as the bytes that were signed.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    cbor::{self, DecodeError},
    key::{PublicKey, SecretKey},
};

/// A type that is signed under a domain of its own, so that no signature serves for another type.
pub trait Document: Serialize + DeserializeOwned {
    /// The bytes that precede the message, ending in NUL.
    const DOMAIN: &'static [u8];
}

/// Signed bytes as they travel and as they are stored. What they say is read after the check only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
    #[serde(with = "serde_bytes")]
    signature: Vec<u8>,
}

/// Why a signed document is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SignedError {
    #[error("the signature is not by {0}")]
    Signature(PublicKey),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Signed {
    /// Signs a document; its bytes are encoded here and never again.
    pub fn new<D: Document>(document: &D, key: &SecretKey) -> Self {
        let payload = cbor::encode(document);
        let signature = key.sign(D::DOMAIN, &payload).to_vec();
        Self { payload, signature }
    }

    /// Returns the document if `signer` signed exactly these bytes as this type.
    ///
    /// # Errors
    /// When the signature is not the signer's or the bytes are not the type's.
    pub fn verify<D: Document>(&self, signer: &PublicKey) -> Result<D, SignedError> {
        let signed = <&[u8; 64]>::try_from(self.signature.as_slice())
            .is_ok_and(|signature| signer.verify(D::DOMAIN, &self.payload, signature));
        if !signed {
            return Err(SignedError::Signature(*signer));
        }
        Ok(cbor::decode(&self.payload)?)
    }

    /// Returns the BLAKE3 of the signed bytes, which names the document.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.payload).as_bytes()
    }

    /// Reads a document that this process signed itself and kept: nobody else's word is in it.
    ///
    /// # Errors
    /// When the bytes are not the type's.
    pub fn read_own<D: Document>(&self) -> Result<D, DecodeError> {
        self.peek()
    }

    /// Reads the document without believing it: only to learn which key it claims to be from.
    pub(crate) fn peek<D: Document>(&self) -> Result<D, DecodeError> {
        cbor::decode(&self.payload)
    }
}
