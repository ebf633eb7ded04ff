//! A manager as the driver runs it, on the lines of one process.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use vcycle::driver::{self, Context, first_board, waker};
use vcycle::library::Setup;
use vcycle::model::{Board, ConfigStatus};
use vcycle::store::Store;
use vcycle_api::Clock;

use super::world::{World, home};
use crate::support::mortal::{Fate, MortalFs};

/// The manager.
pub struct Daemon {
    pub board: watch::Receiver<Arc<Board>>,
    pub fate: Arc<Fate>,
    task: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    _setup: watch::Sender<Arc<Setup>>,
    _config: watch::Sender<ConfigStatus>,
    _waker: driver::Waker,
}

impl Daemon {
    /// No two processes have the same number.
    pub async fn start(world: &Arc<World>, name: &str, number: u64) -> Self {
        let fate = Fate::kind();
        let disk = MortalFs::new(Arc::new(world.disk.clone()), fate.clone());
        let store = Store::new(Arc::new(disk), world.time.clone());
        let fresh = world.deployment.clone();
        let deployment = store.open_deployment(fresh).await.unwrap().id;
        let home = home(name);
        let status =
            ConfigStatus { loaded: world.time.now(), digest: String::new(), refused: None };
        let (config, config_status) = watch::channel(status.clone());
        let (setup, instructions) = watch::channel(world.setup.clone());
        let (board, shown) = watch::channel(first_board(&home, world.time.as_ref(), status));
        let (waker, wakes) = waker();
        let (of, its) = (world.clone(), fate.clone());
        let context = Context {
            store,
            clock: world.time.clone(),
            home,
            deployment,
            setup: instructions,
            config_status,
            providers: Arc::new(move |config| Ok(of.line(&config.name, &its))),
            board,
            wakes,
            address: None,
            seed: number,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let (task, its) = (driver::run(context, async { drop(stopped.await) }), fate.clone());
        let task = tokio::spawn(async move {
            // What dies does nothing more, in none of its spaces.
            tokio::select! {
                biased;
                () = its.death() => {}
                () = task => {}
            }
        });
        let stop = Some(stop);
        Self { board: shown, fate, task, stop, _setup: setup, _config: config, _waker: waker }
    }

    /// Whether it has ended, however that came.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// As kill -9.
    pub fn kill(&self) {
        self.fate.kill();
        self.task.abort();
    }

    /// As SIGTERM.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        drop(self.task.await);
    }
}
