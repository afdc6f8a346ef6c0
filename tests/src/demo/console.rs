//! A way from this machine's own loopback to the console inside the namespace, so that a browser can show it.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    thread,
};

use anyhow::Context;

use crate::{
    namespace::Namespace,
    world::{CONTROLLER, CONTROLLER_PORT},
};

/// Carries connections for as long as the process runs.
#[derive(Debug)]
pub struct Console {
    port: u16,
}

impl Console {
    /// Listens on the console's usual port of the loopback, or on any other where that is taken.
    ///
    /// # Errors
    /// When nothing can be listened on.
    pub fn open(namespace: &Namespace) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, CONTROLLER_PORT))
            .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .context("listen on the loopback")?;
        let port = listener.local_addr()?.port();
        let namespace = namespace.clone();
        thread::spawn(move || {
            for visitor in listener.incoming().flatten() {
                let namespace = namespace.clone();
                thread::spawn(move || drop(carry(&visitor, &namespace)));
            }
        });
        Ok(Self { port })
    }

    /// Returns where the console is reached through here.
    pub fn address(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Returns a link of the console as it is reached through here.
    ///
    /// # Errors
    /// When it is not a link of the console.
    pub fn outside(&self, link: &str) -> anyhow::Result<String> {
        let inside = format!("https://{CONTROLLER}:{CONTROLLER_PORT}");
        let path =
            link.trim().strip_prefix(&inside).with_context(|| format!("{link} is not below {inside}"))?;
        Ok(format!("{}{path}", self.address()))
    }
}

fn carry(visitor: &TcpStream, namespace: &Namespace) -> anyhow::Result<()> {
    let console = namespace.enter(|| TcpStream::connect((CONTROLLER, CONTROLLER_PORT)))??;
    thread::scope(|scope| {
        scope.spawn(|| copy(visitor, &console));
        copy(&console, visitor);
    });
    Ok(())
}

/// An end of one direction is an end of both: nothing here lives on half a connection.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
