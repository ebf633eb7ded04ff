//! The driver on paused time: ownership, renewal, take-over, side by side spaces, changed instructions, stop.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "core/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use support::run;
use support::site::{Site, space, with_twin};
use support::world::strict_cloud;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use vcycle::act::Home;
use vcycle::driver::{self, Context, Waker, first_board, waker};
use vcycle::library::Setup;
use vcycle::model::{
    Board, ConfigStatus, DeploymentId, ManagerName, Processors, SpaceName, SpaceSnapshot, Timestamp,
};
use vcycle::store::Store;
use vcycle::store::testing::{MemoryFs, Vanishing};
use vcycle_api::{
    Act, Capabilities, Clock, Instance, InstanceId, Interruption, Listing, Observe, Offering,
    ProviderError, Quota, SideResource,
};
use vcycle_sim::{Settings, SimCloud, SimProvider};

/// The runtime's own time, so that waiting moves it.
#[derive(Debug)]
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_767_225_600) + self.0.elapsed()
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What outlives a daemon: clouds by space, and the state directory.
struct World {
    clock: Arc<RuntimeClock>,
    disk: MemoryFs,
    clouds: Arc<Mutex<BTreeMap<SpaceName, SimCloud>>>,
    hangs: Arc<AtomicBool>,
}

/// A running daemon.
struct Daemon {
    board: watch::Receiver<Arc<Board>>,
    setup: watch::Sender<Arc<Setup>>,
    waker: Waker,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    _config: watch::Sender<ConfigStatus>,
}

fn other() -> SpaceName {
    SpaceName::parse("b.example").unwrap()
}

/// The site's space, and the same again under another name.
fn two_spaces() -> Arc<Setup> {
    Arc::new(with_twin(&site().setup(), &other()))
}

fn site() -> Site {
    Site::new(4).with("creations_per_cycle = 8")
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(RuntimeClock(Instant::now()));
        let clouds = [space(), other()].map(|name| {
            (name, SimCloud::new(Settings { seed: 5, ..strict_cloud(5) }, clock.clone()))
        });
        Self {
            disk: MemoryFs::new(clock.clone()),
            clock,
            clouds: Arc::new(Mutex::new(BTreeMap::from(clouds))),
            hangs: Arc::default(),
        }
    }

    async fn start(&self, name: &str, setup: Arc<Setup>) -> Daemon {
        let store = Store::new(Arc::new(self.disk.clone()), self.clock.clone());
        let deployment = store.open_deployment(DeploymentId::compose(5)).await.unwrap().id;
        let home = Home {
            manager: ManagerName::parse(name).unwrap(),
            version: "vcycle test".into(),
            hostname: name.into(),
            base_url: "https://localhost:1".into(),
            manager_ca: String::new(),
        };
        let status =
            ConfigStatus { loaded: self.clock.now(), digest: String::new(), refused: None };
        let (config, config_status) = watch::channel(status.clone());
        let (setup, instructions) = watch::channel(setup);
        let (board, shown) = watch::channel(first_board(&home, self.clock.as_ref(), status));
        let (waker, wakes) = waker();
        let (clouds, hangs) = (self.clouds.clone(), self.hangs.clone());
        let context = Context {
            store,
            clock: self.clock.clone(),
            home,
            deployment,
            setup: instructions,
            config_status,
            providers: Arc::new(move |config| {
                let clouds = clouds.lock().unwrap();
                let cloud = clouds.get(&config.name).ok_or(anyhow::anyhow!("no such cloud"))?;
                let hangs = (config.name == other()).then(|| hangs.clone());
                Ok(Arc::new(Hanging { inner: cloud.client(), hangs }) as Arc<dyn Act>)
            }),
            board,
            wakes,
            seed: name.len() as u64,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(driver::run(context, async {
            let _ = stopped.await;
        }));
        Daemon { board: shown, setup, waker, stop: Some(stop), task, _config: config }
    }

    fn machines(&self, space: &SpaceName) -> usize {
        self.clouds.lock().unwrap()[space].machines().len()
    }
}

