//! The accept loop: from a TCP connection to requests with their peer, within limits.
//!
//! Every connection is bounded from its first byte: the TLS handshake and each header have
//! `header_time`, each request has `request_time`, and the whole connection a lifetime. An address
//! over its limit is turned away at once, so that it costs nothing and others find room.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::context::Context;
use super::gate::{Full, Gate, client_of};
use super::peer::Peer;
use super::tls::Tls;
use crate::config::ServerLimits;
use crate::telemetry::metrics::{Listening, Turned};

/// A connection is asked to end after this many times `request_time`, and ended one later.
const LIFETIME_REQUESTS: u32 = 5;
/// The most that a request's line and header may need.
const HEADER_BYTES: usize = 32 * 1024;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 16;
/// A pause after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests under way may take when the server stops.
const STOP_TIME: Duration = Duration::from_secs(5);

/// One listener with everything that its connections need.
pub(super) struct Listener {
    pub(super) tcp: TcpListener,
    pub(super) kind: Listening,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) routes: Router,
    pub(super) context: Arc<Context>,
    pub(super) gate: Arc<Gate<IpAddr>>,
}

/// Accepts until it is told to stop, then lets the requests under way finish for a while.
pub(super) async fn serve(listener: Listener, mut stop: watch::Receiver<()>) {
    let Listener { tcp, kind, tls, routes, context, gate } = listener;
    let mut connections = JoinSet::new();
    loop {
        let (stream, address) = tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = tcp.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, listener = %kind, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let limits = context.limits();
        let pass = match gate.enter(client_of(address.ip()), limits.connections_per_address) {
            Ok(pass) => pass,
            Err(full) => {
                let why = match full {
                    Full::Client => Turned::Address,
                    Full::Total => Turned::Total,
                };
                context.metrics.turned_away(kind, why);
                tracing::debug!(listener = %kind, %address, ?full, "connection turned away");
                continue;
            }
        };
        let connection = Connection {
            kind,
            address,
            limits,
            tls: tls.clone(),
            routes: routes.clone(),
            context: Arc::clone(&context),
            stop: stop.clone(),
        };
        connections.spawn(async move {
            connection.run(stream).await;
            drop(pass);
        });
    }
    drop(tcp);
    let finished = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_TIME, finished).await.is_err() {
        tracing::info!(listener = %kind, "connections that were still open have been cut off");
    }
}

struct Connection {
    kind: Listening,
    address: SocketAddr,
    limits: ServerLimits,
    tls: Option<Arc<Tls>>,
    routes: Router,
    context: Arc<Context>,
    stop: watch::Receiver<()>,
}

impl Connection {
    async fn run(mut self, stream: TcpStream) {
        self.context.metrics.connected(self.kind);
        // Answers are small: they should leave at once. A failure only makes them later.
        let _ = stream.set_nodelay(true);
        match self.tls.take() {
            None => {
                let peer =
                    Peer { address: self.address, listener: self.kind, chain: Arc::default() };
                self.http(stream, peer, Version::Http1).await;
            }
            Some(tls) => self.https(stream, &tls).await,
        }
    }

    async fn https(self, stream: TcpStream, tls: &Tls) {
        let handshake = TlsAcceptor::from(tls.current()).accept(stream);
        let why = match timeout(self.limits.header_time, handshake).await {
            Ok(Ok(stream)) => {
                let (_, session) = stream.get_ref();
                let chain = session.peer_certificates().unwrap_or_default();
                let chain = chain.iter().map(|der| der.clone().into_owned()).collect();
                let peer = Peer { address: self.address, listener: self.kind, chain };
                let version = match session.alpn_protocol() {
                    Some(b"h2") => Version::Http2,
                    Some(_) | None => Version::Http1,
                };
                return Box::pin(self.http(stream, peer, version)).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(address = %self.address, %error, "tls handshake failed");
                Turned::Handshake
            }
            Err(_) => Turned::Slow,
        };
        self.context.metrics.turned_away(self.kind, why);
    }

    /// Serves requests until the client goes, time is up, or the server stops.
    async fn http<S>(mut self, stream: S, peer: Peer, version: Version)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let asked = Arc::new(AtomicBool::new(false));
        let service = {
            let (asked, routes) = (Arc::clone(&asked), self.routes.clone());
            service_fn(move |mut request: Request<Incoming>| {
                asked.store(true, Ordering::Relaxed);
                request.extensions_mut().insert(peer.clone());
                let routes = routes.clone();
                async move { routes.oneshot(request).await }
            })
        };
        let builder = protocol(version, &self.limits);
        let mut connection =
            std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let start = Instant::now();
        let mut first_header = std::pin::pin!(sleep(self.limits.header_time));
        let mut end = start + self.limits.request_time * LIFETIME_REQUESTS;
        let mut ending = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(address = %self.address, %error, "connection ended");
                    }
                    return;
                }
                () = first_header.as_mut(), if !asked.load(Ordering::Relaxed) => {
                    return self.context.metrics.turned_away(self.kind, Turned::Slow);
                }
                _ = self.stop.changed(), if !ending => {
                    ending = true;
                    end = Instant::now() + self.limits.request_time;
                    connection.as_mut().graceful_shutdown();
                }
                () = sleep_until(end) => {
                    if ending {
                        return;
                    }
                    ending = true;
                    end = Instant::now() + self.limits.request_time;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.context.metrics.disconnected(self.kind);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

/// The version is fixed before the first byte (by ALPN), so that nobody can hang in the guessing.
fn protocol(version: Version, limits: &ServerLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder = match version {
        Version::Http1 => builder.http1_only(),
        Version::Http2 => builder.http2_only(),
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.header_time)
        .keep_alive_timeout(limits.header_time);
    builder
}
