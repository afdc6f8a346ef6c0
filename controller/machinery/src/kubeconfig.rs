//! The file with which `kubectl` finds the controller and signs in (Kubernetes, "Organizing Cluster Access Using
//! kubeconfig Files").

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::negotiate::Encoding;

/// What goes into the file.
#[derive(Clone, Copy)]
pub struct Kubeconfig<'a> {
    /// What the cluster, the user and the context are called, such as `horizon`.
    pub name: &'a str,
    /// Where the controller listens, such as `https://127.0.0.1:7443`.
    pub server: &'a str,
    /// The certificates that may vouch for it, in PEM.
    pub authority_pem: &'a str,
    /// The bearer token.
    pub token: &'a str,
    /// The namespace that commands are about if they do not say.
    pub namespace: &'a str,
}

/// Why there is no file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKubeconfig {
    #[error(
        "`{0}` is no address of a controller: it must begin with https://, or the token could be read on the way"
    )]
    Server(String),
    #[error("the authority is no PEM: it must hold BEGIN CERTIFICATE")]
    Authority,
    #[error("the authority holds a private key, which the file would give away: leave only its certificates")]
    PrivateKey,
    #[error("the token must be one word of visible ASCII letters")]
    Token,
}

impl Kubeconfig<'_> {
    /// Returns the file as YAML.
    ///
    /// # Errors
    /// When it would not work, or would give the token away.
    pub fn yaml(&self) -> Result<Vec<u8>, BadKubeconfig> {
        let Self { name, server, authority_pem, token, namespace } = *self;
        if server.strip_prefix("https://").is_none_or(str::is_empty) {
            return Err(BadKubeconfig::Server(server.to_owned()));
        }
        if !authority_pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(BadKubeconfig::Authority);
        }
        if authority_pem.contains("PRIVATE KEY") {
            return Err(BadKubeconfig::PrivateKey);
        }
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadKubeconfig::Token);
        }
        let authority = STANDARD.encode(authority_pem);
        let document = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": name, "cluster": { "server": server, "certificate-authority-data": authority } }],
            "users": [{ "name": name, "user": { "token": token } }],
            "contexts": [{ "name": name, "context": { "cluster": name, "user": name, "namespace": namespace } }],
            "current-context": name,
            "preferences": {},
        });
        Ok(Encoding::Yaml.write(&document, false))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const GOOD: Kubeconfig<'_> = Kubeconfig {
        name: "horizon",
        server: "https://127.0.0.1:7443",
        authority_pem: "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n",
        token: "hzn_token",
        namespace: "default",
    };

    #[test]
    fn a_file_names_server_authority_and_token() {
        let file: Value = serde_yaml::from_slice(&GOOD.yaml().unwrap()).unwrap();

        let cluster = &file["clusters"][0]["cluster"];
        assert_eq!(cluster["server"], GOOD.server);
        let authority = STANDARD.decode(cluster["certificate-authority-data"].as_str().unwrap()).unwrap();
        assert_eq!(authority, GOOD.authority_pem.as_bytes());
        assert_eq!(file["users"][0]["user"]["token"], "hzn_token");
        assert_eq!(
            (&file["current-context"], &file["contexts"][0]["context"]["user"]),
            (&json!("horizon"), &json!("horizon"))
        );
    }

    #[test]
    fn a_file_that_would_not_work_is_not_written() {
        let plain = Kubeconfig { server: "http://127.0.0.1:7443", ..GOOD };
        assert!(matches!(plain.yaml(), Err(BadKubeconfig::Server(_))));
        assert_eq!(Kubeconfig { authority_pem: "", ..GOOD }.yaml(), Err(BadKubeconfig::Authority));
        for kind in ["", "RSA ", "EC ", "ENCRYPTED "] {
            let both = format!("{}-----BEGIN {kind}PRIVATE KEY-----\nMII=\n", GOOD.authority_pem);
            let leaky = Kubeconfig { authority_pem: &both, ..GOOD };
            assert_eq!(leaky.yaml(), Err(BadKubeconfig::PrivateKey), "{kind}");
        }
        for token in ["", "two words", "line\n", "é"] {
            assert_eq!(Kubeconfig { token, ..GOOD }.yaml(), Err(BadKubeconfig::Token), "{token:?}");
        }
    }
}
