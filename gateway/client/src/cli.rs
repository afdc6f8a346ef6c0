//! The verbs of a person: each asks the running agent over its socket, and prints what it says.

mod text;

use std::{
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use horizon_api::{
    join::{JoinError, Place},
    key::SecretKey,
};
use horizon_node::{failure::Failure, join, local, secret_file};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::{
    api::{ConnectRequest, LoginRequest, SOCKET, Servers, StateName, Status},
    args::{AskArgs, ConnectArgs, KeygenArgs, LoginArgs, StatusArgs, Verb},
};

/// A link that is not up by then is not waited for any longer; the agent goes on trying.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Who waits longer is told for what.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// Runs one verb.
pub(crate) async fn ask(verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Login(login) => log_in(login).await,
        Verb::Logout(ask) => {
            let agent = Agent::new(&ask);
            let status: Status = agent.post("/v1/logout", &()).await?;
            agent.print(&status, || format!("signed out; the device keeps its key {}\n", status.key))
        }
        Verb::Servers(ask) => {
            let agent = Agent::new(&ask);
            let servers: Servers = with_progress("asking the controller", agent.get("/v1/servers")).await?;
            agent.print(&servers, || text::servers(&servers))
        }
        Verb::Connect(connect) => self::connect(connect).await,
        Verb::Disconnect(ask) => {
            let agent = Agent::new(&ask);
            let status: Status = agent.post("/v1/disconnect", &()).await?;
            agent.print(&status, || "disconnected\n".to_owned())
        }
        Verb::RotateKey(ask) => {
            let agent = Agent::new(&ask);
            let status: Status =
                with_progress("asking the controller", agent.post("/v1/rotate-key", &())).await?;
            agent.print(&status, || format!("this device has another key: {}\n", status.key))
        }
        Verb::Status(status) => print_status(status).await,
    }
}

async fn log_in(args: LoginArgs) -> anyhow::Result<()> {
    let (link, key) = credential(&args)?;
    let agent = Agent::new(&args.ask);
    let request = LoginRequest { link, name: args.name.map(String::from), key };
    let status: Status = with_progress("asking the controller", agent.post("/v1/login", &request)).await?;
    agent.print(&status, || text::signed_in(&status))
}

/// Reads the link, and the key pair where there is one. A typo is found here, without an agent.
fn credential(args: &LoginArgs) -> anyhow::Result<(String, Option<[u8; 32]>)> {
    let usage = |error: JoinError| Failure::Usage(error.to_string());
    if let Some(path) = &args.key {
        let place: Place = args.link.parse().map_err(usage)?;
        let seed = secret_file::load(path)?.ok_or_else(|| {
            let path = path.display();
            Failure::Usage(format!("{path} is not there; `horizon keygen {path}` makes a key pair"))
        })?;
        return Ok((place.to_string(), Some(*seed)));
    }
    let link = join::read(&args.link).map_err(usage)?;
    Ok((link.reveal(), None))
}

/// Makes a key pair for a person, and prints what an operator declares of it.
pub(crate) fn keygen(args: &KeygenArgs) -> anyhow::Result<()> {
    if args.file.symlink_metadata().is_ok() {
        let path = args.file.display();
        return Err(Failure::Failed(format!("{path} is there already; name another file")).into());
    }
    let path = std::path::absolute(&args.file)?;
    let key = SecretKey::from_seed(&*secret_file::load_or_create(&path)?);
    #[expect(clippy::print_stdout, reason = "what the command is for")]
    {
        println!("{}", key.public());
    }
    Ok(())
}

async fn connect(args: ConnectArgs) -> anyhow::Result<()> {
    let agent = Agent::new(&args.ask);
    let request = ConnectRequest { server: args.server, network: args.network };
    let begun = Instant::now();
    let mut status: Status = with_progress("asking the agent", agent.post("/v1/connect", &request)).await?;
    let mut told = String::new();
    loop {
        match status.state {
            StateName::Connected => return agent.print(&status, || text::connected(&status)),
            StateName::Blocked => return Err(Failure::Refused(line_of(&status)).into()),
            StateName::Disconnected => {
                return Err(Failure::Failed("somebody disconnected meanwhile; try again".into()).into());
            }
            StateName::Connecting | StateName::Reconnecting => {}
        }
        if begun.elapsed() > CONNECT_PATIENCE {
            let reason = line_of(&status);
            let text =
                format!("no link after {} s, the agent goes on trying: {reason}", CONNECT_PATIENCE.as_secs());
            return Err(Failure::Unreachable(text).into());
        }
        if begun.elapsed() > SILENCE_MAX && told != status.message {
            tell(&status.message);
            told.clone_from(&status.message);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        status = agent.get("/v1/status").await?;
    }
}

async fn print_status(args: StatusArgs) -> anyhow::Result<()> {
    let agent = Agent::new(&args.ask);
    loop {
        let status: Status = agent.get("/v1/status").await?;
        agent.print(&status, || text::status(&status))?;
        if !args.watch {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The running agent, and how its answers are printed.
struct Agent {
    socket: PathBuf,
    json: bool,
}

impl Agent {
    fn new(args: &AskArgs) -> Self {
        Self { socket: args.data.folder.join(SOCKET), json: args.json }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        request::<(), T>(&self.socket, Method::GET, path, None).await
    }

    async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> anyhow::Result<T> {
        request(&self.socket, Method::POST, path, Some(body)).await
    }

    fn print<T: Serialize>(&self, document: &T, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string(document)? + "\n" } else { text() };
        #[expect(clippy::print_stdout, reason = "what the command is for")]
        {
            print!("{text}");
        }
        Ok(())
    }
}

async fn request<B: Serialize + Sync, T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<&B>,
) -> anyhow::Result<T> {
    let answer = local::request(socket, "agent", method, path, body).await.map_err(|error| match error
        .downcast_ref::<Failure>()
    {
        Some(Failure::Unreachable(text)) => Failure::Unreachable(format!(
            "{text}; start it with `horizon agent run`, or name its folder with --data DIR"
        ))
        .into(),
        Some(_) | None => error,
    })?;
    let is_usage = answer.status == StatusCode::BAD_REQUEST;
    answer.json().map_err(|error| if is_usage { Failure::Usage(format!("{error:#}")).into() } else { error })
}

async fn with_progress<T>(text: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(SILENCE_MAX) => tell(text),
    }
    work.await
}

fn tell(text: &str) {
    #[expect(clippy::print_stderr, reason = "a line for who waits; the answer goes to stdout")]
    {
        eprintln!("{text} …");
    }
}

fn line_of(status: &Status) -> String {
    let problem = status.last_error.as_ref();
    let (message, hint) = match problem {
        Some(error) if status.state != StateName::Blocked => (&error.message, &error.hint),
        Some(_) | None => (&status.message, &status.hint),
    };
    if hint.is_empty() { message.clone() } else { format!("{message}; {hint}") }
}
