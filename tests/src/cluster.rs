//! A real Kubernetes API server with a real etcd, on the loopback: no nodes and no controllers, and rights as in a
//! cluster (RBAC). It can be stopped, killed and started again under the same address, with its data.

use std::{
    env, fs,
    io::Read,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Context, bail, ensure};
use horizon_api::resource::{GROUP, Kind, VERSION};
use rcgen::{CertifiedKey, KeyPair};
use tempfile::TempDir;

use crate::{
    kubectl::Kubectl,
    process::Daemon,
    wait::{PATIENCE, wait_until},
};

/// The API server and its etcd, with all of their files. They are killed with the value.
#[derive(Debug)]
pub struct Cluster {
    // In this order they are dropped: the processes, then their files.
    api_server: Option<Daemon>,
    etcd: Daemon,
    programs: PathBuf,
    etcd_url: String,
    port: u16,
    folder: TempDir,
}

impl Cluster {
    /// Starts one, and waits until it serves. None when this machine lacks the programs and need not have them, which
    /// is said aloud.
    ///
    /// # Errors
    /// When the programs must be there and are not, or do not come up.
    pub fn start() -> anyhow::Result<Option<Self>> {
        let Some(programs) = programs()? else { return Ok(None) };
        let folder = tempfile::Builder::new().prefix("hzn-cluster-").tempdir()?;
        let etcd_url = format!("http://127.0.0.1:{}", free_port()?);
        let etcd = start_etcd(&programs, folder.path(), &etcd_url)?;
        let mut cluster = Self { api_server: None, etcd, programs, etcd_url, port: free_port()?, folder };
        cluster.write_identity()?;
        cluster.start_api_server()?;
        Ok(Some(cluster))
    }

    /// Starts the API server, where it was before, and waits until it serves.
    ///
    /// # Errors
    /// When it runs, or does not come up.
    pub fn start_api_server(&mut self) -> anyhow::Result<()> {
        ensure!(self.api_server.is_none(), "the API server runs already");
        let daemon = Daemon::start("kube-apiserver", self.api_server_command(), &self.log_path())?;
        self.api_server = Some(daemon);
        let kubectl = self.kubectl("admin")?;
        let up = wait_until("the API server is ready", PATIENCE, || {
            kubectl.done(&["get", "--raw", "/readyz"])?;
            // Made by the server itself, after its first start.
            kubectl.done(&["get", "namespace", "default"]).map(|_| Some(()))
        });
        self.etcd.check_alive()?;
        self.api_server.as_mut().context("the API server does not run")?.check_alive().and(up)
    }

    /// Asks the API server to stop, and waits until it has.
    ///
    /// # Errors
    /// When it does not run, or does not stop.
    pub fn stop_api_server(&mut self) -> anyhow::Result<()> {
        self.api_server.take().context("the API server does not run")?.stop()
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill_api_server(&mut self) -> anyhow::Result<()> {
        self.api_server.take().context("the API server does not run")?.kill()
    }

    /// Installs the definitions of all of our kinds, and waits until they are served.
    ///
    /// # Errors
    /// When they are refused, or are not served in time.
    pub fn install_crds(&self) -> anyhow::Result<()> {
        let folder = checkout()?.join("crds");
        let folder = folder.to_str().context("a path that is not text")?;
        self.kubectl("admin")?.done(&["apply", "--server-side", "-f", folder])?;
        self.wait_for_crds()
    }

    /// Waits until all of our kinds are served.
    ///
    /// # Errors
    /// When they are not in time.
    pub fn wait_for_crds(&self) -> anyhow::Result<()> {
        let kubectl = self.kubectl("admin")?;
        let kinds = Kind::ALL.map(|kind| format!("{}.{GROUP}", kind.plural())).join(",");
        let schemas = format!("/openapi/v3/apis/{GROUP}/{VERSION}");
        wait_until("our kinds are served", PATIENCE, || {
            kubectl.done(&["get", &kinds, "--all-namespaces"])?;
            let schemas = kubectl.done(&["get", "--raw", &schemas])?;
            let lacking = Kind::ALL.iter().find(|kind| !schemas.contains(&format!("\"{}\"", kind.as_str())));
            Ok(lacking.is_none().then_some(()))
        })
    }

    /// Makes a token for a service account, and returns the path of a kubeconfig with it.
    ///
    /// # Errors
    /// When the account is not there.
    pub fn kubeconfig_of(&self, namespace: &str, service_account: &str) -> anyhow::Result<PathBuf> {
        let words = ["create", "token", service_account, "--namespace", namespace, "--duration", "8h"];
        let token = self.kubectl("admin")?.done(&words)?;
        self.write_kubeconfig(&format!("{namespace}-{service_account}"), namespace, token.trim())
    }

    /// Returns the path of the kubeconfig of somebody who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path().join("admin.kubeconfig")
    }

