//! One life: managers in a world where much goes wrong, by one seed; then peace, in which everything must come
//! right.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use vcycle::library::Setup;
use vcycle::model::{
    MachinetypeName, OperatorRequest, Processors, RequestId, RequestWhat, Share, Timestamp,
};
use vcycle::store::Ledger;
use vcycle_api::{Clock, DeploymentId, InstanceState, IntentToken, MachineName, OfferingId, Tags};
use vcycle_sim::{CallFault, FaultPlan, SimMachine, Stranger, WorldFault};

use super::host::{Host, HostClock};
use super::judge::Stats;
use super::managers::Running;
use super::purse::{Prices, Purse};
use super::rules::CapsFile;
use super::trace::Who;
use super::weather::{Ask, Event, MachineFate, Shape};
use super::world::{World, ours, space_name};
use super::{peace, site};
use crate::support::world::Voices;

/// What came of a life.
#[derive(Debug)]
pub struct Outcome {
    /// The law that was broken, if one was.
    pub broken: Option<String>,
    /// Digest of the trace.
    pub digest: u64,
    /// Events in it.
    pub events: u64,
    /// When everything had come right, in milliseconds after the trouble.
    pub peace: u64,
    pub shape: Shape,
    pub stats: Stats,
    /// The last lines of the trace.
    pub tail: Vec<String>,
}

/// Lives the life of a seed. A panic is a broken law, too.
pub fn live(seed: u64) -> Outcome {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build();
        runtime.expect("a runtime can be built").block_on(whole(seed))
    }));
    lived.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome {
            broken: Some(format!("panic: {}", text.unwrap_or_default())),
            digest: 0,
            events: 0,
            peace: 0,
            shape: Shape::new(seed),
            stats: Stats::default(),
            tail: Vec::new(),
        }
    })
}

async fn whole(seed: u64) -> Outcome {
    let mut life = Life::new(Shape::new(seed));
    let trouble = life.trouble().await;
    let peace = match trouble {
        Ok(()) => peace::come(&mut life).await,
        Err(broken) if life.world.shape.refusal.is_some() => {
            Err(format!("{broken}\n{}", peace::reasons(&life)))
        }
        Err(broken) => Err(broken),
    };
    for running in life.running.values() {
        running.kill();
    }
    let (digest, events) = life.world.trace.digest();
    Outcome {
        broken: peace.as_ref().err().cloned(),
        digest,
        events,
        peace: peace.unwrap_or_default(),
        stats: life.world.judge().stats,
        tail: life.world.trace.tail(),
        shape: life.world.shape.clone(),
    }
}

/// A life as it is lived.
pub struct Life {
    pub world: Arc<World>,
    /// By host.
    pub running: BTreeMap<usize, Running>,
    /// The newest configuration.
    pub setup: Arc<Setup>,
    prices: Option<Prices>,
    hosts: Vec<Arc<Host>>,
    ends: mpsc::UnboundedReceiver<u32>,
    due: BTreeMap<(u64, u64), Event>,
    planned: u64,
    processes: u32,
    voices: Vec<Voices>,
    strangers: Vec<Vec<vcycle_api::InstanceId>>,
    ticks: u64,
    requests: u64,
}

impl Life {
    fn new(shape: Shape) -> Self {
        let (told, ends) = mpsc::unbounded_channel();
        let world = Arc::new(World::new(shape, told));
        let shape = &world.shape;
        let mut dice = shape.dice(50);
        let hosts = (0..shape.hosts).map(|number| {
            let speed = dice.random_range(985..=1015);
            let clock = HostClock::new(&world.clock, shape.skew(number), speed);
            Arc::new(Host {
                number,
                clock: Arc::new(clock),
                store_hangs: AtomicU64::new(0),
                store_fails: AtomicU64::new(0),
                cloud_cut: AtomicU64::new(0),
                caps_as_of: AtomicU64::new(0),
            })
        });
        let hosts = hosts.collect();
        let mut setup = site::setup(shape.spaces, shape.pace);
        for (space, limit) in shape.limits.iter().enumerate() {
            setup = site::configured(&setup, space, (*limit, (2, 1)));
        }
        if let Some(purse) = &shape.purse {
            setup = site::priced(&setup, purse, purse.prices);
            if let Some(spot) = purse.spot {
                setup = site::with_spot(&setup, spot);
            }
            world.write_caps(&purse.file);
        }
        for cloud in &world.clouds {
            for machinetype in site::MACHINETYPES {
                let machinetype = MachinetypeName::parse(machinetype).unwrap();
                cloud.set_scripts(machinetype, shape.pace.scripts());
            }
        }
        let mut life = Self {
            running: BTreeMap::new(),
            setup: Arc::new(setup),
            prices: shape.purse.as_ref().map(|purse| purse.prices),
            hosts,
            ends,
            due: BTreeMap::new(),
            planned: 0,
            processes: 0,
            voices: (0..shape.spaces).map(|_| Voices::default()).collect(),
            strangers: vec![Vec::new(); shape.spaces],
            ticks: 0,
            requests: 0,
            world: world.clone(),
        };
        for (at, event) in world.shape.events() {
            life.plan(at, event);
        }
        life.plan_tick();
        life
    }

