//! The doors that are an API: of the controller that runs alone, and of a cluster with the controller in it.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, bail, ensure};
use horizon_api::resource::{API_VERSION, Kind};
use horizon_planner::manifest::parse_file;
use http::{Method, Request};
use kube::{
    Client, Config, Error,
    config::{KubeConfigOptions, Kubeconfig},
    core::Status,
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{
    corpus::{Document, File, World},
    verdict::{Verdict, Word},
};

/// What must happen on two busy cores happens within this time.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who writes; what a second apply leaves out is removed, because the first one was by the same.
const MANAGER: &str = "doors";

/// One API. A controller of ours looks at what it takes, and says in a status what it makes of it.
pub(crate) struct Api {
    client: Client,
}

impl Api {
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub(crate) async fn new(kubeconfig: &Path) -> anyhow::Result<Self> {
        Ok(Self { client: client(kubeconfig).await? })
    }

    /// Sends every document, each world into a namespace of its own, and returns what is said of it.
    ///
    /// # Errors
    /// When something happens that is no verdict.
    pub(crate) async fn verdicts(&self, worlds: &[World]) -> anyhow::Result<BTreeMap<String, Verdict>> {
        let mut verdicts = BTreeMap::new();
        for world in worlds {
            let metadata = json!({ "name": world.name });
            let namespace =
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }).to_string();
            let path = "/api/v1/namespaces";
            self.ask(Method::POST, path, "application/json", namespace).await?.map_err(|status| *status)?;
            if let Some(before) = &world.before {
                self.bring_in_force(world, before).await?;
            }
        }
        let mut taken = vec![];
        for (world, document) in
            worlds.iter().flat_map(|world| world.documents().map(move |document| (world, document)))
        {
            let answer = match &world.before {
                Some(_) => self.apply(world, document).await?,
                None => self.create(world, document).await?,
            };
            match answer {
                Answer::Taken(path) => taken.push((world, document, path)),
                Answer::Refused(verdict) => drop(verdicts.insert(document.id.clone(), verdict)),
            }
        }
        for (world, document, path) in taken {
            let verdict = self.judged(&path).await?;
            verdicts.insert(document.id.clone(), verdict.without_realm(&world.name));
        }
        Ok(verdicts)
    }

    async fn create(&self, world: &World, document: &Document) -> anyhow::Result<Answer> {
        let Some(kind) = document.kind else { return Ok(Answer::Refused(Verdict::NotSent)) };
        let path = path(world, kind);
        let strict = format!("{path}?fieldValidation=Strict&fieldManager={MANAGER}");
        let answer = self.ask(Method::POST, &strict, "application/yaml", document.text.clone()).await?;
        Ok(Answer::of(answer, &path))
    }

    async fn apply(&self, world: &World, document: &Document) -> anyhow::Result<Answer> {
        let parsed = parse_file(&document.id, document.text.as_bytes());
        let key = parsed.manifests.first().map(|manifest| &manifest.key);
        let key = key.or(parsed.rejected.first().map(|rejected| &rejected.key)).context("it has a name")?;
        let path = path(world, key.kind);
        let forced = format!("{path}/{}?fieldValidation=Strict&fieldManager={MANAGER}&force=true", key.name);
        let content_type = "application/apply-patch+yaml";
        let answer = self.ask(Method::PATCH, &forced, content_type, document.text.clone()).await?;
        Ok(Answer::of(answer, &path))
    }

    /// Sends what must be in force before something changes, and waits until it is.
    async fn bring_in_force(&self, world: &World, before: &File) -> anyhow::Result<()> {
        for document in &before.documents {
            match self.apply(world, document).await? {
                Answer::Refused(verdict) => bail!("{} is refused: {verdict:?}", document.id),
                Answer::Taken(path) => {
                    let verdict = self.judged(&path).await?;
                    ensure!(verdict.is_accepted(), "{} is kept out: {verdict:?}", document.id);
                }
            }
        }
        Ok(())
    }

    /// Returns what the status of an object says, once it is about what was sent.
    async fn judged(&self, path: &str) -> anyhow::Result<Verdict> {
        let looked_at = timeout(PATIENCE, async {
            loop {
                let object = self.get(path).await?;
                let observed = &object["status"]["observedGeneration"];
                if *observed == object["metadata"]["generation"] {
                    return anyhow::Ok(object);
                }
                sleep(Duration::from_millis(20)).await;
            }
        });
        let object = looked_at.await.with_context(|| format!("{path} has no status"))??;
        let conditions = object["status"]["conditions"].as_array().context("it has conditions")?;
        let speaks = |condition: &&Value| {
            ["Accepted", "ResolvedRefs"].iter().any(|kind| condition["type"] == *kind)
                && condition["status"] == "False"
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let word = |condition: &Value| Word::new(text(&condition["reason"]), "", text(&condition["message"]));
        let words: Vec<Word> = conditions.iter().filter(speaks).map(word).collect();
        Ok(if words.is_empty() { Verdict::Accepted } else { Verdict::KeptOut(words) })
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.ask(Method::GET, path, "application/json", String::new()).await?;
        Ok(serde_json::from_str(&answer.map_err(|status| *status)?)?)
    }

    /// Returns the body of an answer, or the `Status` of a refusal.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: String,
    ) -> anyhow::Result<Result<String, Box<Status>>> {
        let request = Request::builder().method(method).uri(path).header("Content-Type", content_type);
        match self.client.request_text(request.body(body.into_bytes())?).await {
            Ok(body) => Ok(Ok(body)),
            Err(Error::Api(status)) if (400..500).contains(&status.code) => Ok(Err(status)),
            Err(error) => bail!("{path}: {error}"),
        }
    }
}

/// # Errors
/// When the kubeconfig cannot be used.
pub(crate) async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// What became of a document that was sent.
enum Answer {
    /// With the path of the object.
    Taken(String),
    Refused(Verdict),
}

impl Answer {
    fn of(answer: Result<String, Box<Status>>, collection: &str) -> Self {
        match answer {
            Ok(body) => {
                let object: Value = serde_json::from_str(&body).unwrap_or_default();
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                Self::Taken(format!("{collection}/{name}"))
            }
            Err(status) => Self::Refused(Verdict::Refused(words(&status))),
        }
    }
}

fn path(world: &World, kind: Kind) -> String {
    format!("/apis/{API_VERSION}/namespaces/{}/{}", world.name, kind.plural())
}

/// Returns the causes of a refusal; where it has none, what its sentence lists.
fn words(status: &Status) -> Vec<Word> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let words: Vec<Word> =
        causes.map(|cause| Word::new(&cause.reason, &cause.field, &cause.message)).collect();
    if !words.is_empty() {
        return words;
    }
    let Some((_, list)) = status.message.split_once("strict decoding error: ") else {
        return vec![Word::new(&status.reason, "", &status.message)];
    };
    let complaints = list.split(", ").map(|complaint| {
        let path = complaint.split('"').nth(1).unwrap_or_default();
        Word::new(&status.reason, path, complaint)
    });
    complaints.collect()
}
