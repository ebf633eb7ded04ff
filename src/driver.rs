//! When cycles run. One task for each space of the configuration: it acquires the ownership, renews it on its
//! own timer, runs the cycles, and gives the space back when it is told to. Spaces never wait for each other.
//! Publishes what people see on a watch channel. Decides nothing about machines.

mod abandoned;
mod board;
mod line;
mod membership;
mod placing;
mod requests;
mod silence;
mod space;
mod treasury;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{error, info, warn};
use vcycle_api::{Act, Clock};

use crate::act::Home;
use crate::config::SpaceConfig;
use crate::cycle::CapsRead;
use crate::library::Setup;
use crate::model::{Board, ConfigStatus, DeploymentId, Generation, SpaceName};
use crate::observe::SpaceMemory;
use crate::store::{Ledger, Store};

use board::{BoardKeeper, News};
use membership::{Membership, View};
use space::{Inbox, SpaceWorker};

/// Makes the provider of a space. Called when a space is first worked on, and again when its provider table
/// has changed or making it has failed.
pub type Providers = Arc<dyn Fn(&SpaceConfig) -> anyhow::Result<Arc<dyn Act>> + Send + Sync>;

/// Everything that the driver is given by the composition root (`vcycle run`, `vcycle demo`, tests).
pub struct Context {
    /// The state directory.
    pub store: Store,
    /// The time of records and people. Waiting is done on the runtime's time.
    pub clock: Arc<dyn Clock>,
    /// Who we are, for the records and the VMs.
    pub home: Home,
    /// From [`Store::open_deployment`].
    pub deployment: DeploymentId,
    /// The instructions; a new value is taken up at once.
    pub setup: watch::Receiver<Arc<Setup>>,
    /// Which configuration is in use; only shown.
    pub config_status: watch::Receiver<ConfigStatus>,
    /// Makes providers.
    pub providers: Providers,
    /// Where the board is published ([`first_board`] is its first value).
    pub board: watch::Sender<Arc<Board>>,
    /// The other end of the [`Waker`].
    pub wakes: Wakes,
    /// Where this manager's server for people listens; shown to the others.
    pub address: Option<SocketAddr>,
    /// Never the same for two processes (random in production): names of machines follow from it.
    pub seed: u64,
}

/// Shortens the wait of a space. Cheap to clone; never blocks; a wake-up that is lost costs only time.
#[derive(Debug, Clone)]
pub struct Waker(mpsc::Sender<SpaceName>);

/// Receives wake-ups.
#[derive(Debug)]
pub struct Wakes(mpsc::Receiver<SpaceName>);

/// Wake-ups that may stand in line, for all spaces together.
const WAKES_IN_LINE: usize = 1024;

/// The two ends of the wake-up line.
pub fn waker() -> (Waker, Wakes) {
    let (sender, receiver) = mpsc::channel(WAKES_IN_LINE);
    (Waker(sender), Wakes(receiver))
}

impl Waker {
    /// A machine of the space has said its last words, or something else has happened in it: the next cycle
    /// comes at once (but for the shortest gap) and looks for new `shutdown_message`s.
    pub fn wake(&self, space: &SpaceName) {
        // When the line is full everybody is being woken anyway.
        let _ = self.0.try_send(space.clone());
    }
}

/// The board before anything is known.
pub fn first_board(home: &Home, clock: &dyn Clock, config: ConfigStatus) -> Arc<Board> {
    Arc::new(Board {
        manager: home.manager.clone(),
        version: home.version.clone(),
        started: clock.now(),
        config,
        store_problem: None,
        spaces: BTreeMap::new(),
        idle_spaces: BTreeMap::new(),
        idle_since: BTreeMap::new(),
        abandoned: BTreeMap::new(),
        spending: None,
    })
}

/// How long a stop may take: a cloud call that is under way is waited for, an ownership is given back.
pub const STOP_LONGEST: Duration = Duration::from_secs(30);

/// How long after a panic of a space's task it is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(10);

