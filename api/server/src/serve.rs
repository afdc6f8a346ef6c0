//! Connections: how many, for how long, and that a bad one never stops the others.

mod https;
mod patient;
mod unix;

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, response::Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_service::Service;

pub use https::serve_https;
pub use unix::{ControlSocket, serve_unix};

/// Who is at the other end, as an extension of every request; `None` on the control socket.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) Option<SocketAddr>);

/// Says when the controller stops, as an extension of every request: an answer that never ends by itself can end well.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Waits until the controller stops.
    pub(crate) async fn begun(&mut self) {
        stopped(&mut self.0).await;
    }
}

/// The newest connection above this is closed at once.
const CONNECTIONS_MAX: usize = 1024;
/// For the header of a request, and between two requests.
const HEADER_PATIENCE: Duration = Duration::from_secs(15);
/// Requests at once on one connection of HTTP/2; each watch is one.
const REQUESTS_MAX: u32 = 128;
/// What the header of a request may come to on HTTP/2, in bytes.
const HEADER_BYTES_MAX: u32 = 64 * 1024;
/// How often a connection of HTTP/2 on which nothing happens is asked whether somebody is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// For what is still being answered when the controller stops. Event streams never end by themselves.
const STOP_PATIENCE: Duration = Duration::from_secs(1);
/// After an `accept` that failed, such as for want of descriptors: a pause lets some connection end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The live connections of one listener.
struct Connections {
    tasks: JoinSet<()>,
    slots: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl Connections {
    fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            slots: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            stopping: watch::Sender::new(false),
        }
    }

    /// Runs one connection, or drops it at the limit.
    fn spawn<F>(&mut self, connection: impl FnOnce(watch::Receiver<bool>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            tracing::debug!("connection refused: {CONNECTIONS_MAX} are open");
            return;
        };
        let running = connection(self.stopping.subscribe());
        self.tasks.spawn(async move {
            running.await;
            drop(slot);
        });
        while let Some(ended) = self.tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "connection's task broke");
            }
        }
    }

    async fn stop(mut self) {
        self.stopping.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOP_PATIENCE, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// The version of HTTP that both ends agreed on.
#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
}

/// Serves requests on one connection until it ends, breaks or the controller stops.
async fn converse<S>(
    stream: S,
    version: Version,
    router: Router,
    peer: Peer,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stops = Stopping(stopping.clone());
    let service = service_fn(move |request| answer(router.clone(), peer, stops.clone(), request));
    let stream = TokioIo::new(stream);
    // Boxed, so that a connection takes what its version needs, and not what the larger one does.
    let ended = match version {
        Version::One => {
            Box::pin(async {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_PATIENCE)
                    .serve_connection(stream, service);
                tokio::pin!(connection);
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = stopped(&mut stopping) => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            })
            .await
        }
        Version::Two => {
            Box::pin(async {
                let connection = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .max_concurrent_streams(REQUESTS_MAX)
                    .max_header_list_size(HEADER_BYTES_MAX)
                    .keep_alive_interval(PING_EVERY)
                    .keep_alive_timeout(HEADER_PATIENCE)
                    .serve_connection(stream, service);
                tokio::pin!(connection);
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = stopped(&mut stopping) => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            })
            .await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection broke");
    }
}

async fn answer(
    mut router: Router,
    peer: Peer,
    stopping: Stopping,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    name_host(&mut request);
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(stopping);
    router.call(request).await
}

/// HTTP/2 says in the address of a request what HTTP/1.1 says in a header (RFC 9113 §8.3.1).
fn name_host(request: &mut hyper::Request<Body>) {
    let authority = request.uri().authority().and_then(|authority| authority.as_str().parse().ok());
    if let Some(host) = authority.filter(|_| !request.headers().contains_key(hyper::header::HOST)) {
        request.headers_mut().insert(hyper::header::HOST, host);
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the listener is gone: the same thing.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

async fn accept_failed(error: std::io::Error) {
    tracing::warn!(%error, "accept a connection");
    sleep(ACCEPT_PAUSE).await;
}
