//! The console's certificate: self-signed, made once. Its fingerprint is logged at
//! every start and printed with every sign-in link: who opens the link compares it with what the browser shows.

use std::{fs, io, path::Path, sync::Arc};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use horizon_node::durable;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use sha2::{Digest, Sha256};

const CERTIFICATE: &str = "console.crt";

/// Returns the TLS settings of the console, with the certificate of the data folder.
///
/// # Errors
/// When the files cannot be read, written or used.
pub fn server_config(data: &Path, host: &str) -> anyhow::Result<Arc<ServerConfig>> {
    let (certificate_path, key_path) = (data.join(CERTIFICATE), data.join("console.key"));
    if !certificate_path.exists() || !key_path.exists() {
        let names = vec![host.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).context("make the console's certificate")?;
        durable::write(&key_path, made.signing_key.serialized_der()).context("write the console's key")?;
        durable::write(&certificate_path, made.cert.der()).context("write the console's certificate")?;
    }
    let certificate =
        CertificateDer::from(fs::read(&certificate_path).context("read the console's certificate")?);
    let key = fs::read(&key_path).context("read the console's key")?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .context("use the console's certificate")?;
    // Programs that watch many kinds do so over one connection.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Returns the SHA-256 of the console's certificate, as browsers show it.
///
/// # Errors
/// When there is no certificate in the folder, or it cannot be read.
pub fn fingerprint(data: &Path) -> io::Result<String> {
    Ok(fingerprint_of(&fs::read(data.join(CERTIFICATE))?))
}

/// Returns the certificate of the console in PEM: it vouches for itself.
///
/// # Errors
/// When there is none yet.
pub fn pem(data: &Path) -> io::Result<String> {
    let der = fs::read(data.join(CERTIFICATE))?;
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    Ok(format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")))
}

fn fingerprint_of(certificate: &[u8]) -> String {
    let hash = Sha256::digest(certificate);
    hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_written_as_browsers_do() {
        let text = fingerprint_of(b"abc");

        assert!(text.starts_with("BA:78:16:BF:8F:01:CF:EA:"), "{text}");
        assert_eq!(text.len(), 95);
    }
}