    pub fn plan(&mut self, at: u64, event: Event) {
        self.planned += 1;
        self.due.insert((at, self.planned), event);
    }

    fn plan_tick(&mut self) {
        let tick = self.world.shape.pace.tick().as_millis() as u64;
        self.plan(self.world.trace.now() + tick, Event::Tick);
    }

    /// Everything that is in store.
    async fn trouble(&mut self) -> Result<(), String> {
        self.until(self.world.shape.end()).await
    }

    /// Lives until then.
    pub async fn until(&mut self, end: u64) -> Result<(), String> {
        loop {
            let next = self.due.first_key_value().map_or(end, |((at, _), _)| (*at).min(end));
            tokio::select! {
                biased;
                Some(process) = self.ends.recv() => self.bury(process),
                () = sleep_until(self.world.at(next)) => {
                    if let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= next) {
                        let event = entry.remove();
                        self.happens(event).await;
                    } else if next >= end {
                        return self.world.judge().verdict();
                    }
                }
            }
            self.world.judge().verdict()?;
        }
    }

    /// A process has ended; its host starts another.
    fn bury(&mut self, process: u32) {
        let found = self.running.iter().find(|(_, running)| running.process.number == process);
        let Some(host) = found.map(|(host, _)| *host) else { return };
        let Some(running) = self.running.remove(&host) else { return };
        running.kill();
        let mut dice = self.world.shape.dice(500_000 + u64::from(process));
        let drawn = if dice.random_bool(0.5) { 1_000 } else { dice.random_range(1_000..60_000) };
        let away = if self.world.is_calm() { 1_000 } else { running.away.unwrap_or(drawn) };
        let who = running.process.who(None);
        self.world.trace.note(who, || format!("ends; the next starts in {away} ms"));
        self.plan(self.world.trace.now() + away, Event::Start { host });
    }

    async fn happens(&mut self, event: Event) {
        if !matches!(event, Event::Tick) {
            self.world.trace.note(Who::WORLD, || format!("{event:?}"));
        }
        let now = self.world.trace.now();
        match event {
            Event::Tick => self.tick().await,
            Event::Start { host } => self.start(host),
            Event::Kill { host } => {
                if let Some(process) = self.running.get(&host).map(|r| r.process.number) {
                    self.bury(process);
                }
            }
            Event::Stop { host, away } => self.stop(host, away),
            Event::Pause { host, millis, sleep } => {
                if let Some(running) = self.running.get(&host) {
                    running.process.pause(millis, sleep);
                }
            }
            Event::StoreHangs { host, millis } => {
                until(&self.hosts[host].store_hangs, now + millis)
            }
            Event::StoreFails { host, millis } => {
                until(&self.hosts[host].store_fails, now + millis)
            }
            Event::CloudCut { host, millis } => until(&self.hosts[host].cloud_cut, now + millis),
            Event::OldLooks { host } => self.looks_grow_old(host).await,
            Event::EndOldLooks { host } => self.looks_are_true(host),
            Event::ClockStep { host, millis } => {
                let clock = &self.hosts[host].clock;
                if clock.may_step() {
                    clock.step(millis);
                }
            }
            Event::ClockMended { host } => {
                let clock = &self.hosts[host].clock;
                if clock.may_step() {
                    clock.set_offset(0);
                } else {
                    self.plan(now + 10_000, Event::ClockMended { host });
                }
            }
            Event::Configure { space, limit, shares } => {
                self.setup = Arc::new(site::configured(&self.setup, space, (limit, shares)));
                self.world.judge().limit(space, Processors(limit));
            }
            Event::Reload { host } => {
                self.running.get(&host).iter().for_each(|running| self.configure(running));
            }
            Event::Caps(file) => self.world.write_caps(&file),
            Event::PricesRise => {
                self.set_prices(self.world.shape.purse.as_ref().map(|purse| purse.dearer));
            }
            Event::StockOut { space, flavors } => self.stock(space, flavors, WorldFault::StockOut),
            Event::Restock { space } => self.stock(space, usize::MAX, WorldFault::Restock),
            Event::Stranger { space, disguised } => self.stranger(space, disguised),
            Event::StrangerLeaves { space } => {
                if let Some(id) = self.strangers[space].pop() {
                    self.world.clouds[space].inject(WorldFault::Vanish(id));
                }
            }
            Event::Machine { space, pick, fate } => self.strike(space, pick, fate),
            Event::Request { space, pick, what } => self.ask(space, pick, what).await,
            Event::Throttle { host, calls } => {
                self.inject(host, &CallFault::Throttle { calls, after: None });
            }
            Event::Credentials { host, revoked } => self.credentials(host, revoked),
        }
    }

    fn credentials(&self, host: usize, revoked: bool) {
        let restored = CallFault::RestoreCredentials;
        let fault = if revoked { CallFault::RevokeCredentials } else { restored };
        self.inject(host, &fault);
    }

    fn stop(&mut self, host: usize, away: u64) {
        if let Some(running) = self.running.get_mut(&host) {
            running.away = Some(away);
            running.stop();
        }
    }

    fn start(&mut self, host: usize) {
        if self.running.contains_key(&host) {
            return;
        }
        self.processes += 1;
        let setup = self.setup.clone();
        let running = Running::start(&self.world, &self.hosts[host], self.processes, setup);
        self.knows_prices(&running);
        self.running.insert(host, running);
    }

    /// The price lists of the site are others from now on.
    fn set_prices(&mut self, prices: Option<Prices>) {
        if let (Some(purse), Some(prices)) = (&self.world.shape.purse, prices) {
            self.setup = Arc::new(site::priced(&self.setup, purse, prices));
            self.prices = Some(prices);
        }
    }

    /// A process is given the newest configuration.
    fn configure(&self, running: &Running) {
        running.configure(self.setup.clone());
        self.knows_prices(running);
    }

    fn knows_prices(&self, running: &Running) {
        let mut judge = self.world.judge();
        if let (Some(meter), Some(prices)) = (&mut judge.meter, self.prices) {
            meter.has_prices(self.world.trace.now(), running.process.number, prices);
        }
    }

    fn inject(&self, host: usize, fault: &CallFault) {
        if let Some(running) = self.running.get(&host) {
            running.inject(fault);
        }
    }

    /// A person on the host has just looked at everything, and from now on its mount shows that.
    async fn looks_grow_old(&self, host: usize) {
        self.hosts[host].caps_as_of.store(self.world.trace.now(), Ordering::SeqCst);
        let Some(running) = self.running.get(&host) else { return };
        for (space, cache) in running.caches().into_iter().enumerate() {
            cache.forget();
            if space < self.world.shape.spaces {
                let store =
                    vcycle::store::Store::new(Arc::new(cache.clone()), self.world.clock.clone());
                // It may fail like any other.
                let _ = store.load_space(&space_name(space)).await;
            }
            cache.freeze();
        }
    }

    /// Its mount shows what is there again.
    fn looks_are_true(&self, host: usize) {
        self.hosts[host].caps_as_of.store(0, Ordering::SeqCst);
        for cache in self.running.get(&host).iter().flat_map(|running| running.caches()) {
            cache.thaw();
        }
    }

    /// Our machines that exist, oldest first.
    pub fn machines(&self, space: usize) -> Vec<(SimMachine, Tags)> {
        let all = self.world.clouds[space].machines().into_iter();
        all.filter_map(ours(&self.world.deployment)).filter(|(m, _)| m.exists).collect()
    }

    fn stranger(&mut self, space: usize, disguised: bool) {
        let cloud = &self.world.clouds[space];
        let like = self.machines(space).into_iter().next();
        let name = MachineName::compose(&MachinetypeName::parse("batch").unwrap(), self.planned);
        // Another deployment's, with a name like ours; or a person's.
        let tags = like.filter(|_| disguised).map(|(_, tags)| {
            let deployment = DeploymentId::compose(self.world.shape.seed + 1);
            let intent = IntentToken::compose(u128::from(self.planned));
            Tags { deployment, intent, ..tags }.to_map()
        });
        let offering = self.world.shape.cloud(space).offerings[0].offering.id.clone();
        let stranger =
            Stranger { name: name.to_string(), tags: tags.unwrap_or_default(), offering };
        if let Ok(id) = cloud.add_stranger(stranger) {
            self.strangers[space].push(id);
        }
    }

    fn stock(&self, space: usize, flavors: usize, fault: fn(OfferingId) -> WorldFault) {
        for sold in self.world.shape.cloud(space).offerings.into_iter().take(flavors) {
            self.world.clouds[space].inject(fault(sold.offering.id));
        }
    }

    fn strike(&self, space: usize, pick: usize, fate: MachineFate) {
        let machines = self.machines(space);
        let Some((machine, _)) = machines.get(pick % machines.len().max(1)) else { return };
        let id = machine.id.clone();
        let is_held = self.world.is_held(space, &id);
        self.world.clouds[space].inject(match fate {
            // What cannot be deleted for a day is not removed by anybody.
            MachineFate::Vanishes if is_held => return,
            MachineFate::Ends => WorldFault::End(id),
            MachineFate::Vanishes => WorldFault::Vanish(id),
            MachineFate::Preempted => WorldFault::Preempt(id),
            MachineFate::LostSight => WorldFault::LoseSight(id),
            MachineFate::Recognised => WorldFault::Recognise(id),
            MachineFate::IgnoresItsTimer => {
                self.world.judge().timer_stopped(id.clone());
                WorldFault::StopTimer(id)
            }
            MachineFate::HoldsOn => {
                let longer = self.world.shape.purse.as_ref().is_some_and(Purse::is_short);
                let deletes = if longer { 8 + pick as u32 % 12 } else { 3 + pick as u32 % 6 };
                WorldFault::HoldOn { instance: id, deletes }
            }
        });
    }

    async fn ask(&mut self, space: usize, pick: usize, what: Ask) {
        let machines = self.machines(space);
        let Some((_, tags)) = machines.get(pick % machines.len().max(1)) else { return };
        let (machine, machinetype) = (tags.machine.clone(), tags.machinetype.clone());
        let at = self.world.clock.now();
        let by: Timestamp = at + Duration::from_secs(20 + pick as u64 % 60);
        let what = {
            let mut judge = self.world.judge();
            match what {
                Ask::DrainMachine => {
                    judge.drain_wanted(space, machine.clone());
                    RequestWhat::DrainMachine { machine, by }
                }
                Ask::DeleteMachine => {
                    judge.delete_wanted(space, machine.clone());
                    RequestWhat::DeleteMachine { machine }
                }
                Ask::DrainMachinetype => {
                    judge.type_drained(space, machinetype.clone());
                    RequestWhat::DrainMachinetype { machinetype, by }
                }
            }
        };
        self.requests += 1;
        let id = RequestId(format!("r{}", self.requests));
        let request = OperatorRequest { format: 1, id, who: "anna@desk".to_owned(), at, what };
        let put = self.world.store().put_request(&space_name(space), &request).await;
        put.expect("there is no fault in this view");
    }

    /// The VMs write, and the judge looks at everything.
    async fn tick(&mut self) {
        self.ticks += 1;
        let store = self.world.store();
        for space in 0..self.world.shape.spaces {
            let (cloud, name) = (&self.world.clouds[space], space_name(space));
            if self.voices[space].speak(cloud, &store, &name).await {
                // The server that took it belongs to any of them.
                let any =
                    self.running.values().nth(self.ticks as usize % self.running.len().max(1));
                any.iter().for_each(|running| running.waker.wake(&name));
            }
            self.world.look(space);
            self.world.judge().money();
            if self.ticks.is_multiple_of(self.world.shape.pace.ticks_of_a_look()) {
                self.look_at_everything(space).await;
            }
        }
        self.look_at_what_is_overdue().await;
        self.plan_tick();
    }

    /// Where deletes are refused for a day: whenever all is quiet, and each hour the whole ledger.
    async fn look_at_what_is_overdue(&self) {
        let (now, shape) = (self.world.trace.now(), &self.world.shape);
        let Some(refusal) = &shape.refusal else { return };
        if refusal.is_quiet(now) && now < refusal.until {
            self.world.judge().overdue();
        }
        if self.ticks.is_multiple_of(60) {
            let book = Ledger::new(&self.world.store()).replay().await;
            let mut judge = self.world.judge();
            match book {
                Ok(book) => judge.audits(&book),
                Err(problem) => judge.breaks(format!("the ledger cannot be read: {problem}")),
            }
        }
    }

    async fn look_at_everything(&self, space: usize) {
        let loaded = self.world.store().load_space(&space_name(space)).await;
        let corrupt = loaded.expect("there is no fault in this view").corrupt;
        let machines = self.world.clouds[space].machines();
        let ours: Vec<_> =
            machines.iter().cloned().filter_map(ours(&self.world.deployment)).collect();
        let mut judge = self.world.judge();
        if !corrupt.is_empty() {
            judge.breaks(format!("a record cannot be read: {corrupt:?}"));
        }
        judge.whole(space, &machines, &ours);
        for running in self.running.values() {
            let board = running.board.borrow();
            let alarms = board.spaces.values().flat_map(|snapshot| &snapshot.alarms);
            let mut said = board.idle_spaces.values().chain(alarms);
            let wrong = |text: &&String| {
                text.contains("internal error") || text.contains("the plan breaks a law")
            };
            if let Some(text) = said.find(wrong) {
                judge.breaks(format!("{}: {text}", running.process.who(Some(space))));
            }
        }
    }

    /// The trouble is over: whoever is there works, and all are there.
    pub fn calm_down(&mut self) {
        self.world.judge().counts_overdue();
        self.world.calm_down();
        self.due.retain(|_, event| matches!(event, Event::Tick));
        let now = self.world.trace.now();
        self.settle_money();
        for host in self.hosts.clone() {
            host.calm();
            match self.running.get(&host.number) {
                Some(running) => {
                    running.calm();
                    self.configure(running);
                }
                None => self.plan(now + 1_000, Event::Start { host: host.number }),
            }
        }
        for (space, cloud) in self.world.clouds.iter().enumerate() {
            self.stock(space, usize::MAX, WorldFault::Restock);
            cloud.set_faults(FaultPlan::default());
            for machinetype in site::MACHINETYPES {
                let machinetype = MachinetypeName::parse(machinetype).unwrap();
                cloud.set_scripts(machinetype, self.world.shape.pace.peaceful());
            }
            for machine in cloud.machines() {
                cloud.inject(WorldFault::Recognise(machine.id));
            }
            let requests = format!("spaces/{}/requests", space_name(space));
            for number in 1..=self.requests {
                self.world.disk.uproot(format!("{requests}/r{number}.json"));
            }
        }
    }

    /// The spend manager writes a file that can be read, and every price is known if caps do not matter any more.
    fn settle_money(&mut self) {
        let world = self.world.clone();
        let Some(purse) = &world.shape.purse else { return };
        let meant = world.judge().meter.as_mut().map(|meter| {
            meter.calm_down(world.trace.now());
            meter.meant()
        });
        world.write_caps(&CapsFile::Holds(purse.at_last(&meant.unwrap_or_default())));
        self.set_prices(self.prices.map(|prices| purse.prices_at_last(prices)));
    }

    /// Leftovers in the books of the clouds would hold their places for ever.
    pub fn lay_ghosts(&self) {
        for cloud in &self.world.clouds {
            for machine in cloud.machines() {
                if !machine.exists && machine.state != InstanceState::Gone {
                    cloud.inject(WorldFault::Vanish(machine.id));
                }
            }
        }
    }

    /// What the last configuration wants of a machinetype.
    pub fn share(&self, space: usize, machinetype: &MachinetypeName) -> f64 {
        let policy = &self.setup.spaces[&space_name(space)].policy;
        let weight = |share: &Share| share.weight();
        let all: f64 = policy.machinetypes.values().map(|m| weight(&m.target_share)).sum();
        weight(&policy.machinetypes[machinetype].target_share) / all
    }
}

fn until(away: &AtomicU64, end: u64) {
    away.fetch_max(end, Ordering::SeqCst);
}
