//! The task of one space: acquire, renew in the background, cycle after cycle, give back.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info, warn};

use super::board::News;
use super::line::Line;
use super::membership::View;
use super::placing::{self, LOOKS_PER_TTL, Place, Turn};
use super::requests::Noticed;
use super::silence::Listener;
use super::{Farewell, Shared, Stop};
use crate::cycle::{CycleContext, CycleEnd, run_cycle};
use crate::library::Setup;
use crate::model::{Board, Generation, ManagerName, OperatorRequest, SpaceName};
use crate::observe::{ClockWatch, SpaceMemory};
use crate::store::{self, Fault, Fenced, Lost, Ownership, StoreError};

/// Between two cycles there is at least this much of the period, whatever wakes the space.
const SHORTEST_GAP_PART: u32 = 10;
/// And never more than this.
const SHORTEST_GAP_MOST: Duration = Duration::from_secs(2);
/// Cycles of different spaces drift apart by up to this part of the period, either way.
const JITTER: f64 = 0.05;
/// The state directory is silent when it has not answered for this part of the TTL.
const ANSWERS_PER_TTL: u32 = 3;

/// What reaches a worker from outside.
pub(super) struct Inbox {
    pub(super) setup: watch::Receiver<Arc<Setup>>,
    pub(super) members: watch::Receiver<View>,
    pub(super) stop: Arc<Stop>,
    pub(super) wakes: mpsc::Receiver<()>,
}

/// One space's worker.
pub(super) struct SpaceWorker {
    shared: Arc<Shared>,
    space: SpaceName,
    setup: watch::Receiver<Arc<Setup>>,
    members: watch::Receiver<View>,
    stop: Arc<Stop>,
    stopped: watch::Receiver<Option<Farewell>>,
    wakes: mpsc::Receiver<()>,
    /// The highest generation that was seen on a VM of ours, if it is above the log.
    above: Generation,
    provider: Line,
    jitter: ChaCha8Rng,
    woken: bool,
    noticed: Noticed,
    /// What was seen of the clocks so far; a step may end an ownership, and is not forgotten with it.
    clock: ClockWatch,
}

/// Why the cycles under one ownership ended.
enum End {
    /// The ownership is over.
    Lost(String),
    /// The task was told to end.
    Told,
    /// Another manager is to have it.
    HandOver(store::Farewell),
}

impl SpaceWorker {
    pub(super) fn new(
        shared: Arc<Shared>,
        space: SpaceName,
        Inbox { setup, members, stop, wakes }: Inbox,
    ) -> Self {
        let above = Generation::default();
        let stopped = stop.signal.subscribe();
        let jitter = ChaCha8Rng::seed_from_u64(mix(shared.seed, &space, (Generation(0), 0)));
        let (provider, woken, clock) = (Line::default(), false, ClockWatch::default());
        Self {
            shared,
            space,
            setup,
            members,
            stop,
            stopped,
            wakes,
            above,
            provider,
            jitter,
            woken,
            noticed: Noticed::default(),
            clock,
        }
    }

    /// Until it is told to end.
    pub(super) async fn run(mut self) {
        placing::know_the_others(&mut self.members).await;
        while self.told().is_none() {
            let ttl = self.setup.borrow().config.site.ownership_ttl;
            // Before the look: what is given back after it ends the pause.
            let given_back = self.members.borrow().given_back;
            let listener = Listener { space: &self.space, news: &self.shared.news };
            let place = self.place();
            let above = self.above.max(self.shared.purse.generation(&self.space));
            let acquire = place.acquire(ttl, above);
            match listener.answer(ttl / ANSWERS_PER_TTL, acquire).await {
                Ok(Turn::Ours(ownership)) => self.own(*ownership).await,
                Ok(Turn::Wait { why, pause }) => {
                    self.idle(why, None).await;
                    self.pause(pause, given_back).await;
                }
                Err(problem) => {
                    warn!(space = %self.space, %problem, "cannot acquire the space");
                    let text = problem.to_string();
                    self.idle(text.clone(), is_trouble(&problem).then_some(text)).await;
                    self.pause(ttl / LOOKS_PER_TTL, given_back).await;
                }
            }
        }
    }

