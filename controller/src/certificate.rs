//! The console's certificate: self-signed, made once. Browsers are told its fingerprint by the operator.

use std::{fs, path::Path, sync::Arc};

use anyhow::Context;
use horizon_node::durable;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// Returns the TLS settings of the console, with the certificate of the data folder.
///
/// # Errors
/// When the files cannot be read, written or used.
pub fn server_config(data: &Path, host: &str) -> anyhow::Result<Arc<ServerConfig>> {
    let (certificate_path, key_path) = (data.join("console.crt"), data.join("console.key"));
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
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
