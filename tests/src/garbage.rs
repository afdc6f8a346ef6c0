//! One generator of nonsense for every port: random bytes, truncated and altered messages, wrong protocols,
//! wrong versions, peers that are slow and peers that never read.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use horizon_api::{
    key::SecretKey,
    wire::{Hello, cfg::ToController, frame},
};
use horizon_node::{quic, tls};
use quinn::{ClientConfig, Endpoint, TransportConfig, VarInt, crypto::rustls::QuicClientConfig};

use crate::{joiner::in_namespace, namespace::Namespace, random::Random};

const PATIENCE: Duration = Duration::from_secs(3);

/// Sends datagrams of every kind of nonsense.
///
/// # Errors
/// When no socket can be opened.
pub fn throw_datagrams(
    from: &Namespace,
    to: SocketAddr,
    count: u32,
    random: &mut Random,
) -> anyhow::Result<()> {
    let real = first_datagram(from)?;
    let socket = from.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))??;
    for _ in 0..count {
        let length = usize::try_from(random.below(1400))?;
        let mut datagram = match random.below(4) {
            // Anything.
            0 => random.bytes(length),
            // Looks like the first packet of QUIC 1.
            1 => [&[0xc0, 0, 0, 0, 1, 8][..], &random.bytes(1250)].concat(),
            // Cut.
            2 => real[..length.min(real.len())].to_vec(),
            // Altered.
            _ => real.clone(),
        };
        if let Some(last) = datagram.len().checked_sub(1) {
            let position = usize::try_from(random.below(last as u64 + 1))?;
            datagram[position] ^= u8::try_from(1 + random.below(255))?;
        }
        // A full queue is no fault of the other end.
        drop(socket.send_to(&datagram, to));
    }
    Ok(())
}

/// Says whether a QUIC version that nobody speaks is answered with a list of those that are spoken.
///
/// # Errors
/// When nothing is answered.
pub fn offers_versions(from: &Namespace, to: SocketAddr) -> anyhow::Result<bool> {
    let socket = from.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))??;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut datagram = first_datagram(from)?;
    datagram[1..5].copy_from_slice(&0x1a2a_3a4a_u32.to_be_bytes());
    socket.send_to(&datagram, to)?;
    let mut answer = [0; 1500];
    let bytes = socket.recv(&mut answer).context("no answer to an unknown version")?;
    // RFC 9000 section 17.2.1: version 0 is the list.
    Ok(bytes > 5 && answer[1..5] == [0; 4])
}

/// Returns what a real client sends first.
fn first_datagram(from: &Namespace) -> anyhow::Result<Vec<u8>> {
    let (sink, port) = from.enter(|| {
        let sink = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = sink.local_addr()?.port();
        Ok::<_, std::io::Error>((sink, port))
    })??;
    let key = SecretKey::from_seed(&[9; 32]);
    in_namespace(from, async {
        let dial = quic::dial(&key, b"hzn-cfg/1", "127.0.0.1", port);
        drop(tokio::time::timeout(Duration::from_millis(200), dial).await);
        Ok(())
    })?;
    let mut datagram = vec![0; 1500];
    sink.set_read_timeout(Some(PATIENCE))?;
    let bytes = sink.recv(&mut datagram).context("no first datagram")?;
    datagram.truncate(bytes);
    Ok(datagram)
}

/// Tries a protocol that is not spoken there.
///
/// # Errors
/// When it is accepted.
pub fn refuses_protocol(from: &Namespace, to: SocketAddr, alpn: &[u8]) -> anyhow::Result<()> {
    let key = SecretKey::from_seed(&[9; 32]);
    in_namespace(from, async {
        let dialled = quic::dial(&key, alpn, &to.ip().to_string(), to.port()).await;
        match dialled {
            Ok(_) => bail!("{to} accepts the protocol {:?}", String::from_utf8_lossy(alpn)),
            Err(error) => {
                let text = format!("{error:#}");
                ensure!(text.contains("protocol"), "{to} refused, but not the protocol: {text}");
                Ok(())
            }
        }
    })
}

