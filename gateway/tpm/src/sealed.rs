//! A secret as a TPM gave it back, encrypted for itself.

use serde::{Deserialize, Serialize};

/// Both halves are needed, and neither says anything of the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    #[serde(with = "serde_bytes")]
    pub(crate) private: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub(crate) public: Vec<u8>,
}
