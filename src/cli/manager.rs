//! One manager, put together: configuration, lock of its name, state directory, servers, driver,
//! reload. The same for `vcycle run` and `vcycle demo`; what they do around it is theirs.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use vcycle_api::Clock;

use super::error::CliError;
use super::providers;
use super::site::must_be_a_directory;
use crate::act::Home;
use crate::config::{Host, Site};
use crate::driver;
use crate::library::Setup;
use crate::model::{Board, ConfigStatus, DeploymentId, SpaceName};
use crate::reload::{Reloader, Timing};
use crate::server::{self, ServerSetup};
use crate::store::{ManagerLock, RealFs, Store};
use crate::telemetry::Metrics;

/// A running manager. To be ended with [`Manager::stop`]; machines stay.
pub(crate) struct Manager {
    /// What it shows.
    pub(crate) board: watch::Receiver<Arc<Board>>,
    /// Its instructions.
    pub(crate) setup: watch::Receiver<Arc<Setup>>,
    /// Its state directory.
    pub(crate) store: Store,
    /// Reads the configuration again at once.
    pub(crate) reload: Arc<Notify>,
    /// Goes through the driver and comes back as a change of the board: proves that it lives.
    pub(crate) pulse: watch::Sender<ConfigStatus>,
    servers: server::Running,
    driver: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    helpers: Vec<JoinHandle<()>>,
    _name: ManagerLock,
}

impl Manager {
    /// Starts everything. An error leaves nothing running, and no cloud was called.
    pub(crate) async fn start(config: &Path, clock: Arc<dyn Clock>) -> Result<Self, CliError> {
        let host = Host::this();
        let (reloader, warnings) =
            Reloader::start(config, host.clone(), clock.clone(), Timing::default())
                .map_err(|problems| CliError::Problems(problems.to_string()))?;
        for warning in &warnings {
            tracing::warn!(%warning, "the configuration should be looked at");
        }
        let (setup, status) = (reloader.setup(), reloader.status());
        let in_use = Arc::clone(&setup.borrow());
        let site = &in_use.config.site;
        let (name, store, deployment) = open_state(site, &clock).await?;
        let mut home = home_of(site, host);
        let (publish, board) =
            watch::channel(driver::first_board(&home, clock.as_ref(), status.borrow().clone()));
        let (waker, wakes) = driver::waker();
        let servers = server::start(ServerSetup {
            config: in_use.config.server.clone(),
            store: store.clone(),
            board: board.clone(),
            setup: setup.clone(),
            clock: clock.clone(),
            wake: Arc::new(move |space: &SpaceName| waker.wake(space)),
            metrics: Arc::new(Metrics::new()),
        })
        .await
        .map_err(|error| CliError::failed("cannot start the servers", &error))?;
        home.base_url.clone_from(&servers.base_url);
        home.manager_ca = servers.ca_pem.clone().unwrap_or_default();
        tracing::info!(deployment = %deployment, manager = %home.manager, "manager starts");
        let pulse = watch::Sender::new(status.borrow().clone());
        let (stop, stopped) = oneshot::channel();
        let driver = tokio::spawn(driver::run(
            driver::Context {
                store: store.clone(),
                clock: clock.clone(),
                home,
                deployment: deployment.clone(),
                setup: setup.clone(),
                config_status: pulse.subscribe(),
                providers: providers::providers(clock, deployment),
                board: publish,
                wakes,
                address: Some(servers.admin_addr),
                seed: rand::random(),
            },
            async {
                // A dropped sender is an end as well.
                let _ = stopped.await;
            },
        ));
        let reload = reloader.kick();
        let helpers =
            vec![tokio::spawn(relay(status, pulse.clone())), tokio::spawn(reloader.run())];
        Ok(Self { board, setup, store, reload, pulse, servers, driver, stop, helpers, _name: name })
    }

    /// The board when every space of the configuration has shown what it is.
    pub(crate) fn first_board(&self) -> impl Future<Output = Arc<Board>> + use<> {
        let spaces: Vec<SpaceName> = self.setup.borrow().spaces.keys().cloned().collect();
        let mut board = self.board.clone();
        async move {
            let complete = |board: &Arc<Board>| {
                spaces.iter().all(|space| {
                    board.spaces.contains_key(space) || board.idle_spaces.contains_key(space)
                })
            };
            // An error: the driver has ended; what it last showed is what there is.
            let _ = board.wait_for(complete).await;
            Arc::clone(&board.borrow())
        }
    }

    /// When the driver has ended without being told to: a fault.
    pub(crate) async fn ended(&mut self) -> CliError {
        match (&mut self.driver).await {
            Ok(()) => CliError::Failed("the driver ended by itself".to_owned()),
            Err(error) => CliError::failed("the driver failed", &error),
        }
    }

    /// Finishes the current steps, gives the spaces back, and ends. Machines stay.
    pub(crate) async fn stop(self) {
        let Self { servers, driver, stop, helpers, .. } = self;
        // An error means that it has ended already.
        let _ = stop.send(());
        if let Err(error) = driver.await {
            tracing::error!(%error, "the driver failed while it ended");
        }
        for helper in &helpers {
            helper.abort();
        }
        servers.shutdown().await;
    }
}

/// Takes the manager's name, and opens the state directory.
async fn open_state(
    site: &Site,
    clock: &Arc<dyn Clock>,
) -> Result<(ManagerLock, Store, DeploymentId), CliError> {
    must_be_a_directory(&site.state_dir)?;
    let fs = RealFs::new(&site.state_dir);
    let name = ManagerLock::take(&fs, &site.manager)
        .map_err(|error| CliError::failed("cannot start", &error))?;
    let store = Store::new(Arc::new(fs), Arc::clone(clock));
    let deployment = store
        .open_deployment(DeploymentId::compose(rand::random()))
        .await
        .map_err(|error| CliError::failed("cannot open the state directory", &error))?;
    Ok((name, store, deployment.id))
}

/// Who we are; where VMs find us is known when the servers listen.
fn home_of(site: &Site, host: Host) -> Home {
    Home {
        manager: site.manager.clone(),
        version: format!("vcycle {}", env!("CARGO_PKG_VERSION")),
        hostname: host.name,
        base_url: String::new(),
        manager_ca: String::new(),
    }
}

/// Hands the status of the configuration on to the driver, beside the pulse.
async fn relay(mut from: watch::Receiver<ConfigStatus>, to: watch::Sender<ConfigStatus>) {
    while from.changed().await.is_ok() {
        to.send_replace(from.borrow_and_update().clone());
    }
}
