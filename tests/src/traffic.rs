//! Traffic of a client: ping, a page, a stream of datagrams, a throughput figure.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    namespace::Namespace,
    page::{ECHO, HTTP},
    process::{Daemon, run, run_within},
    wait::{PATIENCE, wait_for, wait_until},
};

/// One echo request; the answer's time in milliseconds, or `None` when there is none within a second.
///
/// # Errors
/// When ping cannot be started.
pub fn ping(from: &Namespace, to: impl Into<IpAddr>) -> anyhow::Result<Option<f64>> {
    let mut command = from.command("ping");
    command.args(["-n", "-c", "1", "-W", "1", &to.into().to_string()]);
    let outcome = run(command)?;
    if outcome.code != 0 {
        return Ok(None);
    }
    let (_, time) = outcome.stdout.split_once("time=").context("ping printed no time")?;
    let time = time.split_whitespace().next().context("ping printed no time")?;
    Ok(Some(time.parse()?))
}

/// Waits until pings are answered.
///
/// # Errors
/// When they are not in time.
pub fn wait_ping(from: &Namespace, to: impl Into<IpAddr>) -> anyhow::Result<()> {
    let to = to.into();
    wait_for(&format!("{} pings {to}", from.name()), || Ok(ping(from, to)?.is_some()))
}

/// A ping every 0.2 s, for as long as it lives.
#[derive(Debug)]
pub struct Pings {
    daemon: Daemon,
    folder: TempDir,
}

impl Pings {
    /// Begins, and waits for the first answer.
    ///
    /// # Errors
    /// When there is none.
    pub fn start(from: &Namespace, to: impl Into<IpAddr>) -> anyhow::Result<Self> {
        let mut command = from.command("ping");
        command.args(["-n", "-O", "-i", "0.2", &to.into().to_string()]);
        let folder = tempfile::tempdir()?;
        let daemon = Daemon::start("ping", command, &folder.path().join("log"))?;
        let pings = Self { daemon, folder };
        wait_for("a ping is answered", || Ok(!pings.answers()?.is_empty()))?;
        Ok(pings)
    }

    /// Waits for two more answers, and returns how many pings had none since the first one that had.
    ///
    /// # Errors
    /// When no answer comes any more.
    pub fn lost(&mut self) -> anyhow::Result<usize> {
        self.daemon.check_alive()?;
        let heard = self.answers()?.len();
        wait_for("pings are answered", || Ok(self.answers()?.len() >= heard + 2))?;
        let answers = self.answers()?;
        let (Some(first), Some(last)) = (answers.first(), answers.last()) else { return Ok(0) };
        Ok(usize::try_from(last - first + 1)?.saturating_sub(answers.len()))
    }

    /// Returns the numbers of the pings that were answered.
    fn answers(&self) -> anyhow::Result<BTreeSet<u64>> {
        let said = std::fs::read_to_string(self.folder.path().join("log"))?;
        let answered = said.lines().filter(|line| line.contains("time="));
        let number = |line: &str| line.split_once("icmp_seq=")?.1.split_whitespace().next()?.parse().ok();
        Ok(answered.filter_map(number).collect())
    }
}

/// Checks that several pings in a row are not answered.
///
/// # Errors
/// When one is.
pub fn no_ping(from: &Namespace, to: impl Into<IpAddr>) -> anyhow::Result<()> {
    let to = to.into();
    for _ in 0..3 {
        ensure!(ping(from, to)?.is_none(), "{} pings {to}, which it must not", from.name());
    }
    Ok(())
}

/// Fetches the page and returns how many bytes its body had.
///
/// # Errors
/// When it does not come within five seconds.
pub fn fetch(from: &Namespace, server: Ipv4Addr) -> anyhow::Result<usize> {
    from.enter(|| {
        let patience = Duration::from_secs(5);
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((server, HTTP)), patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"GET / HTTP/1.0\r\nhost: page\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n").context("no HTTP answer")?;
        Ok(answer.len() - head - 4)
    })?
}

/// A stream of numbered datagrams that come back: one flow that lives through changes.
#[derive(Debug)]
pub struct Flow {
    socket: UdpSocket,
    sent: u64,
}

const DATAGRAM_EVERY: Duration = Duration::from_millis(20);

impl Flow {
    /// Opens it and waits until it carries.
    ///
    /// # Errors
    /// When nothing comes back.
    pub fn open(from: &Namespace, server: Ipv4Addr) -> anyhow::Result<Self> {
        Self::open_within(from, server, PATIENCE)
    }

    /// Opens it and waits for so long until it carries.
    ///
    /// # Errors
    /// When nothing comes back.
    pub fn open_within(from: &Namespace, server: Ipv4Addr, patience: Duration) -> anyhow::Result<Self> {
        let socket = from.enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect((server, ECHO))?;
            socket.set_read_timeout(Some(DATAGRAM_EVERY))?;
            Ok::<_, std::io::Error>(socket)
        })??;
        let mut flow = Self { socket, sent: 0 };
        wait_until("the flow carries", patience, || Ok(flow.exchange().then_some(())))?;
        Ok(flow)
    }

    /// Sends one datagram and says whether one came back.
    pub fn exchange(&mut self) -> bool {
        self.sent += 1;
        let mut answer = [0; 8];
        // A refusal by the kernel is the same as no answer.
        drop(self.socket.send(&self.sent.to_be_bytes()));
        self.socket.recv(&mut answer).is_ok()
    }

    /// Goes on until nothing came back for `quiet`, and returns when the last answer came, from `start` on.
    ///
    /// # Errors
    /// When it does not fall silent.
    pub fn last_answer(&mut self, start: Instant, quiet: Duration) -> anyhow::Result<Duration> {
        let mut last = start;
        wait_until("the flow falls silent", PATIENCE, || {
            let until = Instant::now() + quiet;
            while Instant::now() < until {
                if self.exchange() {
                    last = Instant::now();
                    return Ok(None);
                }
            }
            Ok(Some(last - start))
        })
    }
}

/// Measures one TCP stream from the client to the server for so many seconds, in Mbit/s received.
///
/// # Errors
/// When iperf3 is missing or the stream breaks.
pub fn throughput(from: &Namespace, to: &Namespace, server: Ipv4Addr, seconds: u32) -> anyhow::Result<f64> {
    let mut serve = to.command("iperf3");
    serve.args(["-s", "-B", &server.to_string()]);
    let folder = tempfile::tempdir()?;
    let _server = Daemon::start("iperf3", serve, &folder.path().join("log"))?;
    let patience = Duration::from_secs(u64::from(seconds) + 20);
    // The server may not listen yet: then it is asked again.
    let bits = wait_until("iperf3 measures", patience, || {
        let mut client = from.command("iperf3");
        client.args([
            "-J",
            "--connect-timeout",
            "2000",
            "-c",
            &server.to_string(),
            "-t",
            &seconds.to_string(),
        ]);
        let report: Value = serde_json::from_str(&run_within(client, patience)?.success()?)?;
        let bits = report["end"]["sum_received"]["bits_per_second"].as_f64();
        bits.map(Some).with_context(|| format!("iperf3 printed no figure: {report}"))
    })?;
    Ok(bits / 1e6)
}