impl Daemon {
    async fn until(&mut self, what: impl Fn(&Board) -> bool) -> Arc<Board> {
        let begun = Instant::now();
        while !what(&self.board.borrow()) {
            assert!(begun.elapsed() < Duration::from_secs(3600), "{:?}", self.board.borrow());
            let news = tokio::time::timeout(Duration::from_secs(3600), self.board.changed()).await;
            assert!(news.is_ok(), "in vain: {:?}", self.board.borrow());
        }
        self.board.borrow().clone()
    }

    async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.task.await.unwrap();
    }
}

fn running(board: &Board, space: &SpaceName) -> usize {
    let phases =
        |s: &Arc<SpaceSnapshot>| s.machines.iter().filter(|m| m.phase == "running").count();
    board.spaces.get(space).map_or(0, phases)
}

/// A cloud whose calls hang while it is told to.
struct Hanging {
    inner: SimProvider,
    hangs: Option<Arc<AtomicBool>>,
}

#[async_trait]
impl Observe for Hanging {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }
    async fn list(&self) -> Result<Listing, ProviderError> {
        while self.hangs.as_ref().is_some_and(|hangs| hangs.load(Ordering::SeqCst)) {
            sleep(Duration::from_secs(1)).await;
        }
        self.inner.list().await
    }
    async fn get(&self, id: &InstanceId) -> Result<Instance, ProviderError> {
        self.inner.get(id).await
    }
    async fn offerings(&self) -> Result<Vec<Offering>, ProviderError> {
        self.inner.offerings().await
    }
    async fn quota(&self) -> Result<Quota, ProviderError> {
        self.inner.quota().await
    }
    async fn interruptions(&self) -> Result<Vec<Interruption>, ProviderError> {
        self.inner.interruptions().await
    }
    async fn side_resources(&self) -> Result<Vec<SideResource>, ProviderError> {
        self.inner.side_resources().await
    }
}

#[async_trait]
impl Act for Hanging {
    async fn create(
        &self,
        request: &vcycle_api::CreateRequest,
    ) -> Result<vcycle_api::Created, ProviderError> {
        self.inner.create(request).await
    }
    async fn resolve(
        &self,
        intent: &vcycle_api::IntentToken,
        since: Timestamp,
    ) -> Result<vcycle_api::Resolution, ProviderError> {
        self.inner.resolve(intent, since).await
    }
    async fn delete(&self, id: &InstanceId) -> Result<vcycle_api::Deletion, ProviderError> {
        self.inner.delete(id).await
    }
    async fn delete_side_resource(
        &self,
        resource: &SideResource,
    ) -> Result<vcycle_api::Deletion, ProviderError> {
        self.inner.delete_side_resource(resource).await
    }
}

#[test]
fn a_stopped_manager_is_followed_at_once_and_no_machine_is_made_twice() {
    run(async {
        let world = World::new();
        let mut one = world.start("one", site().setup()).await;
        one.until(|board| running(board, &space()) == 4).await;
        let mut two = world.start("two", site().setup()).await;
        let held = two.until(|board| board.idle_spaces.contains_key(&space())).await;
        assert!(held.idle_spaces[&space()].contains("owned by one"), "{held:?}");
        let stopped = Instant::now();
        one.stop().await;
        two.until(|board| running(board, &space()) == 4).await;
        assert!(stopped.elapsed() < Duration::from_secs(5), "{:?}", stopped.elapsed());
        assert_eq!(world.machines(&space()), 4);
        two.stop().await;
    });
}

#[test]
fn a_killed_manager_is_followed_within_half_a_minute() {
    run(async {
        let world = World::new();
        let mut one = world.start("one", site().setup()).await;
        one.until(|board| running(board, &space()) == 4).await;
        let mut two = world.start("two", site().setup()).await;
        sleep(Duration::from_secs(40)).await;
        one.task.abort();
        let killed = Instant::now();
        two.until(|board| running(board, &space()) == 4).await;
        assert!(killed.elapsed() < Duration::from_secs(30), "{:?}", killed.elapsed());
        two.stop().await;
        assert_eq!(world.machines(&space()), 4);
    });
}

