//! The server below each in-process cloud: it listens, counts what is under way, and can break a connection off
//! without an answer, which frameworks do not offer. What is answered is the cloud's own matter.

mod body;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use body::Outgoing;

/// The world of a cloud, and who is being served.
#[derive(Debug)]
pub struct Shared<W> {
    world: Mutex<W>,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
}

impl<W> Shared<W> {
    fn new(world: W) -> Self {
        let (in_flight, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { world: Mutex::new(world), in_flight, peak }
    }

    /// The world, for as long as this is held.
    ///
    /// # Panics
    /// When an answer has panicked: the test has failed.
    pub fn world(&self) -> MutexGuard<'_, W> {
        self.world.lock().expect("no answer of the fake cloud panics")
    }
}

/// Counts a request while it is served.
struct InFlight<'a, W>(&'a Shared<W>);

impl<'a, W> InFlight<'a, W> {
    fn new(shared: &'a Shared<W>) -> Self {
        let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.peak.fetch_max(now, Ordering::SeqCst);
        Self(shared)
    }
}

impl<W> Drop for InFlight<'_, W> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The connection ends here, without an answer: hyper closes it on an error of the service.
#[derive(Debug)]
pub struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection breaks off")
    }
}

impl std::error::Error for BrokenOff {}

/// What a request comes to.
pub type Served = Result<Response<Outgoing>, BrokenOff>;

/// A cloud that listens on the loopback interface. It ends, and its connections with it, when this is dropped.
#[derive(Debug)]
pub struct Server<W> {
    shared: Arc<Shared<W>>,
    address: SocketAddr,
    serving: JoinHandle<Infallible>,
}

impl<W> Drop for Server<W> {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl<W: Send + 'static> Server<W> {
    /// Listens on this port of 127.0.0.1, on a free one if it is 0. The world is made when the address is known.
    pub async fn start<F>(
        port: u16,
        world: impl FnOnce(SocketAddr) -> W,
        serve: fn(Arc<Shared<W>>, Request<Incoming>) -> F,
    ) -> io::Result<Self>
    where
        F: Future<Output = Served> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(world(address)));
        let serving = tokio::spawn(accept(listener, Arc::clone(&shared), serve));
        Ok(Self { shared, address, serving })
    }

    /// Breaks all connections and refuses new ones, until [`Server::restart`]. The world stays.
    pub fn stop(&self) {
        self.serving.abort();
    }

    /// Listens again, on the same port.
    pub async fn restart<F>(
        &mut self,
        serve: fn(Arc<Shared<W>>, Request<Incoming>) -> F,
    ) -> io::Result<()>
    where
        F: Future<Output = Served> + Send + 'static,
    {
        self.serving.abort();
        // The port is free when the task has ended.
        (&mut self.serving).await.ok();
        let listener = TcpListener::bind(self.address).await?;
        self.serving = tokio::spawn(accept(listener, Arc::clone(&self.shared), serve));
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As [`Shared::world`].
    pub fn world(&self) -> MutexGuard<'_, W> {
        self.shared.world()
    }

    /// The most requests that were served at one time.
    pub fn peak(&self) -> usize {
        self.shared.peak.load(Ordering::SeqCst)
    }
}

/// Serves until it is dropped, and its connections with it.
async fn accept<W, F>(
    listener: TcpListener,
    shared: Arc<Shared<W>>,
    serve: fn(Arc<Shared<W>>, Request<Incoming>) -> F,
) -> Infallible
where
    W: Send + 'static,
    F: Future<Output = Served> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Small answers go out at once, as real servers send them.
        stream.set_nodelay(true).ok();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move {
                    let _counted = InFlight::new(&shared);
                    serve(Arc::clone(&shared), request).await
                }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // An error is a connection that the client left, or that a trouble broke off.
            connection.await.ok();
        });
        while connections.try_join_next().is_some() {}
    }
}
