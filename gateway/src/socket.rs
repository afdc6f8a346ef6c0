//! The gateway's socket: whoever may open it asks one thing as one JSON document, and hears the answer.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use horizon_node::{data_folder::DataFolder, failure::Failure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot, watch},
};

use crate::status::Status;

/// What may be asked. Nothing at all is a question for the status.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    Status,
    RotateKey { overlap_s: u32 },
}

/// What the event loop is asked, and where its answer goes.
pub(crate) struct Order {
    pub(crate) overlap_s: u32,
    pub(crate) reply: oneshot::Sender<Result<String, String>>,
}

/// The answer to an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Done {
    Done(String),
    Failed(String),
}

/// The socket's file, removed with the value.
pub(crate) struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// What answers questions.
#[derive(Clone)]
struct Answers {
    statuses: watch::Receiver<Status>,
    orders: mpsc::Sender<Order>,
}

const FILE: &str = "gateway.sock";
/// Long enough for a busy host, short enough for a person.
const AFTER_ERROR: Duration = Duration::from_millis(200);
/// One that asks and does not read must not keep others waiting.
const PATIENCE: Duration = Duration::from_secs(1);
const QUESTION_BYTES_MAX: u64 = 4096;

/// Listens, and returns what answers each connection for as long as it is polled.
pub(crate) fn serve(
    data: &DataFolder,
    statuses: watch::Receiver<Status>,
    orders: mpsc::Sender<Order>,
) -> anyhow::Result<(Socket, impl Future<Output = ()> + use<>)> {
    let path = data.file(FILE);
    // The folder is locked, so a socket that is there is of a process that is gone.
    drop(fs::remove_file(&path));
    let listener = UnixListener::bind(&path).with_context(|| format!("listen on {}", path.display()))?;
    let socket = Socket(path);
    fs::set_permissions(&socket.0, fs::Permissions::from_mode(0o600))?;
    Ok((socket, answer_all(listener, Answers { statuses, orders })))
}

async fn answer_all(listener: UnixListener, answers: Answers) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let told = answers.answer(stream).await;
                tracing::trace!(?told, "a question was answered");
            }
            // Descriptors that ran out are free again at some time; who asks waits in the queue of the socket.
            Err(error) => {
                tracing::warn!(%error, "cannot take a question");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

impl Answers {
    async fn answer(&self, mut stream: UnixStream) -> anyhow::Result<()> {
        let mut asked = Vec::new();
        let mut bounded = (&mut stream).take(QUESTION_BYTES_MAX);
        // One that says nothing is of a program from before there was more than one question.
        drop(tokio::time::timeout(PATIENCE, bounded.read_to_end(&mut asked)).await);
        let question = if asked.is_empty() { Ok(Question::Status) } else { serde_json::from_slice(&asked) };
        let json = match question {
            Ok(Question::Status) => serde_json::to_vec(&*self.statuses.borrow())?,
            Ok(Question::RotateKey { overlap_s }) => serde_json::to_vec(&self.order(overlap_s).await?)?,
            Err(error) => {
                let text = format!("this gateway does not understand the question ({error}); upgrade it");
                serde_json::to_vec(&Done::Failed(text))?
            }
        };
        Ok(tokio::time::timeout(PATIENCE, stream.write_all(&json)).await??)
    }

    async fn order(&self, overlap_s: u32) -> anyhow::Result<Done> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order { overlap_s, reply }).await.ok().context("the gateway stops")?;
        Ok(match answer.await.context("the gateway stops")? {
            Ok(text) => Done::Done(text),
            Err(text) => Done::Failed(text),
        })
    }
}

/// Asks the gateway that runs with a data folder.
pub(crate) async fn ask<T: DeserializeOwned>(folder: &Path, question: Question) -> anyhow::Result<T> {
    let path = folder.join(FILE);
    let mut stream = UnixStream::connect(&path).await.map_err(|e| {
        Failure::Unreachable(format!(
            "no gateway answers on {} ({e}); start it with `horizon-gateway run`, or name its folder with --data DIR",
            path.display()
        ))
    })?;
    stream.write_all(&serde_json::to_vec(&question)?).await?;
    stream.shutdown().await?;
    let mut json = Vec::new();
    stream.read_to_end(&mut json).await?;
    serde_json::from_slice(&json).context("read the answer of the gateway")
}