/// PEERS 1j-14: all spaces are served serially by one process, and one that hangs stops all.
#[test]
fn trap_1j_14_a_space_that_hangs_delays_no_other_and_stays_owned() {
    run(async {
        let world = World::new();
        world.hangs.store(true, Ordering::SeqCst);
        let mut one = world.start("one", two_spaces()).await;
        one.until(|board| running(board, &space()) == 4).await;
        // Many TTLs pass; renewal goes on in the background, so nobody else can have the space.
        let mut two = world.start("two", two_spaces()).await;
        sleep(Duration::from_secs(300)).await;
        let board = two.until(|board| board.idle_spaces.len() == 2).await;
        assert!(board.idle_spaces[&other()].contains("owned by one (generation 1)"), "{board:?}");
        world.hangs.store(false, Ordering::SeqCst);
        one.until(|board| running(board, &other()) == 4).await;
        one.stop().await;
        two.stop().await;
    });
}

#[test]
fn spaces_come_and_go_with_the_configuration_and_machines_stay() {
    run(async {
        let world = World::new();
        let mut one = world.start("one", two_spaces()).await;
        one.until(|b| running(b, &space()) == 4 && running(b, &other()) == 4).await;
        one.setup.send_replace(site().setup());
        let board = one.until(|board| !board.spaces.contains_key(&other())).await;
        assert!(board.idle_spaces[&other()].contains("4 machines"), "{:?}", board.idle_spaces);
        assert_eq!(world.machines(&other()), 4);
        one.setup.send_replace(two_spaces());
        one.until(|board| running(board, &other()) == 4).await;
        assert_eq!(world.machines(&other()), 4, "they are managed again");
        one.stop().await;
    });
}

#[test]
fn a_provider_that_cannot_be_made_is_said_and_tried_again() {
    run(async {
        let world = World::new();
        let taken = world.clouds.lock().unwrap().remove(&other()).unwrap();
        let mut one = world.start("one", two_spaces()).await;
        let board = one.until(|b| running(b, &space()) == 4).await;
        assert!(board.idle_spaces[&other()].contains("no such cloud"), "{:?}", board.idle_spaces);
        world.clouds.lock().unwrap().insert(other(), taken);
        one.until(|board| running(board, &other()) == 4).await;
        one.stop().await;
    });
}

#[test]
fn a_wake_up_shortens_the_wait_but_not_below_the_shortest_gap() {
    run(async {
        let world = World::new();
        let mut one = world.start("one", site().setup()).await;
        let at = |board: &Board| board.spaces.get(&space()).map(|s| s.at);
        one.until(|board| running(board, &space()) == 4).await;
        let before = at(&one.board.borrow()).unwrap();
        sleep(Duration::from_secs(5)).await;
        one.waker.wake(&space());
        let woken = one.until(|board| at(board) > Some(before)).await;
        let (woken, now) = (at(&woken).unwrap(), world.clock.now());
        assert!(
            now.since(woken) < Duration::from_secs(1)
                && woken.since(before) < Duration::from_secs(7)
        );
        for _ in 0..50 {
            one.waker.wake(&space());
            sleep(Duration::from_millis(100)).await;
        }
        let calls = world.clouds.lock().unwrap()[&space()].calls()["list machines"];
        assert!(calls < 12, "a storm of wake-ups is not a storm of calls: {calls}");
        one.stop().await;
    });
}

#[test]
fn a_vanished_state_directory_is_said_and_survived() {
    run(async {
        let world = World::new();
        let mut one = world.start("one", site().setup()).await;
        one.until(|board| running(board, &space()) == 4).await;
        world.disk.set_vanished(Vanishing::Away);
        let board = one.until(|board| board.store_problem.is_some()).await;
        assert!(board.store_problem.as_ref().unwrap().contains("state directory"), "{board:?}");
        sleep(Duration::from_secs(600)).await;
        assert_eq!(world.machines(&space()), 4);
        world.disk.set_vanished(Vanishing::Back);
        let well = |b: &Board| b.store_problem.is_none() && running(b, &space()) == 4;
        one.until(well).await;
        assert_eq!(world.machines(&space()), 4);
        let quota = world.clouds.lock().unwrap()[&space()].quota();
        assert_eq!(quota.processors_used, Some(Processors(4)));
        one.stop().await;
    });
}