/// Runs until `shutdown` is ready. Then every space finishes the step that it is in and is given back, at
/// the latest after [`STOP_LONGEST`]. Machines stay.
pub async fn run(context: Context, shutdown: impl Future<Output = ()> + Send) {
    let Context {
        store,
        clock,
        home,
        deployment,
        mut setup,
        mut config_status,
        providers,
        board,
        wakes: Wakes(mut wakes),
        address,
        seed,
    } = context;
    let (news, mut reports) = mpsc::channel(64);
    let given_back = watch::Sender::new(0);
    let run = format!("{seed:016x}");
    let (ledger, caps) = (Ledger::new(&store), treasury::unread());
    let purse = Purse { ledger, caps, clocks: Mutex::default() };
    let shared =
        Shared { store, purse, clock, home, deployment, providers, seed, news, run, given_back };
    let shared = Arc::new(shared);
    let members = Membership::new(Arc::clone(&shared), address, setup.clone(), board.subscribe());
    let mut board = BoardKeeper::new(board, Arc::clone(&shared.clock));
    let mut beside = JoinSet::new();
    beside.spawn(abandoned::search_for_ever(Arc::clone(&shared), setup.clone()));
    beside.spawn(treasury::keep_for_ever(Arc::clone(&shared), setup.clone()));
    let mut fleet = Fleet::new(shared, setup.clone(), members.view());
    let farewell = watch::Sender::new(None);
    let members = tokio::spawn(members.run(farewell.subscribe()));
    let mut shutdown = pin!(shutdown);
    fleet.adjust(&setup.borrow_and_update().clone(), Duration::ZERO);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = fleet.tasks.join_next_with_id() => {
                if let Some(failed) = fleet.ended(ended) {
                    board.take(failed);
                    fleet.adjust(&setup.borrow().clone(), RESTART_PAUSE);
                }
            }
            Some(report) = reports.recv() => board.take(report),
            Ok(()) = setup.changed() => {
                fleet.adjust(&setup.borrow_and_update().clone(), Duration::ZERO);
            }
            Ok(()) = config_status.changed() => {
                board.config(config_status.borrow_and_update().clone());
            }
            Some(space) = wakes.recv() => fleet.wake(&space),
            else => break,
        }
    }
    beside.abort_all();
    info!("stopping: finishing the current steps and giving the spaces back");
    fleet.stop().await;
    farewell.send_replace(Some(Farewell::Shutdown));
    if tokio::time::timeout(FAREWELL_LONGEST, members).await.is_err() {
        warn!("the state directory does not answer; the others find out by our silence");
    }
}

/// How long saying farewell to the other managers may take.
const FAREWELL_LONGEST: Duration = Duration::from_secs(5);

/// What all spaces share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) purse: Purse,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) home: Home,
    pub(crate) deployment: DeploymentId,
    pub(crate) providers: Providers,
    pub(crate) seed: u64,
    pub(crate) news: mpsc::Sender<News>,
    /// Names this process.
    pub(crate) run: String,
    /// How many times a space was given back.
    pub(crate) given_back: watch::Sender<u64>,
}

/// The money of the deployment.
pub(crate) struct Purse {
    /// What was spent and is kept free.
    pub(crate) ledger: Ledger,
    /// Whether the caps in force are those of the spend manager.
    pub(crate) caps: watch::Sender<CapsRead>,
    /// Whether the time was believed in the last cycle of each space that is ours.
    pub(crate) clocks: Mutex<BTreeMap<SpaceName, bool>>,
}

impl Purse {
    /// The highest ownership of a space that the ledger has seen: it was, whatever the log of owners has lost.
    pub(crate) fn generation(&self, space: &SpaceName) -> Generation {
        self.ledger.book().generation(space).unwrap_or_default()
    }

    /// What the last cycle of a space thinks of the time; `None`: it is not ours.
    pub(crate) fn saw_clock(&self, space: &SpaceName, memory: Option<&SpaceMemory>) {
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        match memory {
            Some(memory) => drop(clocks.insert(space.clone(), memory.believed_since.is_some())),
            None => drop(clocks.remove(space)),
        }
    }

