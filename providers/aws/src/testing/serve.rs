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
use super::world::World;

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
    let body = incoming.collect().await.map_err(|_| BrokenOff)?.to_bytes();
    let Some(ask) = Ask::new(&parts, body) else {
        return Ok(response(Reply::page(404), Outgoing::whole));
    };
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
    let carried_out = |heard: bool, age: Duration| {
        let mut world = shared.world();
        let reply = world.answer(ask, age);
        world.note(ask, heard.then_some(&reply));
        reply
    };
    let fresh = Duration::ZERO;
    let reply = match trouble {
        None => carried_out(true, fresh),
        Some(Trouble::LoseRequest) => {
            shared.world().note(ask, None);
            return Err(BrokenOff);
        }
        Some(Trouble::LoseReply) => {
            carried_out(false, fresh);
            return Err(BrokenOff);
        }
        Some(Trouble::CutReply) => return Ok(response(carried_out(false, fresh), Outgoing::cut)),
        Some(Trouble::Refuse(refusal)) => {
            let mut world = shared.world();
            let reply = refusal.reply(ask.service, &world.ids.uuid());
            world.note(ask, Some(&reply));
            reply
        }
        Some(Trouble::RefuseAfter(refusal)) => {
            carried_out(false, fresh);
            refusal.reply(ask.service, &shared.world().ids.uuid())
        }
        Some(Trouble::Page(status)) => {
            let reply = Reply::page(status);
            shared.world().note(ask, Some(&reply));
            reply
        }
        Some(Trouble::Slow(time)) => {
            let reply = carried_out(true, fresh);
            tokio::time::sleep(time).await;
            reply
        }
        Some(Trouble::Stale(age)) => carried_out(true, age),
    };
    Ok(response(reply, Outgoing::whole))
}

fn response(reply: Reply, body: fn(Vec<u8>) -> Outgoing) -> Response<Outgoing> {
    let mut builder = Response::builder().status(reply.status).header("Server", "AmazonEC2");
    for (name, value) in &reply.headers {
        builder = builder.header(*name, value);
    }
    builder.body(body(reply.body)).expect("the fake cloud writes valid headers")
}
