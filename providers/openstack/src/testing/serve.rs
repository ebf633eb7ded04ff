//! Connections: reads a request, lets its trouble befall it, answers or breaks off.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::ask::Ask;
use super::body::Outgoing;
use super::glance;
use super::nova;
use super::reply::Reply;
use super::trouble::{On, Trouble};
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
    let Some(mut ask) = Ask::new(&parts, Bytes::new()) else {
        return Ok(response(World::nowhere(), Outgoing::whole));
    };
    ask.body = match On::Upload.fits(&ask) {
        true => upload(shared, &ask, incoming).await?,
        false => incoming.collect().await.map_err(|_| BrokenOff)?.to_bytes(),
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
    let carried_out = |heard: bool| {
        let mut world = shared.world();
        let reply = world.answer(ask);
        world.note(ask, heard.then_some(reply.status));
        reply
    };
    match trouble {
        None => Ok(response(carried_out(true), Outgoing::whole)),
        Some(Trouble::LoseRequest) => {
            shared.world().note(ask, None);
            Err(BrokenOff)
        }
        Some(Trouble::LoseReply) => {
            carried_out(false);
            Err(BrokenOff)
        }
        Some(Trouble::CutReply) => Ok(response(carried_out(false), Outgoing::cut)),
        Some(Trouble::Refuse(refusal)) => {
            shared.world().note(ask, Some(refusal.status));
            Ok(response(refusal.reply(), Outgoing::whole))
        }
        Some(Trouble::RepeatRequest) => {
            shared.world().note(ask, Some(400));
            Ok(response(nova::repeating(ask), Outgoing::whole))
        }
        Some(Trouble::MarkerVanishes) => {
            if let Some(marker) = ask.param("marker") {
                nova::vanish(&mut shared.world(), marker);
            }
            Ok(response(carried_out(true), Outgoing::whole))
        }
        Some(Trouble::Slow(time)) => {
            let reply = carried_out(true);
            tokio::time::sleep(time).await;
            Ok(response(reply, Outgoing::whole))
        }
    }
}

/// Reads the content of an image. While it comes, the image is `saving`; when the connection ends early,
/// Glance sets it back to `queued`.
async fn upload(shared: &Shared, ask: &Ask, mut incoming: Incoming) -> Result<Bytes, BrokenOff> {
    glance::saving(&mut shared.world(), ask);
    let limit = shared.world().images.cut_after.take();
    let mut content = Vec::new();
    while !incoming.is_end_stream() {
        let frame = match incoming.frame().await {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Err(given_up(shared, ask)),
            None => break,
        };
        content.extend_from_slice(frame.data_ref().map_or(&[][..], |data| &data[..]));
        if limit.is_some_and(|limit| content.len() > limit) {
            return Err(given_up(shared, ask));
        }
    }
    Ok(content.into())
}

fn given_up(shared: &Shared, ask: &Ask) -> BrokenOff {
    let mut world = shared.world();
    glance::queued_again(&mut world, ask);
    world.note(ask, None);
    BrokenOff
}

fn response(reply: Reply, body: fn(Vec<u8>) -> Outgoing) -> Response<Outgoing> {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(*name, value);
    }
    builder.body(body(reply.body)).expect("the fake cloud writes valid headers")
}
