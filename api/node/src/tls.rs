//! TLS of links: 1.3 only, raw ed25519 public keys both ways (RFC 7250), post-quantum key exchange first,
//! no resumption and no tickets (a resumed session would skip the key check), no early data.

use std::sync::Arc;

use horizon_api::key::{PublicKey, SecretKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key},
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
    },
    server::{
        AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};

use crate::{cipher, key_exchange};

/// Returns the settings of the end that is dialled. Any ed25519 key may shake hands: who it is, and what it may do,
/// is decided after the handshake from live state.
///
/// # Errors
/// When the library refuses the key.
pub fn server_config(key: &SecretKey, alpns: &[&[u8]]) -> Result<ServerConfig, Error> {
    let provider = Arc::new(provider());
    let resolver = AlwaysResolvesServerRawPublicKeys::new(certified_key(key, &provider)?);
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(AnyClientKey(provider.signature_verification_algorithms)))
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = alpns.iter().map(|alpn| alpn.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// Returns the settings of the end that dials. With `expected` only one of these keys is accepted; without, the caller
/// checks the key after the handshake (a controller's, by its delegation).
///
/// # Errors
/// When the library refuses the key.
pub fn client_config(
    key: &SecretKey,
    alpn: &[u8],
    expected: Option<Vec<PublicKey>>,
) -> Result<ClientConfig, Error> {
    client_config_of(provider(), key, alpn, expected)
}

/// As [`client_config`], with other cryptography than [`provider`]'s.
///
/// # Errors
/// When the library refuses the key, or the provider has nothing for TLS 1.3.
pub fn client_config_of(
    provider: CryptoProvider,
    key: &SecretKey,
    alpn: &[u8],
    expected: Option<Vec<PublicKey>>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(provider);
    let resolver = AlwaysResolvesClientRawPublicKeys::new(certified_key(key, &provider)?);
    let verifier = ServerKey { algorithms: provider.signature_verification_algorithms, expected };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// Returns the cryptography of links: cipher suites by what this CPU does in hardware, post-quantum key exchange first.
pub fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = cipher::suites(has_aes_instructions());
    provider.kx_groups = key_exchange::groups();
    provider
}

#[cfg(target_arch = "x86_64")]
fn has_aes_instructions() -> bool {
    std::is_x86_feature_detected!("aes")
}

#[cfg(target_arch = "aarch64")]
fn has_aes_instructions() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes_instructions() -> bool {
    false
}

fn certified_key(key: &SecretKey, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, Error> {
    let pkcs8 = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_pkcs8().to_vec()));
    let signing = provider.key_provider.load_private_key(pkcs8)?;
    let spki = CertificateDer::from(key.public().to_spki());
    Ok(Arc::new(CertifiedKey::new(vec![spki], signing)))
}

/// Reads the peer's key from what TLS calls its certificate, which is its SubjectPublicKeyInfo here.
fn key_of(certificate: &CertificateDer<'_>) -> Result<PublicKey, Error> {
    PublicKey::from_spki(certificate).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

fn verify_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let spki = SubjectPublicKeyInfoDer::from(certificate.as_ref());
    verify_tls13_signature_with_raw_key(message, &spki, signature, algorithms)
}

/// TLS 1.2 is not offered, so nobody asks.
fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::General("TLS 1.2 is not spoken here".into()))
}

#[derive(Debug)]
struct AnyClientKey(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyClientKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        key_of(end_entity).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct ServerKey {
    algorithms: WebPkiSupportedAlgorithms,
    expected: Option<Vec<PublicKey>>,
}

impl ServerCertVerifier for ServerKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = key_of(end_entity)?;
        match &self.expected {
            Some(expected) if !expected.contains(&key) => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
