//! The console's door: its editor asks about a text, with the session of somebody who signed in.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, ensure};
use horizon_api::{
    http::{CSRF_HEADER, SessionAnswer, SessionRequest},
    problem::Problem,
};
use horizon_tests::standalone::Standalone;
use http::{Request, header};
use kube::{Client, client::Body};
use serde_json::Value;

use super::{corpus::World, folder::of_file, served::client, verdict::Verdict};

/// Who signed in: a cookie, and the token that their page sends along.
struct Session {
    client: Client,
    cookie: String,
    csrf: String,
}

/// Returns what the editor is told of each document.
///
/// # Errors
/// When nobody can sign in, or an answer is no verdict.
pub(crate) async fn verdicts(
    worlds: &[World],
    controller: &Standalone,
    kubeconfig: &Path,
) -> anyhow::Result<BTreeMap<String, Verdict>> {
    let link = controller.verb(&["sign-in"])?.success()?;
    let session = Session::open(client(kubeconfig).await?, link.trim()).await?;
    let mut verdicts = BTreeMap::new();
    for file in worlds.iter().flat_map(|world| &world.files) {
        let mut problems = session.check(&file.text).await?;
        // The text has no name there.
        problems.iter_mut().for_each(|problem| problem.file.clone_from(&file.name));
        verdicts.extend(of_file(file, &problems));
    }
    Ok(verdicts)
}

impl Session {
    async fn open(client: Client, link: &str) -> anyhow::Result<Self> {
        let (_, code) = link.split_once("#code=").context("the link has no code")?;
        let body = serde_json::to_vec(&SessionRequest { code: code.to_owned() })?;
        let request = Request::post("/v1/session").header(header::CONTENT_TYPE, "application/json");
        let answer = client.send(request.body(Body::from(body))?).await?;
        let cookie = answer.headers().get(header::SET_COOKIE).context("no cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let session: SessionAnswer = serde_json::from_slice(&answer.into_body().collect_bytes().await?)?;
        Ok(Self { client, cookie, csrf: session.csrf })
    }

    async fn check(&self, text: &str) -> anyhow::Result<Vec<Problem>> {
        let request = Request::post("/v1/check")
            .header(header::CONTENT_TYPE, "application/yaml")
            .header(header::COOKIE, &self.cookie)
            .header(CSRF_HEADER, &self.csrf);
        let answer = self.client.send(request.body(Body::from(text.as_bytes().to_vec()))?).await?;
        let status = answer.status();
        let body = answer.into_body().collect_bytes().await?;
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        let answer: Value = serde_json::from_slice(&body)?;
        Ok(serde_json::from_value(answer["problems"].clone())?)
    }
}
