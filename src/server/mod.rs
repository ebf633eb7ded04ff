//! The HTTP servers: HTTPS for VMs, optionally plain HTTP for their reads, and one for people.
//!
//! They read the store and the published snapshots, and write one thing: the outputs that a VM puts
//! into its own folder. They hold no ownership, plan nothing and act on nothing. `docs/HTTP.md` is
//! the reference: every path, method, status, header and limit.

mod admin;
mod auth;
mod context;
mod cycles;
mod gate;
mod layers;
mod leftover;
mod listen;
mod peer;
mod tls;
mod vm;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use vcycle_api::Clock;

pub use admin::{
    ExplainAnswer, MachineAnswer, MachinesAnswer, SpaceSummary, SpacesAnswer, StatusAnswer,
};
pub use tls::TlsError;

use context::{Context, UPLOAD_MEMORY_KIB};
use gate::Gate;
use listen::Listener;
use tls::{Authority, RELOAD_EVERY, Source, Tls};

use crate::config::{ServerConfig, TlsIdentity};
use crate::library::Setup;
use crate::model::{Board, SpaceName};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Listening;

/// Called when a machine of the space has said its last words, so that the next cycle comes at
/// once. Must not block. A machine can cause it as often as it likes: whoever is woken keeps a
/// shortest pause.
pub type Wake = Arc<dyn Fn(&SpaceName) + Send + Sync>;

/// Connections from all addresses together, on the listeners for VMs.
const VM_CONNECTIONS: usize = 8_000;
/// Connections from all addresses together, on the listener for people: apart, so that no number of
/// VMs can shut them out.
const ADMIN_CONNECTIONS: usize = 200;

/// What the servers need.
pub struct ServerSetup {
    /// Where to listen, and with which certificate. Fixed until the next start.
    pub config: ServerConfig,
    /// The state directory.
    pub store: Store,
    /// What the manager shows, as the driver publishes it.
    pub board: watch::Receiver<Arc<Board>>,
    /// The configuration in use: limits and admitted DNs are taken from the newest.
    pub setup: watch::Receiver<Arc<Setup>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For a machine's last words.
    pub wake: Wake,
    /// Where requests are counted, and `/metrics` is read from.
    pub metrics: Arc<Metrics>,
}

