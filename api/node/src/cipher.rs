//! Which cipher suite protects a connection.
//!
//! rustls tells it to its caller, quinn-proto does not. As with key exchanges, the suites are wrapped: each notes its
//! name for the thread that makes keys of it. Of one handshake the last note counts: QUIC's very first packets are
//! protected by AES-128, whatever is agreed then (RFC 9001 §5.2).

use std::{cell::Cell, sync::LazyLock};

use rustls::{
    CipherSuite, SupportedCipherSuite, Tls13CipherSuite,
    crypto::{
        aws_lc_rs::cipher_suite::{
            TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
        },
        cipher::{AeadKey, Iv},
    },
    quic::{Algorithm, HeaderProtectionKey, PacketKey},
};

thread_local! {
    static LAST: Cell<Option<CipherSuite>> = const { Cell::new(None) };
}

/// Takes the note of the last suite that this thread made keys of.
pub(crate) fn take_last() -> Option<String> {
    LAST.take().map(|suite| format!("{suite:?}"))
}

/// Returns the suites of a link, by what the CPU does in hardware. AES-128 comes before AES-256, which costs up to a
/// seventh more; it is always there, for those first packets.
pub(crate) fn suites(has_aes: bool) -> Vec<SupportedCipherSuite> {
    static SUITES: LazyLock<[Tls13CipherSuite; 3]> = LazyLock::new(|| {
        [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256]
            .map(|suite| noted(suite.tls13().expect("it is one of TLS 1.3")))
    });
    let [aes_128, aes_256, chacha] = LazyLock::force(&SUITES);
    let order = if has_aes { vec![aes_128, aes_256, chacha] } else { vec![chacha, aes_128] };
    order.into_iter().map(SupportedCipherSuite::Tls13).collect()
}

fn noted(suite: &'static Tls13CipherSuite) -> Tls13CipherSuite {
    let algorithm = suite.quic.expect("aws-lc-rs has QUIC for each suite of TLS 1.3");
    let noted: &'static Noted = Box::leak(Box::new(Noted { algorithm, suite: suite.common.suite }));
    let common = rustls::crypto::CipherSuiteCommon { ..suite.common };
    Tls13CipherSuite { common, quic: Some(noted), ..*suite }
}

struct Noted {
    algorithm: &'static dyn Algorithm,
    suite: CipherSuite,
}

impl Algorithm for Noted {
    fn packet_key(&self, key: AeadKey, iv: Iv) -> Box<dyn PacketKey> {
        self.algorithm.packet_key(key, iv)
    }

    /// These are made in handshakes only, not when keys are updated.
    fn header_protection_key(&self, key: AeadKey) -> Box<dyn HeaderProtectionKey> {
        LAST.set(Some(self.suite));
        self.algorithm.header_protection_key(key)
    }

    fn aead_key_len(&self) -> usize {
        self.algorithm.aead_key_len()
    }
}
