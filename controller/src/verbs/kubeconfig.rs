//! `horizon-controller kubeconfig`: a file with which any client of Kubernetes uses this controller.

use std::{io::Write, path::Path};

use anyhow::Context;
use horizon_api::{
    http::{Done, EndTokensRequest, TokenAnswer, TokenRequest},
    resource::{DEFAULT_NAMESPACE, ObjectKey},
};
use horizon_machinery::kubeconfig::Kubeconfig;
use horizon_node::{durable, failure::Failure};
use http::Method;

use super::{admin, ask};
use crate::{args::KubeconfigArgs, certificate};

/// Prints or writes the file, or ends what was made before.
///
/// # Errors
/// When no controller answers, or it refuses.
pub async fn kubeconfig(args: KubeconfigArgs) -> anyhow::Result<()> {
    let data = &args.data.folder;
    let admin = args.admin.as_deref().map(admin).transpose()?;
    if args.end {
        return end(data, admin).await;
    }
    let namespace = admin.as_ref().map_or(DEFAULT_NAMESPACE, |admin| admin.namespace.as_str()).to_owned();
    let life_s = u64::from(args.time.as_seconds());
    let request = TokenRequest { admin, life_s };
    let answer: TokenAnswer = ask(data, Method::POST, "/v1/token", Some(&request)).await?.json()?;
    let authority = certificate::pem(data).context("read the controller's certificate")?;
    let file = Kubeconfig {
        name: "horizon",
        server: args.server.as_deref().unwrap_or(&answer.url),
        authority_pem: &authority,
        token: &answer.token,
        namespace: &namespace,
    };
    let yaml = file.yaml().map_err(|error| Failure::Usage(error.to_string()))?;
    match args.out {
        Some(path) => {
            let path = std::path::absolute(path).context("find the file")?;
            durable::write(&path, &yaml).with_context(|| format!("write {}", path.display()))
        }
        None => std::io::stdout().write_all(&yaml).context("print the file"),
    }
}

async fn end(data: &Path, admin: Option<ObjectKey>) -> anyhow::Result<()> {
    let request = EndTokensRequest { admin };
    let done: Done = ask(data, Method::POST, "/v1/end-tokens", Some(&request)).await?.json()?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        println!("{}", done.message);
    }
    Ok(())
}
