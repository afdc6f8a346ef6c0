//! `horizon-controller kubeconfig`: a file with which any client of Kubernetes uses this controller.

use std::{fmt::Write as _, io::Write as _, path::Path};

use anyhow::Context;
use horizon_api::{
    http::{Done, EndTokensRequest, TokenAnswer, TokenList, TokenRequest},
    resource::DEFAULT_NAMESPACE,
};
use horizon_machinery::kubeconfig::Kubeconfig;
use horizon_node::{durable, failure::Failure};
use http::Method;

use super::{admin, ask, guard::moment};
use crate::{args::KubeconfigArgs, certificate};

/// Prints or writes the file, or ends what was made before.
///
/// # Errors
/// When no controller answers, or it refuses.
pub async fn kubeconfig(args: KubeconfigArgs) -> anyhow::Result<()> {
    let data = &args.data.folder;
    let admin = args.admin.as_deref().map(admin).transpose()?;
    if args.list {
        return list(data, args.json).await;
    }
    if args.end || args.end_token.is_some() {
        return end(data, EndTokensRequest { admin, id: args.end_token }).await;
    }
    let namespace = admin.as_ref().map_or(DEFAULT_NAMESPACE, |admin| admin.namespace.as_str()).to_owned();
    let life_s = u64::from(args.time.as_seconds());
    let request = TokenRequest { admin, life_s, from: args.from };
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

async fn list(data: &Path, json: bool) -> anyhow::Result<()> {
    let list: TokenList = ask::<()>(data, Method::GET, "/v1/tokens", None).await?.json()?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    if json {
        println!("{}", serde_json::to_string(&list)?);
    } else {
        print!("{}", list_text(&list));
    }
    Ok(())
}

fn list_text(list: &TokenList) -> String {
    let mut text = String::new();
    for token in &list.tokens {
        let from: Vec<_> = token.from.iter().map(ToString::to_string).collect();
        let from = if from.is_empty() { String::new() } else { format!(", from {}", from.join(" ")) };
        let last = match token.last_used_at {
            Some(at) => format!("last used at {} from {}", moment(at), token.last_from),
            None => "never used".to_owned(),
        };
        // Writing into a String cannot fail.
        let _ =
            writeln!(text, "{} {} until {}{from}, {last}", token.id, token.subject, moment(token.expires_at));
    }
    if list.tokens.is_empty() {
        text.push_str("there are no tokens\n");
    }
    text
}

async fn end(data: &Path, request: EndTokensRequest) -> anyhow::Result<()> {
    let done: Done = ask(data, Method::POST, "/v1/end-tokens", Some(&request)).await?.json()?;
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        println!("{}", done.message);
    }
    Ok(())
}