    /// Whether this manager's clock is believed: by the spaces that it owns, which ask the file server for its time.
    pub(crate) fn clock_is_believed(&self) -> bool {
        let clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        !clocks.is_empty() && clocks.values().all(|is_believed| *is_believed)
    }

    /// What is known of the caps now.
    pub(crate) fn caps(&self) -> CapsRead {
        self.caps.borrow().clone()
    }
}

/// The tasks of the spaces.
struct Fleet {
    shared: Arc<Shared>,
    setup: watch::Receiver<Arc<Setup>>,
    members: watch::Receiver<View>,
    tasks: JoinSet<()>,
    running: BTreeMap<SpaceName, Running>,
}

/// The handle of one task.
struct Running {
    id: Id,
    stop: Arc<Stop>,
    wakes: mpsc::Sender<()>,
}

/// Tells a task to end: at once between steps, and from any wait.
pub(crate) struct Stop {
    /// For steps: they are not begun any more.
    pub(crate) flag: AtomicBool,
    /// For waits.
    pub(crate) signal: watch::Sender<Option<Farewell>>,
}

/// Why a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// The process ends.
    Shutdown,
    /// The space is not in the configuration any more.
    Removed,
}

impl Stop {
    fn now(&self, why: Farewell) {
        self.flag.store(true, Ordering::Relaxed);
        self.signal.send_replace(Some(why));
    }
}

impl Fleet {
    fn new(
        shared: Arc<Shared>,
        setup: watch::Receiver<Arc<Setup>>,
        members: watch::Receiver<View>,
    ) -> Self {
        Self { shared, setup, members, tasks: JoinSet::new(), running: BTreeMap::new() }
    }

    /// One task for each space of the configuration, and none for others. A space that comes back while it
    /// is being given back waits for its own task to end; `ended` starts it again.
    fn adjust(&mut self, setup: &Setup, pause: Duration) {
        for (name, running) in &self.running {
            if !setup.spaces.contains_key(name) {
                running.stop.now(Farewell::Removed);
            }
        }
        for name in setup.spaces.keys() {
            if !self.running.contains_key(name) {
                self.start(name, pause);
            }
        }
    }

    fn start(&mut self, name: &SpaceName, pause: Duration) {
        let stop =
            Arc::new(Stop { flag: AtomicBool::new(false), signal: watch::Sender::new(None) });
        let (wakes, woken) = mpsc::channel(1);
        let worker = SpaceWorker::new(
            Arc::clone(&self.shared),
            name.clone(),
            Inbox {
                setup: self.setup.clone(),
                members: self.members.clone(),
                stop: Arc::clone(&stop),
                wakes: woken,
            },
        );
        let task = async move {
            tokio::time::sleep(pause).await;
            worker.run().await;
        };
        let id = self.tasks.spawn(task).id();
        self.running.insert(name.clone(), Running { id, stop, wakes });
    }

    /// A task has ended: by itself (after a farewell), or by a panic, which is told.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) -> Option<News> {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(failed) => failed.id(),
        };
        let space = self.running.iter().find(|(_, r)| r.id == id).map(|(s, _)| s.clone())?;
        self.running.remove(&space);
        let why = match ended {
            Ok(_) if !self.setup.borrow().spaces.contains_key(&space) => return None,
            Ok(_) => "it is being taken up again".to_owned(),
            Err(failed) => {
                error!(%space, %failed, "the task of a space failed; it is started again");
                format!("internal error, started again soon: {failed}")
            }
        };
        Some(News::Idle { space, why, store_problem: None })
    }

    fn wake(&self, space: &SpaceName) {
        if let Some(running) = self.running.get(space) {
            // Woken already: one is enough.
            let _ = running.wakes.try_send(());
        }
    }

    async fn stop(mut self) {
        for running in self.running.values() {
            running.stop.now(Farewell::Shutdown);
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_LONGEST, all).await.is_err() {
            warn!(
                "some spaces did not end in time; others will take them over when they see no renewal"
            );
            self.tasks.abort_all();
        }
    }
}
