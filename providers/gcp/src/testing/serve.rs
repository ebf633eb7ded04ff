//! Connections: reads a request, lets its trouble befall it, answers or breaks off.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::ask::Ask;
use super::body::Outgoing;
use super::reply::Reply;
use super::trouble::Trouble;
use super::world::{Heard, World};

/// Between two looks of `wait`.
const LOOK: Duration = Duration::from_millis(20);

/// The world, and who is being served.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(world: World) -> Self {
        let (in_flight, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { world: Mutex::new(world), in_flight, peak }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no answer of the fake cloud panics")
    }

    /// The most requests that were served at one time.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }
}

/// Counts a request while it is served.
struct InFlight<'a>(&'a Shared);

impl<'a> InFlight<'a> {
    fn new(shared: &'a Shared) -> Self {
        let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.peak.fetch_max(now, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The connection ends here, without an answer: hyper closes it on an error of the service.
#[derive(Debug)]
struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection breaks off")
    }
}

impl std::error::Error for BrokenOff {}

/// Serves until it is dropped, and its connections with it.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Small answers go out at once, as real servers send them.
        stream.set_nodelay(true).ok();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| serve(&shared, request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // An error is a connection that the client left, or that a trouble broke off.
            connection.await.ok();
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, BrokenOff> {
    let _counted = InFlight::new(shared);
    let (parts, incoming) = request.into_parts();
    let mut ask = Ask::new(&parts);
    ask.body = incoming.collect().await.map_err(|_| BrokenOff)?.to_bytes();
    let (delay, trouble) = {
        let mut world = shared.world();
        (world.troubles.delay, world.troubles.take(&ask))
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    befallen(shared, &ask, trouble).await
}

async fn befallen(
    shared: &Shared,
    ask: &Ask,
    trouble: Option<Trouble>,
) -> Result<Response<Outgoing>, BrokenOff> {
    match trouble {
        None => Ok(response(waited(shared, ask).await, Outgoing::whole)),
        Some(Trouble::LoseRequest) => {
            shared.world().note_only(ask, None);
            Err(BrokenOff)
        }
        Some(Trouble::LoseReply) => {
            shared.world().answer(ask, Heard::No);
            Err(BrokenOff)
        }
        Some(Trouble::CutReply) => {
            let reply = shared.world().answer(ask, Heard::No);
            Ok(response(reply, Outgoing::cut))
        }
        Some(Trouble::Refuse(refusal)) => {
            shared.world().note_only(ask, Some(refusal.status));
            Ok(response(refusal.reply(), Outgoing::whole))
        }
        Some(Trouble::Mask(refusal)) => {
            shared.world().answer(ask, Heard::No);
            Ok(response(refusal.reply(), Outgoing::whole))
        }
        Some(Trouble::Slow(time)) => {
            let reply = shared.world().answer(ask, Heard::Yes);
            tokio::time::sleep(time).await;
            Ok(response(reply, Outgoing::whole))
        }
    }
}

/// The answer; that of `wait` when the operation is done or the time is over.
async fn waited(shared: &Shared, ask: &Ask) -> Reply {
    let mut reply = shared.world().answer(ask, Heard::Yes);
    if ask.path.last().map(String::as_str) != Some("wait") {
        return reply;
    }
    let mut left = shared.world().site.times.wait;
    while !left.is_zero() && String::from_utf8_lossy(&reply.body).contains("\"status\":\"RUNNING\"")
    {
        tokio::time::sleep(LOOK).await;
        left = left.saturating_sub(LOOK);
        reply = shared.world().look(ask);
    }
    reply
}

fn response(reply: Reply, body: fn(Vec<u8>) -> Outgoing) -> Response<Outgoing> {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(*name, value);
    }
    builder.body(body(reply.body)).expect("the fake cloud writes valid headers")
}