    /// Returns that person's kubectl, in a folder of this name.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn kubectl(&self, folder: &str) -> anyhow::Result<Kubectl> {
        self.kubectl_with(self.kubeconfig(), folder)
    }

    /// Returns kubectl with another kubeconfig, in a folder of this name.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn kubectl_with(&self, kubeconfig: PathBuf, folder: &str) -> anyhow::Result<Kubectl> {
        Kubectl::new(self.program("kubectl"), kubeconfig, self.path().join(folder))
    }

    /// Returns the path of one of the programs of Kubernetes.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Returns where the API server is.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Returns the folder in which all files are, and in which a test may write its own.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the memory that API server and etcd have resident, in bytes.
    ///
    /// # Errors
    /// When one of them does not run.
    pub fn memory_bytes(&self) -> anyhow::Result<u64> {
        let api_server = self.api_server.as_ref().context("the API server does not run")?;
        Ok(api_server.memory_bytes()? + self.etcd.memory_bytes()?)
    }

    /// Returns what the API server said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Its certificate, the key that signs tokens of service accounts, and the token of somebody who may do everything.
    fn write_identity(&self) -> anyhow::Result<()> {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names)?;
        fs::write(self.path().join("server.crt"), cert.pem())?;
        fs::write(self.path().join("server.key"), signing_key.serialize_pem())?;
        let accounts = KeyPair::generate()?;
        fs::write(self.path().join("accounts.key"), accounts.serialize_pem())?;
        fs::write(self.path().join("accounts.pub"), accounts.public_key_pem())?;
        let token = random_token()?;
        fs::write(self.path().join("tokens.csv"), format!("{token},admin,admin,system:masters\n"))?;
        self.write_kubeconfig("admin", "default", &token)?;
        Ok(())
    }

    fn write_kubeconfig(&self, name: &str, namespace: &str, token: &str) -> anyhow::Result<PathBuf> {
        let path = self.path().join(format!("{name}.kubeconfig"));
        let (url, certificate) = (self.url(), self.path().join("server.crt"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: it\n\
             clusters: [{{name: it, cluster: {{server: '{url}', certificate-authority: '{}'}}}}]\n\
             users: [{{name: it, user: {{token: {token}}}}}]\n\
             contexts: [{{name: it, context: {{cluster: it, user: it, namespace: {namespace}}}}}]\n",
            certificate.display()
        );
        fs::write(&path, text)?;
        Ok(path)
    }

    fn api_server_command(&self) -> Command {
        let file = |name: &str| self.path().join(name).display().to_string();
        let mut command = Command::new(self.program("kube-apiserver"));
        for (flag, value) in [
            ("etcd-servers", self.etcd_url.clone()),
            ("bind-address", "127.0.0.1".into()),
            ("secure-port", self.port.to_string()),
            ("tls-cert-file", file("server.crt")),
            ("tls-private-key-file", file("server.key")),
            ("service-account-issuer", "https://kubernetes.default.svc".into()),
            ("service-account-key-file", file("accounts.pub")),
            ("service-account-signing-key-file", file("accounts.key")),
            ("token-auth-file", file("tokens.csv")),
            ("authorization-mode", "RBAC".into()),
            // For so long it waits for watches before it stops, too.
            ("request-timeout", "20s".into()),
            ("service-cluster-ip-range", "10.0.0.0/24".into()),
            // It waits for tokens that only a controller makes.
            ("disable-admission-plugins", "ServiceAccount".into()),
        ] {
            command.arg(format!("--{flag}={value}"));
        }
        command
    }

    fn log_path(&self) -> PathBuf {
        self.path().join("kube-apiserver.log")
    }
}

fn start_etcd(programs: &Path, folder: &Path, url: &str) -> anyhow::Result<Daemon> {
    let mut command = Command::new(programs.join("etcd"));
    let peers = format!("http://127.0.0.1:{}", free_port()?);
    command.arg("--data-dir").arg(folder.join("etcd"));
    command.args(["--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", &peers]);
    // Nobody turns this machine off.
    command.arg("--unsafe-no-fsync");
    Daemon::start("etcd", command, &folder.join("etcd.log"))
}

/// Returns the folder with kube-apiserver, etcd and kubectl.
#[expect(clippy::print_stderr, reason = "a skip is said aloud")]
fn programs() -> anyhow::Result<Option<PathBuf>> {
    let how = "HORIZON_KUBERNETES=\"$(./scripts/kubernetes kube-apiserver etcd kubectl helm)\"";
    let Some(folder) = env::var_os("HORIZON_KUBERNETES").filter(|folder| !folder.is_empty()) else {
        ensure!(env::var_os("HORIZON_E2E_REQUIRED").is_none(), "{how} is missing");
        eprintln!("SKIPPED: set {how}");
        return Ok(None);
    };
    let folder = PathBuf::from(folder);
    for program in ["kube-apiserver", "etcd", "kubectl"] {
        ensure!(folder.join(program).is_file(), "{} has no {program}; set {how}", folder.display());
    }
    Ok(Some(folder))
}

/// Returns the root of the checkout that is tested.
fn checkout() -> anyhow::Result<PathBuf> {
    let tests = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("run this with cargo")?);
    Ok(tests.parent().context("no workspace")?.to_owned())
}

/// Returns a port that nobody has. It lies below those that the system gives to connections, so that it stays free
/// while a server is away.
fn free_port() -> anyhow::Result<u16> {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Processes begin apart from each other.
    let start = u16::try_from(process::id() % 120)? * 100;
    for _ in 0..COUNT {
        let port = FIRST + (start + TAKEN.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free from {FIRST} on");
}

fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