/// Connects with the right protocol and says nonsense on the control stream: each way once, all at the same time.
/// Those that are slow and those that never read stay connected until all have been said.
///
/// # Errors
/// When nobody answers at all.
pub fn babble(from: &Namespace, to: SocketAddr, alpn: &[u8], random: &mut Random) -> anyhow::Result<()> {
    let hello = frame::encode(&ToController::Hello(Hello { version: "x".into(), features: vec![] }));
    let mut sayings = vec![
        vec![0xff; 4],
        0x00ff_ffff_u32.to_be_bytes().to_vec(),
        [&1000u32.to_be_bytes()[..], &random.bytes(10)].concat(),
        [&64u32.to_be_bytes()[..], &random.bytes(64)].concat(),
        hello[..hello.len() / 2].to_vec(),
        hello.repeat(500),
        Vec::new(),
    ];
    for _ in 0..24 {
        let length = usize::try_from(1 + random.below(4000))?;
        sayings.push(random.bytes(length));
    }
    let key = SecretKey::from_seed(&random.array());
    in_namespace(from, async {
        let mut open = Vec::new();
        for saying in sayings {
            let (endpoint, connection) = quic::dial(&key, alpn, &to.ip().to_string(), to.port()).await?;
            let (mut send, recv) = connection.open_bi().await?;
            // A link that is closed while it is written to is one of the good answers.
            drop(tokio::time::timeout(PATIENCE, send.write_all(&saying)).await);
            open.push((endpoint, connection, send, recv));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(())
    })
}

/// Connects this often, says Hello, and never lets the other end say a byte, though it acknowledges and keeps the
/// links alive. Returns how many of them are still there after `patience`.
///
/// # Errors
/// When nobody answers at all.
pub fn never_read(
    from: &Namespace,
    to: SocketAddr,
    alpn: &[u8],
    count: u32,
    patience: Duration,
) -> anyhow::Result<usize> {
    let hello = frame::encode(&ToController::Hello(Hello { version: "x".into(), features: vec![] }));
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(0));
    transport.keep_alive_interval(Some(Duration::from_secs(2)));
    let crypto = tls::client_config(&SecretKey::from_seed(&[9; 32]), alpn, None)?;
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(crypto)?));
    config.transport_config(Arc::new(transport));
    in_namespace(from, async {
        let endpoint = Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into())?;
        let mut open = Vec::new();
        for _ in 0..count {
            let connection = endpoint.connect_with(config.clone(), to, "horizon")?.await?;
            let (mut send, recv) = connection.open_bi().await?;
            send.write_all(&hello).await?;
            open.push((connection, send, recv));
        }
        let all_closed = async {
            for (connection, ..) in &open {
                connection.closed().await;
            }
        };
        drop(tokio::time::timeout(patience, all_closed).await);
        Ok(open.iter().filter(|(connection, ..)| connection.close_reason().is_none()).count())
    })
}

/// Opens connections over TCP: some say nonsense, some half a greeting, some nothing. Returns those still open.
///
/// # Errors
/// When not even one is accepted.
pub fn throw_at_tcp(
    from: &Namespace,
    to: SocketAddr,
    count: u32,
    random: &mut Random,
) -> anyhow::Result<Vec<TcpStream>> {
    let mut open = Vec::new();
    for number in 0..count {
        let Ok(mut stream) = from.enter(|| TcpStream::connect_timeout(&to, PATIENCE))? else { continue };
        let saying = match number % 4 {
            0 => random.bytes(3000),
            1 => [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &random.bytes(40)].concat(),
            2 => b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
            _ => Vec::new(),
        };
        drop(stream.write_all(&saying));
        open.push(stream);
    }
    ensure!(!open.is_empty(), "{to} accepts nobody");
    Ok(open)
}

/// Says nonsense to a daemon's own socket, then asks many times without reading an answer.
///
/// # Errors
/// When the socket is not there.
pub fn throw_at_socket(socket: &Path, random: &mut Random) -> anyhow::Result<Vec<UnixStream>> {
    let mut open = Vec::new();
    let request = b"GET /v1/status HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(2000);
    let endless = [b"GET /".to_vec(), vec![b'a'; 1 << 20]].concat();
    let sayings = [
        random.bytes(4000),
        b"GET /v1/sta".to_vec(),
        endless,
        request,
        b"POST /v1/invite HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n{".to_vec(),
    ];
    for saying in sayings {
        let mut stream = UnixStream::connect(socket).context("connect to the socket")?;
        stream.set_write_timeout(Some(Duration::from_secs(1)))?;
        drop(stream.write_all(&saying));
        open.push(stream);
    }
    Ok(open)
}

/// Says whether the other end of a stream has closed it within this time.
pub fn is_closed(stream: &mut TcpStream, patience: Duration) -> bool {
    let mut byte = [0; 512];
    drop(stream.set_read_timeout(Some(patience)));
    loop {
        match stream.read(&mut byte) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}