    fn place(&self) -> Place<'_> {
        Place { shared: &self.shared, space: &self.space, members: &self.members }
    }

    fn told(&self) -> Option<Farewell> {
        *self.stopped.borrow()
    }

    /// Under one ownership. Renewal goes on while a cycle is slow; once it is lost every proof refuses, and the
    /// cycle ends by itself: a cloud call that is under way is never abandoned half-way.
    async fn own(&mut self, ownership: Ownership) {
        info!(space = %self.space, generation = %ownership.generation(), "owns the space");
        // The log itself is above it now.
        self.above = Generation::default();
        let (over, silence) = (watch::Sender::new(false), OnceLock::new());
        let shared = Arc::clone(&self.shared);
        let renewals = async {
            let listener = Listener { space: ownership.space(), news: &shared.news };
            let (Lost(why), silent) = listener.renew_for_ever(&ownership).await;
            warn!(space = %ownership.space(), %why, "lost the space");
            if let Some(silent) = silent {
                // The cycle may hang as well: it cannot tell.
                let _ = silence.set(silent.clone());
                listener.lost(why.to_string(), silent).await;
            }
            over.send_replace(true);
            std::future::pending::<Infallible>().await
        };
        let mut memory: Option<SpaceMemory> = None;
        let end = {
            let mut renewals = pin!(renewals);
            let mut cycles = pin!(self.cycles(&ownership, over.subscribe(), &mut memory));
            tokio::select! {
                biased;
                never = &mut renewals => match never {},
                end = &mut cycles => end,
            }
        };
        self.shared.purse.saw_clock(&self.space, None);
        if let Some(memory) = memory {
            self.clock = memory.into_clock();
        }
        match end {
            End::Told => {
                ownership.release().await;
                self.gave_back();
                info!(space = %self.space, "gave the space back");
            }
            End::HandOver(farewell) => {
                let to = farewell.to.as_ref().map_or("another", ManagerName::as_str).to_owned();
                ownership.hand_over(farewell).await;
                self.gave_back();
                info!(space = %self.space, to, "handed the space over");
                self.idle(format!("{}nobody; handed over to {to}", Board::OWNED_BY), None).await;
            }
            End::Lost(why) => {
                // Harmless if it has another owner already: it says nothing of that one's generation.
                if self.above >= ownership.generation() {
                    ownership.release().await;
                }
                self.idle(why, silence.into_inner()).await;
            }
        }
    }

    fn gave_back(&self) {
        self.shared.given_back.send_modify(|count| *count += 1);
    }

    async fn cycles(
        &mut self,
        ownership: &Ownership,
        mut over: watch::Receiver<bool>,
        memory: &mut Option<SpaceMemory>,
    ) -> End {
        let mut number = 0;
        loop {
            if self.told() == Some(Farewell::Removed) {
                self.leave(memory.as_ref()).await;
            }
            if self.told().is_some() {
                return End::Told;
            }
            if *over.borrow() {
                return End::Lost("lost the ownership; acquiring it again".to_owned());
            }
            if let Err(fenced) = ownership.proof() {
                return End::Lost(fenced.to_string());
            }
            if let Some(farewell) = self.place().misplaced(ownership) {
                return End::HandOver(farewell);
            }
            let begun = Instant::now();
            let setup = Arc::clone(&self.setup.borrow_and_update());
            number += 1;
            let requests = self.one_cycle(ownership, &setup, (&mut *memory, number)).await;
            if self.above >= ownership.generation() {
                return End::Lost(format!(
                    "a VM of ours was made by generation {}: going on above it",
                    self.above
                ));
            }
            self.noticed.read(&requests);
            if let Some(farewell) = self.place().asked_to_hand_over(ownership, requests).await {
                return End::HandOver(farewell);
            }
            let period = setup.config.site.cycle;
            self.wait(begun, period, &mut over).await;
        }
    }

    /// One cycle, and its news. Gives the standing requests of people.
    async fn one_cycle(
        &mut self,
        ownership: &Ownership,
        setup: &Setup,
        (memory, number): (&mut Option<SpaceMemory>, u64),
    ) -> Vec<OperatorRequest> {
        let nothing = Vec::new();
        let Some(space) = setup.spaces.get(&self.space).cloned() else { return nothing };
        let provider = match self.provider.get(&self.shared, (&self.space, setup), ownership.ttl())
        {
            Ok(provider) => provider,
            Err(why) => {
                self.idle(why, None).await;
                return nothing;
            }
        };
        let shared = Arc::clone(&self.shared);
        let Ok(proof) = ownership.proof() else { return nothing };
        let result = async {
            let memory = match memory {
                Some(memory) => memory,
                None => memory.insert(self.load().await?),
            };
            memory.listen |= std::mem::take(&mut self.woken);
            let doors = self.members.borrow().doors(&shared.home.base_url, shared.clock.as_ref());
            let context = CycleContext {
                provider: provider.as_ref(),
                store: &shared.store,
                ledger: &shared.purse.ledger,
                caps: &shared.purse.caps(),
                clock: shared.clock.as_ref(),
                deployment: &shared.deployment,
                setup,
                space: &space,
                home: &shared.home,
                doors: &doors,
                seed: mix(shared.seed, &self.space, (proof.generation(), number)),
                stopping: &self.stop.flag,
            };
            run_cycle(&context, &proof, memory).await
        };
        let result = result.await;
        shared.purse.saw_clock(&self.space, memory.as_ref());
        match result {
            Ok(mut end) => {
                let requests = std::mem::take(&mut end.requests);
                self.tell(ownership, end).await;
                requests
            }
            Err(problem) => {
                if let StoreError::Fenced(Fenced::Outrun { by, .. }) = &problem {
                    self.above = *by;
                }
                error!(space = %self.space, %problem, "nothing is done: the state directory failed");
                if let Some(memory) = memory {
                    memory.stale = true;
                }
                let text = problem.to_string();
                self.idle(text.clone(), is_trouble(&problem).then_some(text)).await;
                nothing
            }
        }
    }

    async fn load(&self) -> Result<SpaceMemory, StoreError> {
        let store = &self.shared.store;
        let loaded = store.load_space(&self.space).await?;
        // Only for people: a plan that cannot be read is replaced by the next.
        let saved = store.load_snapshot(&self.space).await.unwrap_or_else(|problem| {
            warn!(space = %self.space, %problem, "the last plan is forgotten");
            None
        });
        let now = self.shared.clock.now();
        Ok(SpaceMemory::new(loaded, saved, now).with_clock(self.clock.clone()))
    }

    /// Until the period is over, or something wakes us; never sooner than the shortest gap.
    async fn wait(&mut self, begun: Instant, period: Duration, over: &mut watch::Receiver<bool>) {
        let look_every = self.setup.borrow().config.site.ownership_ttl / ANSWERS_PER_TTL;
        let stretch = 1.0 + self.jitter.random_range(-JITTER..=JITTER);
        let gap = (period / SHORTEST_GAP_PART).min(SHORTEST_GAP_MOST);
        let now = Instant::now();
        let soonest = (begun + gap).max(now + gap / 2);
        let due = (begun + period.mul_f64(stretch)).max(soonest);
        let mut woken_at = due;
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.changed() => return,
                _ = over.changed() => return,
                Ok(()) = self.setup.changed() => woken_at = soonest,
                Some(()) = self.wakes.recv() => {
                    self.woken = true;
                    woken_at = soonest;
                }
                () = sleep_until(woken_at) => return,
                () = self.noticed.another(&self.shared.store, &self.space, look_every) => {
                    woken_at = soonest;
                }
            }
        }
    }

    /// A pause that ends when we are told to, or when somebody has given something back.
    async fn pause(&mut self, pause: Duration, given_back: u64) {
        let news = async {
            // An error means that the others are not looked at any more; then only time ends the pause.
            if self.members.wait_for(|view| view.given_back != given_back).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            _ = self.stopped.changed() => {}
            () = news => {}
            () = sleep(pause.max(Duration::from_millis(50))) => {}
        }
    }

    async fn tell(&self, ownership: &Ownership, end: CycleEnd) {
        let CycleEnd { mut snapshot, outcomes, requests: _ } = end;
        snapshot.alarms.extend_from_slice(ownership.alarms());
        let renewal = ownership.trouble();
        snapshot.alarms.extend(renewal.iter().map(|why| format!("renewal failed: {why}")));
        let store_problem = outcomes.store_problem.or(renewal);
        self.news(News::Cycle { snapshot: Arc::new(snapshot), store_problem }).await;
    }

    /// The space is not in the configuration any more: its machines stay, and somebody should know.
    async fn leave(&self, memory: Option<&SpaceMemory>) {
        let left = memory.map_or(0, |memory| memory.places_held());
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        if left == 0 {
            return self.news(News::Left { space: self.space.clone() }).await;
        }
        let why = Board::abandoned_words(left);
        error!(space = %self.space, machines = left, "{why}");
        self.idle(why, None).await;
    }

    async fn idle(&self, why: String, store_problem: Option<String>) {
        self.news(News::Idle { space: self.space.clone(), why, store_problem }).await;
    }

    /// The receiver only ends with the process.
    async fn news(&self, news: News) {
        let _ = self.shared.news.send(news).await;
    }
}

/// Whether an error tells of the state directory, and not just of another owner.
fn is_trouble(problem: &StoreError) -> bool {
    problem.fault() != Fault::Fenced
}

/// A seed that no other cycle of this deployment has: it depends on process, space, generation and cycle.
fn mix(seed: u64, space: &SpaceName, (generation, cycle): (Generation, u64)) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, space, generation.0, cycle).hash(&mut hasher);
    hasher.finish()
}