/// Why the servers could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address is taken, not ours, or forbidden.
    #[error(
        "cannot listen on {address} for {purpose}: {source}; stop what uses the port, or set another \
         {key}"
    )]
    Bind {
        /// What would have been there.
        purpose: &'static str,
        /// Section and key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What came back.
        source: std::io::Error,
    },
    /// The certificate or the client CAs cannot be used.
    #[error("the https listener cannot start: {0}")]
    Tls(#[from] TlsError),
    /// Our own authority cannot be read from the state directory, or written there.
    #[error("the https listener cannot start without its own authority: {0}")]
    Store(#[from] StoreError),
}

/// The running servers. Dropping it stops them at once; [`Running::shutdown`] lets requests finish.
#[derive(Debug)]
pub struct Running {
    /// Where HTTPS for VMs listens.
    pub https_addr: SocketAddr,
    /// Where plain HTTP listens, if it does.
    pub http_addr: Option<SocketAddr>,
    /// Where people find us.
    pub admin_addr: SocketAddr,
    /// The URL for VMs, `https://HOST:PORT`, without a slash at the end.
    pub base_url: String,
    /// PEM of the CA that VMs must trust; `None`: a public one, or one that the site installs.
    pub ca_pem: Option<String>,
    stop: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts all listeners. When this returns, connections are accepted.
pub async fn start(setup: ServerSetup) -> Result<Running, ServerError> {
    let ServerSetup { config, store, board, setup, clock, wake, metrics } = setup;
    let tls = Arc::new(load_tls(&config, &store, &clock).await?);
    let https = bind("VMs (https)", "[server.https] listen", config.https.listen).await?;
    let http = match config.http_listen {
        Some(address) => Some(bind("VMs (plain http)", "[server] http_listen", address).await?),
        None => None,
    };
    let admin = bind("people and metrics", "[server] admin_listen", config.admin_listen).await?;
    let https_addr = address_of(&https, config.https.listen);
    let http_addr = http.as_ref().zip(config.http_listen).map(|(tcp, set)| address_of(tcp, set));
    let admin_addr = address_of(&admin, config.admin_listen);

    let cycles = cycles::count_cycles(board.clone(), Arc::clone(&clock), Arc::clone(&metrics));
    let context = Arc::new(Context {
        store,
        board,
        setup,
        clock,
        wake,
        metrics,
        tls: Arc::clone(&tls),
        upload_memory: Arc::new(tokio::sync::Semaphore::new(UPLOAD_MEMORY_KIB)),
        uploads: Context::upload_gate(),
    });
    let (stop, stopped) = watch::channel(());
    let vms: Arc<Gate<IpAddr>> = Gate::new(VM_CONNECTIONS);
    let people: Arc<Gate<IpAddr>> = Gate::new(ADMIN_CONNECTIONS);
    let listener = |tcp, kind, routes: Router, gate: &Arc<Gate<IpAddr>>| Listener {
        tcp,
        kind,
        tls: (kind == Listening::Https).then(|| Arc::clone(&tls)),
        routes,
        context: Arc::clone(&context),
        gate: Arc::clone(gate),
    };
    let mut listeners = vec![
        listener(https, Listening::Https, vm::https_routes(&context), &vms),
        listener(admin, Listening::Admin, admin::routes(&context), &people),
    ];
    listeners
        .extend(http.map(|tcp| listener(tcp, Listening::Http, vm::http_routes(&context), &vms)));
    let mut tasks: Vec<JoinHandle<()>> = listeners
        .into_iter()
        .map(|listener| tokio::spawn(listen::serve(listener, stopped.clone())))
        .collect();
    tasks.push(tokio::spawn(stopping(stopped.clone(), cycles)));
    tasks.push(tokio::spawn(stopping(stopped, keep_certificate_fresh(Arc::clone(&tls)))));
    let port = config.https.port.unwrap_or(https_addr.port());
    let base_url = format!("https://{}:{port}", url_host(&config.https_host));
    tracing::info!(%https_addr, ?http_addr, %admin_addr, base_url, "servers started");
    let ca_pem = tls.ca_pem().map(str::to_owned);
    Ok(Running { https_addr, http_addr, admin_addr, base_url, ca_pem, stop, tasks })
}

impl Running {
    /// Accepts nothing more, lets requests under way finish for a few seconds, and ends.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(());
        for task in self.tasks.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a server task failed");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn load_tls(
    config: &ServerConfig,
    store: &Store,
    clock: &Arc<dyn Clock>,
) -> Result<Tls, ServerError> {
    let source = match &config.https.identity {
        TlsIdentity::Files { certificate, key } => {
            Source::Files { certificate: certificate.clone(), key: key.clone() }
        }
        TlsIdentity::SelfSigned => {
            let fresh = Authority::generate(clock.now()).map_err(TlsError::from)?;
            let pem = store.open_authority(&fresh).await?;
            let authority = Authority::from_pem(&pem).map_err(TlsError::from)?;
            Source::Own { authority: Box::new(authority), host: config.https_host.clone() }
        }
    };
    Ok(Tls::load(source, config.https.client_ca.clone(), Arc::clone(clock)).await?)
}

/// Runs until the servers stop.
async fn stopping(mut stop: watch::Receiver<()>, task: impl Future<Output = ()>) {
    tokio::select! {
        _ = stop.changed() => {}
        () = task => {}
    }
}

/// Looks at the certificate files again and again. `Tls` itself says in the log what it found.
async fn keep_certificate_fresh(tls: Arc<Tls>) {
    loop {
        tokio::time::sleep(RELOAD_EVERY).await;
        tls.reload().await;
    }
}

async fn bind(
    purpose: &'static str,
    key: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| ServerError::Bind {
        purpose,
        key,
        address,
        source,
    })
}

/// The address with the port that was given for port 0.
fn address_of(tcp: &TcpListener, configured: SocketAddr) -> SocketAddr {
    tcp.local_addr().unwrap_or(configured)
}

/// An IPv6 address needs brackets in a URL.
fn url_host(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => format!("[{v6}]"),
        Ok(IpAddr::V4(_)) | Err(_) => host.to_owned(),
    }
}
