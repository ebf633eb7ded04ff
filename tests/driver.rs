//! The driver on paused time: ownership, renewal, take-over, side by side spaces, changed instructions, stop.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "driver/cost.rs"]
mod cost;
#[path = "driver/silence.rs"]
mod silence;
#[path = "core/mod.rs"]
mod support;
#[path = "driver/together.rs"]
mod together;
#[path = "driver/treasury.rs"]
mod treasury;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use support::run;
use support::site::{Site, space, with_twin};
use support::world::{START, strict_cloud};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use vcycle::act::Home;
use vcycle::driver::{self, Context, Waker, first_board, waker};
use vcycle::library::Setup;
use vcycle::model::{
    Board, ConfigStatus, DeploymentId, ManagerName, OperatorRequest, Processors, RequestId,
    RequestWhat, SpaceName, SpaceSnapshot, Timestamp,
};
use vcycle::store::testing::{MemoryFs, Vanishing};
use vcycle::store::{SharedFs, Store};
use vcycle_api::testing::{Call, Forward, Line};
use vcycle_api::{Act, Clock, ErrorKind, ProviderError};
use vcycle_sim::{LogEvent, Settings, SimCloud};

/// The runtime's own time, so that waiting moves it, perhaps wrong by some hours.
#[derive(Debug)]
struct RuntimeClock {
    begun: Instant,
    hours_ahead: AtomicU64,
}

impl RuntimeClock {
    fn right() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), hours_ahead: AtomicU64::new(0) })
    }

    /// Somebody sets the clock.
    fn set_hours_ahead(&self, hours: u64) {
        self.hours_ahead.store(hours, Ordering::SeqCst);
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        let hours = self.hours_ahead.load(Ordering::SeqCst);
        START + self.begun.elapsed() + Duration::from_secs(3600 * hours)
    }
    fn monotonic(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// What outlives a daemon: clouds by space, and the state directory.
struct World {
    /// That of the hosts of daemons.
    clock: Arc<RuntimeClock>,
    disk: MemoryFs,
    clouds: Arc<Mutex<BTreeMap<SpaceName, SimCloud>>>,
    trouble: Arc<Trouble>,
    /// No two processes have the same seed.
    starts: AtomicU64,
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
    /// The state directory is on a file server with a clock of its own.
    fn new() -> Self {
        let clouds = [space(), other()].map(|name| {
            let settings = Settings { seed: 5, ..strict_cloud(5) };
            (name, SimCloud::new(settings, RuntimeClock::right()))
        });
        Self {
            disk: MemoryFs::new(RuntimeClock::right()),
            clock: RuntimeClock::right(),
            clouds: Arc::new(Mutex::new(BTreeMap::from(clouds))),
            trouble: Arc::default(),
            starts: AtomicU64::new(1),
        }
    }

    /// The state directory is on a disk of the daemon's host, and has its clock.
    fn on_one_host() -> Self {
        let world = Self::new();
        Self { disk: MemoryFs::new(world.clock.clone()), ..world }
    }

    /// How often something was asked of the cloud of the site's space.
    fn calls(&self, call: &str) -> u64 {
        self.clouds.lock().unwrap()[&space()].calls().get(call).copied().unwrap_or_default()
    }

    /// The same world, for hosts of which something is different. From this number on its processes have their seeds.
    fn beside(&self, starts: u64) -> Self {
        Self {
            clock: self.clock.clone(),
            disk: self.disk.clone(),
            clouds: Arc::clone(&self.clouds),
            trouble: Arc::clone(&self.trouble),
            starts: AtomicU64::new(starts),
        }
    }

    async fn start(&self, name: &str, setup: Arc<Setup>) -> Daemon {
        self.start_on(name, setup, Arc::new(self.disk.clone())).await
    }

    /// The same on another view of the state directory.
    async fn start_on(&self, name: &str, setup: Arc<Setup>, disk: Arc<dyn SharedFs>) -> Daemon {
        let store = Store::new(disk, self.clock.clone());
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
        let (clouds, trouble) = (self.clouds.clone(), self.trouble.clone());
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
                let line = Troubled(config.name.clone(), trouble.clone());
                Ok(Arc::new(Forward::new(Arc::new(cloud.client()), line)) as Arc<dyn Act>)
            }),
            board,
            wakes,
            address: None,
            seed: self.starts.fetch_add(1, Ordering::SeqCst),
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

/// Waits until something holds that no board tells.
async fn poll(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(3600), "in vain");
        sleep(Duration::from_millis(10)).await;
    }
}

