//! Starting, stopping and killing managers: each is the real driver on the gates of its process.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use rand::RngExt;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep};
use vcycle::act::Home;
use vcycle::driver::{self, Context, Providers, Waker, first_board, waker};
use vcycle::library::Setup;
use vcycle::model::{Board, ConfigStatus, ManagerName};
use vcycle::store::Store;
use vcycle::store::testing::FaultyFs;
use vcycle_api::{Act, Clock};
use vcycle_sim::{CallFault, ClientOptions, Rates, SimProvider};

use super::cloud::GatedCloud;
use super::gate::{Blow, GatedFs, Line, ROUND};
use super::host::{Host, Process};
use super::weather::{SPACES, Sleep};
use super::world::World;

type Clients = Arc<Mutex<Vec<Arc<SimProvider>>>>;

/// A running manager.
pub struct Running {
    pub process: Arc<Process>,
    pub board: watch::Receiver<Arc<Board>>,
    pub waker: Waker,
    /// How long it stays away after its end, in milliseconds; `None`: drawn.
    pub away: Option<u64>,
    setup: watch::Sender<Arc<Setup>>,
    fs: Arc<GatedFs>,
    clients: Clients,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    _config: watch::Sender<ConfigStatus>,
}

impl Running {
    /// Starts a manager. What is in store for it follows from the number of its process.
    pub fn start(world: &Arc<World>, host: &Arc<Host>, number: u32, setup: Arc<Setup>) -> Self {
        let process = Arc::new(Process::new(number, host.clone(), world.clone()));
        let lines = lines(&process);
        let fs = Arc::new(GatedFs::new(process.clone(), &world.disk, lines.clone()));
        let store = Store::new(fs.clone(), host.clock.clone());
        let clients = Clients::default();
        let name = format!("m{}", host.number);
        let home = Home {
            manager: ManagerName::parse(&name).unwrap(),
            version: "vcycle test".into(),
            hostname: name,
            base_url: "https://localhost:1".into(),
            manager_ca: String::new(),
        };
        let now = host.clock.now();
        let status = ConfigStatus { loaded: now, digest: String::new(), refused: None };
        let (config, config_status) = watch::channel(status.clone());
        let (setup, instructions) = watch::channel(setup);
        let (board, shown) = watch::channel(first_board(&home, host.clock.as_ref(), status));
        let (waker, wakes) = waker();
        let (stop, stopped) = oneshot::channel::<()>();
        let providers = providers(&process, &lines, &clients);
        let (clock, seed) = (host.clock.clone(), world.shape.seed ^ (u64::from(number) << 40));
        let (fresh, of) = (world.deployment.clone(), process.clone());
        let task = tokio::spawn(async move {
            // A daemon that cannot open the state directory ends, and is started again.
            let deployment = loop {
                match store.open_deployment(fresh.clone()).await {
                    Ok(deployment) => break deployment.id,
                    Err(_) => sleep(Duration::from_secs(1)).await,
                }
            };
            let context = Context {
                store,
                clock,
                home,
                deployment,
                setup: instructions,
                config_status,
                providers,
                board,
                wakes,
                address: None,
                seed,
            };
            driver::run(context, async { drop(stopped.await) }).await;
            // A process that has ended does nothing more.
            of.kill();
            of.world.died(of.number);
        });
        let stop = Some(stop);
        let (away, _config) = (None, config);
        Self { process, board: shown, waker, away, setup, fs, clients, stop, task, _config }
    }

    /// As kill -9.
    pub fn kill(&self) {
        self.process.kill();
        self.task.abort();
    }

    /// As SIGTERM.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
    }

    /// Gives it other instructions.
    pub fn configure(&self, setup: Arc<Setup>) {
        self.setup.send_replace(setup);
    }

    /// Its caches, by space.
    pub fn caches(&self) -> Vec<FaultyFs> {
        self.fs.caches()
    }

    /// Something happens to its calls in all spaces.
    pub fn inject(&self, fault: &CallFault) {
        for client in self.clients.lock().unwrap().iter() {
            client.inject(fault.clone());
        }
    }

    /// Nothing goes wrong with it any more.
    pub fn calm(&self) {
        self.process.wake();
        self.fs.calm();
        for client in self.clients.lock().unwrap().iter() {
            client.inject(CallFault::RestoreCredentials);
            client.set_rates(Rates::default());
        }
    }
}

impl Host {
    /// All its lines work.
    pub fn calm(&self) {
        for away in [&self.store_hangs, &self.store_fails, &self.cloud_cut, &self.caps_as_of] {
            away.store(0, Ordering::SeqCst);
        }
        // With minutes of difference all heartbeats look silent, and it is right that nothing is made.
        if self.clock.offset().abs() > 15_000 {
            self.clock.set_offset(0);
        }
    }
}

/// A line for each space, one for the rest, and one for money. Most processes are struck at some operation.
fn lines(process: &Process) -> Vec<Arc<Line>> {
    let shape = &process.world.shape;
    let stream = u64::from(process.number) * 16;
    let mut dice = shape.dice(1_000 + stream);
    let millis = dice.random_range(1_000..60_000);
    let sleep = if dice.random_bool(0.3) { Sleep::Suspended } else { Sleep::Stopped };
    let blow = match dice.random_range(0..10) {
        0..2 => Some(Blow::DieBefore),
        2..4 => Some(Blow::DieAfter),
        4 => Some(Blow::DieInFlight),
        5 => Some(Blow::PauseBefore(millis, sleep)),
        6 => Some(Blow::PauseAfter(millis, sleep)),
        _ => None,
    };
    // As often among the first ten as among the next hundred.
    let at = f64::from(dice.random_range(0.0_f32..6.0)).exp() as u64;
    let mut struck = dice.random_range(0..shape.spaces);
    // The caps, also as they come into the ledger.
    if shape.purse.is_some() && shape.dice(1_015 + stream).random_bool(0.15) {
        struck = shape.spaces + 1;
    }
    let line = |space: usize| {
        let blow = blow.filter(|_| space == struck).map(|blow| (at, blow));
        let slot = process.host.number * (shape.spaces + 2) + space;
        let slot = shape.purse.is_some().then_some(slot as u64 % ROUND);
        Arc::new(Line::new(shape.dice(1_001 + stream + space as u64), blow, slot))
    };
    (0..shape.spaces + 2).map(line).collect()
}

fn providers(process: &Arc<Process>, lines: &[Arc<Line>], clients: &Clients) -> Providers {
    let (process, lines, clients) = (process.clone(), lines.to_vec(), clients.clone());
    Arc::new(move |config| {
        let space = SPACES.iter().position(|space| config.name.as_str() == *space);
        let space = space.ok_or(anyhow::anyhow!("no such cloud"))?;
        let world = &process.world;
        let rates = if world.is_calm() { Rates::default() } else { world.shape.rates };
        let clock: Arc<dyn Clock> = process.host.clock.clone();
        let options = ClientOptions { clock: Some(clock), rates: Some(rates), latency: None };
        let inner = Arc::new(world.clouds[space].client_with(options));
        clients.lock().unwrap().push(inner.clone());
        let (process, line) = (process.clone(), lines[space].clone());
        Ok(Arc::new(GatedCloud { process, line, space, inner }) as Arc<dyn Act>)
    })
}
