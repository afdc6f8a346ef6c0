//! A page behind the gateway: the smallest HTTP server there is, and an echo of datagrams, in a namespace.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context;

use crate::namespace::Namespace;

/// Port of the page.
pub const HTTP: u16 = 80;
/// Port where datagrams come back.
pub const ECHO: u16 = 7;
/// The page, of a size that takes many packets.
const BODY_BYTES: usize = 200_000;

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Page {
    is_over: Arc<AtomicBool>,
    /// Whom the last visitor seemed to be.
    visitor: Arc<AtomicU32>,
    threads: Vec<JoinHandle<()>>,
}

impl Page {
    /// # Errors
    /// When a port is taken.
    pub fn serve(namespace: &Namespace, address: Ipv4Addr) -> anyhow::Result<Self> {
        let (listener, socket) = namespace
            .enter(|| {
                Ok::<_, std::io::Error>((
                    TcpListener::bind((address, HTTP))?,
                    UdpSocket::bind((address, ECHO))?,
                ))
            })?
            .context("serve the page")?;
        listener.set_nonblocking(true)?;
        socket.set_read_timeout(Some(LOOK_EVERY))?;
        let (is_over, visitor) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (over, seen) = (Arc::clone(&is_over), Arc::clone(&visitor));
        let pages = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, from)) => {
                        remember(&seen, from);
                        thread::spawn(move || drop(answer(&stream)));
                    }
                    Err(_) => thread::sleep(LOOK_EVERY),
                }
            }
        });
        let over = Arc::clone(&is_over);
        let echoes = thread::spawn(move || {
            let mut datagram = [0; 2048];
            while !over.load(Ordering::Relaxed) {
                if let Ok((bytes, from)) = socket.recv_from(&mut datagram) {
                    drop(socket.send_to(&datagram[..bytes], from));
                }
            }
        });
        Ok(Self { is_over, visitor, threads: vec![pages, echoes] })
    }

    /// Returns whom the last visitor of the page seemed to be.
    pub fn visitor(&self) -> Ipv4Addr {
        self.visitor.load(Ordering::Relaxed).into()
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(20);

fn remember(visitor: &AtomicU32, from: SocketAddr) {
    if let SocketAddr::V4(from) = from {
        visitor.store((*from.ip()).into(), Ordering::Relaxed);
    }
}

fn answer(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut stream = stream;
    write!(stream, "HTTP/1.0 200 OK\r\ncontent-length: {BODY_BYTES}\r\n\r\n")?;
    stream.write_all(&vec![b'h'; BODY_BYTES])
}

impl Drop for Page {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}