fn running(board: &Board, space: &SpaceName) -> usize {
    let phases =
        |s: &Arc<SpaceSnapshot>| s.machines.iter().filter(|m| m.phase == "running").count();
    board.spaces.get(space).map_or(0, phases)
}

/// What goes wrong between a daemon and its clouds.
#[derive(Default)]
struct Trouble {
    /// The listings of the other space hang.
    hangs: AtomicBool,
    /// After so many creates in the site's space the next is told to come again after this.
    throttle: Mutex<Option<(u32, Duration)>>,
}

/// The line to the cloud of one space.
struct Troubled(SpaceName, Arc<Trouble>);

impl Line for Troubled {
    fn observe<'a, T: Send + 'a>(
        &'a self,
        operation: &'static str,
        call: Call<'a, T>,
    ) -> Call<'a, T> {
        if operation != "list" || self.0 != other() {
            return call;
        }
        let waits = async move {
            while self.1.hangs.load(Ordering::SeqCst) {
                sleep(Duration::from_secs(1)).await;
            }
            call.await
        };
        waits.boxed()
    }

    fn act<'a, T: Send + 'a>(&'a self, operation: &'static str, call: Call<'a, T>) -> Call<'a, T> {
        if operation != "create" || self.0 != space() {
            return call;
        }
        let complains = async move {
            let after = {
                let mut throttle = self.1.throttle.lock().unwrap();
                match *throttle {
                    Some((0, after)) => {
                        *throttle = None;
                        Some(after)
                    }
                    Some((creates, after)) => {
                        *throttle = Some((creates - 1, after));
                        None
                    }
                    None => None,
                }
            };
            match after {
                None => call.await,
                Some(after) => {
                    let kind = ErrorKind::Throttled { after: Some(after) };
                    Err(ProviderError::new(kind, operation, "too many requests"))
                }
            }
        };
        complains.boxed()
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

/// What a killed manager leaves looks as if it worked on, and has its own name.
#[test]
fn a_space_that_was_lost_is_not_shown_as_owned_by_the_one_who_lost_it() {
    run(async {
        let world = World::new();
        let mut one = world.start("one", site().setup()).await;
        one.until(|board| running(board, &space()) == 4).await;
        one.task.abort();
        let mut again = world.start("one", site().setup()).await;
        let board = again.until(|board| board.idle_spaces.contains_key(&space())).await;
        let waiting: Vec<_> = board.waiting_spaces().map(|(name, _)| name.clone()).collect();
        assert_eq!(waiting, [space()], "{board:?}");
        assert!(board.idle_spaces[&space()].contains("generation 1 was this manager's own"));
        again.until(|board| running(board, &space()) == 4).await;
        again.stop().await;
        assert_eq!(world.machines(&space()), 4);
    });
}

/// A drain is heard long before the next cycle is due, and what it did is shown at once.
#[test]
fn a_request_wakes_its_space_and_what_came_of_it_is_shown_with_the_cycle() {
    run(async {
        let world = World::new();
        let mut one = world.start("one", site().setup()).await;
        one.until(|board| running(board, &space()) == 4).await;
        let store = Store::new(Arc::new(world.disk.clone()), world.clock.clone());
        for number in 0..4 {
            let board = one.board.borrow().clone();
            let row = &board.spaces[&space()].machines[number];
            let by = world.clock.now() + Duration::from_secs(7200);
            let what = RequestWhat::DrainMachine { machine: row.name.clone(), by };
            let id = RequestId(format!("r{number}"));
            let request = OperatorRequest { format: 1, id, who: "admin".into(), at: by, what };
            let asked = Instant::now();
            store.put_request(&space(), &request).await.unwrap();
            let told = |board: &Board| {
                board.spaces[&space()].machines.iter().filter(|m| m.drain_by == Some(by)).count()
            };
            let before = one.board.borrow().spaces[&space()].at;
            let board = one.until(|board| board.spaces[&space()].at > before).await;
            assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
            assert_eq!(told(&board), 1, "the first cycle that is shown has told it");
            sleep(Duration::from_millis(100 + 7_300 * number as u64)).await;
        }
        one.stop().await;
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
        world.trouble.hangs.store(true, Ordering::SeqCst);
        let mut one = world.start("one", two_spaces()).await;
        one.until(|board| running(board, &space()) == 4).await;
        // Many TTLs pass; renewal goes on in the background, so nobody else can have the space.
        let mut two = world.start("two", two_spaces()).await;
        sleep(Duration::from_secs(300)).await;
        let board = two.until(|board| board.idle_spaces.len() == 2).await;
        assert!(board.idle_spaces[&other()].contains("owned by one (generation 1)"), "{board:?}");
        world.trouble.hangs.store(false, Ordering::SeqCst);
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
fn a_space_that_left_the_configuration_with_machines_is_still_told_after_a_restart() {
    run(async {
        let world = World::new();
        let mut one = world.start("one", two_spaces()).await;
        one.until(|b| running(b, &space()) == 4 && running(b, &other()) == 4).await;
        one.stop().await;
        let mut again = world.start("one", site().setup()).await;
        let board = again.until(|board| !board.abandoned.is_empty()).await;
        assert_eq!(board.abandoned, BTreeMap::from([(other(), 4)]));
        let why = &board.idle_spaces[&other()];
        assert!(why.contains("4 machines") && why.contains("put the space back"), "{why}");
        assert_eq!(world.machines(&other()), 4, "nothing is deleted for it");
        again.setup.send_replace(two_spaces());
        let board = again.until(|board| running(board, &other()) == 4).await;
        assert!(board.abandoned.is_empty() && board.idle_spaces.is_empty(), "{board:?}");
        again.stop().await;
    });
}

#[test]
fn a_space_of_another_manager_with_another_configuration_is_not_abandoned() {
    run(async {
        let world = World::new();
        let mut one = world.start("one", two_spaces()).await;
        one.until(|b| running(b, &space()) == 4 && running(b, &other()) == 4).await;
        let mut two = world.start("two", site().setup()).await;
        two.until(|board| board.idle_spaces.contains_key(&space())).await;
        sleep(Duration::from_secs(1300)).await;
        assert!(two.board.borrow().abandoned.is_empty(), "{:?}", two.board.borrow());
        one.task.abort();
        let board = two.until(|board| !board.abandoned.is_empty()).await;
        assert_eq!(board.abandoned.keys().collect::<Vec<_>>(), [&other()]);
        two.stop().await;
    });
}

#[test]
fn a_space_has_been_idle_since_it_was_added_and_not_since_the_manager_started() {
    run(async {
        let world = World::new();
        let taken = world.clouds.lock().unwrap().remove(&other()).unwrap();
        let mut one = world.start("one", site().setup()).await;
        one.until(|board| running(board, &space()) == 4).await;
        sleep(Duration::from_secs(1000)).await;
        let added = world.clock.now();
        one.setup.send_replace(two_spaces());
        one.until(|board| board.idle_spaces.contains_key(&other())).await;
        sleep(Duration::from_secs(300)).await;
        let since = one.board.borrow().idle_since(&other());
        assert!(since >= added && since.since(added) < Duration::from_secs(60), "{since}");
        world.clouds.lock().unwrap().insert(other(), taken);
        let board = one.until(|board| running(board, &other()) > 0).await;
        assert!(board.idle_since.is_empty(), "{board:?}");
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

/// Hours: longer than any machine of the site may live.
const TOO_LATE: u64 = 400;

/// The machines of this file give no heartbeat: here that is no reason to delete them.
fn quiet_site() -> Arc<Setup> {
    site().each("heartbeat = \"200h\"").setup()
}

fn alarmed(board: &Board) -> bool {
    let alarms = board.spaces.get(&space()).map(|space| space.alarms.as_slice());
    alarms.is_some_and(|alarms| alarms.iter().any(|a| a.contains("time cannot be believed")))
}

fn at_work(board: &Board) -> bool {
    running(board, &space()) == 4 && !alarmed(board)
}

/// The step also ends the ownership, so what the clock showed before must outlive it.
#[test]
fn a_clock_that_is_set_wrong_and_right_again_kills_nothing() {
    run(async {
        let world = World::on_one_host();
        let mut one = world.start("one", quiet_site()).await;
        one.until(|board| running(board, &space()) == 4).await;
        world.clock.set_hours_ahead(TOO_LATE);
        let board = one.until(alarmed).await;
        let alarms = &board.spaces[&space()].alarms;
        assert!(
            alarms.iter().any(|a| a.contains("2026-01-01") && a.contains("2026-01-17")),
            "{alarms:?}"
        );
        sleep(Duration::from_secs(300)).await;
        world.clock.set_hours_ahead(0);
        one.until(at_work).await;
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(world.calls("delete machine"), 0);
        assert_eq!(world.machines(&space()), 4);
        one.stop().await;
    });
}

#[test]
fn a_step_that_nobody_confirms_is_believed_after_ten_minutes() {
    run(async {
        let world = World::on_one_host();
        let mut one = world.start("one", quiet_site()).await;
        one.until(|board| running(board, &space()) == 4).await;
        world.clock.set_hours_ahead(TOO_LATE);
        let stepped = Instant::now();
        one.until(alarmed).await;
        one.until(|board| !alarmed(board)).await;
        assert!(stepped.elapsed() >= Duration::from_secs(600), "{:?}", stepped.elapsed());
        assert!(stepped.elapsed() < Duration::from_secs(780), "{:?}", stepped.elapsed());
        one.until(|_| world.calls("delete machine") == 4).await;
        one.stop().await;
    });
}

#[test]
fn a_clock_that_the_file_server_contradicts_is_never_believed() {
    run(async {
        let world = World::new();
        let mut one = world.start("one", quiet_site()).await;
        one.until(|board| running(board, &space()) == 4).await;
        world.clock.set_hours_ahead(TOO_LATE);
        one.until(alarmed).await;
        sleep(Duration::from_secs(2 * 3600)).await;
        assert!(alarmed(&one.board.borrow()));
        // Nor by a manager that never saw it right.
        one.stop().await;
        let mut two = world.start("two", quiet_site()).await;
        two.until(alarmed).await;
        sleep(Duration::from_secs(2 * 3600)).await;
        assert_eq!(world.calls("delete machine"), 0);
        assert_eq!(world.machines(&space()), 4);
        // The file server was right all the time: what agrees with it is believed at once.
        world.clock.set_hours_ahead(0);
        let mended = Instant::now();
        two.until(at_work).await;
        assert!(mended.elapsed() < Duration::from_secs(200), "{:?}", mended.elapsed());
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(world.calls("delete machine"), 0);
        two.stop().await;
    });
}

/// A create that waits in the request budget while the ownership ends must not go out later.
#[test]
fn a_create_that_waits_for_its_turn_never_goes_out_after_a_take_over() {
    run(async {
        let world = World::new();
        // More creates than the budget lets go at once. While some wait for their turn, one that went out is
        // told to come again much later.
        let site = Site::new(100).with("creations_per_cycle = 100");
        *world.trouble.throttle.lock().unwrap() = Some((20, Duration::from_secs(60)));
        let one = world.start("one", site.setup()).await;
        poll(|| world.trouble.throttle.lock().unwrap().is_none()).await;
        assert!(world.calls("create machine") < 100, "some wait for their turn");
        // The ownership cannot be renewed any more, and ends; somebody takes over.
        world.disk.set_vanished(Vanishing::Away);
        sleep(Duration::from_secs(20)).await;
        world.disk.set_vanished(Vanishing::Back);
        let two = world.start("two", site.setup()).await;
        let second = |path: &Path| path.ends_with("owner/00000002");
        poll(|| world.disk.files().keys().any(|path| second(path))).await;
        let taken = world.clock.now();
        assert!(taken < START + Duration::from_secs(60), "before the wait would be over");
        sleep(Duration::from_secs(600)).await;
        let log = world.clouds.lock().unwrap()[&space()].log();
        let made = log.iter().filter_map(|entry| match &entry.event {
            LogEvent::Created { tags, .. } => Some((tags.generation.0, entry.at)),
            _ => None,
        });
        let late: Vec<_> =
            made.filter(|(generation, at)| *generation == 1 && *at >= taken).collect();
        assert_eq!(late, []);
        one.stop().await;
        two.stop().await;
    });
}
