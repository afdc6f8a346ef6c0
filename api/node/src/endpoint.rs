//! QUIC endpoints that are known again after a restart (RFC 9000 §10.3): a peer whose link ended with the process is
//! told so by its next packet, rather than by silence.

use std::sync::Arc;

use horizon_api::key::SecretKey;
use quinn_proto::{
    EndpointConfig, HashedConnectionIdGenerator,
    crypto::{CryptoError, HmacKey},
};

/// Returns the settings of an endpoint. Connection ids and reset tokens come from the node's key.
#[must_use]
pub fn config(key: &SecretKey) -> EndpointConfig {
    let reset = blake3::derive_key("horizon 2026 stateless reset", &*key.seed());
    let ids = blake3::derive_key("horizon 2026 connection ids", &*key.seed());
    let ids = ids.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mut config = EndpointConfig::new(Arc::new(ResetKey(reset)));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)));
    config
}

struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(blake3::keyed_hash(&self.0, data).as_bytes());
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let expected = blake3::keyed_hash(&self.0, data);
        // `blake3::Hash` compares in constant time.
        let matches = <[u8; 32]>::try_from(signature).is_ok_and(|s| expected == blake3::Hash::from_bytes(s));
        if matches { Ok(()) } else { Err(CryptoError) }
    }
}
