//! A world in memory with its own time, and managers that live in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use vcycle::act::{Home, StepResult};
use vcycle::cycle::{CapsRead, CycleContext, CycleEnd, run_cycle};
use vcycle::library::Setup;
use vcycle::model::{
    DeploymentId, Doors, Identity, MachineName, MachinetypeName, ManagerName, Processors,
    SpaceName, Timestamp,
};
use vcycle::observe::SpaceMemory;
use vcycle::plan::Step;
use vcycle::store::testing::MemoryFs;
use vcycle::store::{Acquire, Ledger, OutputName, Ownership, SharedFs, Store, StoreError};
use vcycle_api::{Act, BudgetSettings, Budgeted, Clock, ManualClock};
use vcycle_money::plan::Budget;
use vcycle_sim::{ClientOptions, Rates, Script, Settings, SimCloud, SimProvider};

use super::acquire::acquire;
use super::mortal::{Fate, MortalFs};
use super::site::{Site, space, space_of};
use vcycle_api::testing::Forward;

/// A cycle.
pub const CYCLE: Duration = Duration::from_secs(60);
/// Of ownerships; tests renew once a cycle.
pub const TTL: Duration = Duration::from_secs(600);

/// When every world begins.
pub const START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// The true time, that of the cloud and of a file server: no step of the manager's host moves it.
#[derive(Debug)]
pub struct TrueClock(pub Arc<ManualClock>);

impl Clock for TrueClock {
    fn now(&self) -> Timestamp {
        START + self.0.monotonic()
    }
    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

/// Everything that outlives a manager.
pub struct World {
    /// That of the host on which managers run.
    pub clock: Arc<ManualClock>,
    pub disk: MemoryFs,
    pub cloud: SimCloud,
    pub deployment: DeploymentId,
    pub setup: Arc<Setup>,
    pub limit: Processors,
    pub seed: u64,
    /// Chances of faults on the lines of managers that start from now on; `None`: as in the settings.
    pub rates: Option<Rates>,
    /// The request budget of managers that start from now on; `None`: they ask as fast as they like.
    pub budget: Option<BudgetSettings>,
    voices: Voices,
}

/// What the machines of a cloud have written so far.
#[derive(Debug, Default)]
pub struct Voices {
    heard: BTreeMap<MachineName, (Option<Timestamp>, bool)>,
}

impl Voices {
    /// The machines write what they have to say since the last time. Says whether there were last words.
    pub async fn speak(&mut self, cloud: &SimCloud, store: &Store, space: &SpaceName) -> bool {
        let mut last_words = false;
        for machine in cloud.machines() {
            let Identity::Vcycle(tags) = &machine.identity else { continue };
            let heard = self.heard.entry(tags.machine.clone()).or_default();
            let put = async |name: &str, text: &str| {
                let name = OutputName::parse(name).unwrap();
                // A machine that is archived is told that it is not known.
                let put = store.put_output(space, &tags.machine, &name, text.as_bytes(), 1 << 20);
                put.await.is_ok()
            };
            if machine.last_heartbeat > heard.0 && put("heartbeat", "0 0 0 1 2").await {
                heard.0 = machine.last_heartbeat;
            }
            if let Some(message) = machine.shutdown_message.as_deref().filter(|_| !heard.1) {
                heard.1 = put("shutdown_message", message).await;
                last_words |= heard.1;
            }
        }
        last_words
    }
}

/// One running copy of the daemon, as far as one space is concerned.
pub struct Manager {
    pub ledger: Ledger,
    pub store: Store,
    pub sim: Arc<SimProvider>,
    pub provider: Arc<dyn Act>,
    pub ownership: Ownership,
    pub memory: SpaceMemory,
    pub fate: Arc<Fate>,
    pub setup: Arc<Setup>,
    pub deployment: DeploymentId,
    pub doors: Doors,
    /// What the spend manager's files say of budgets.
    pub budgets: Arc<[Budget]>,
    home: Home,
    clock: Arc<ManualClock>,
    seed: u64,
    number: u64,
}

/// A cloud as strict as Nova: no idempotency, listings that lag, and deletes that take their time.
pub fn strict_cloud(seed: u64) -> Settings {
    let second = Duration::from_secs(1);
    let mut settings = Settings::simple(seed, Processors(1000), 30 * second, 1_000_000 * second);
    settings.script = Script::never_ends();
    settings.idempotency = vcycle_api::Idempotency::ListAndMatch;
    settings.settle = 20 * second;
    settings
}

impl World {
    pub fn new(site: &Site, settings: Settings) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let seed = settings.seed;
        Self {
            // A local disk: it has the host's clock.
            disk: MemoryFs::new(clock.clone()),
            cloud: SimCloud::new(settings, Arc::new(TrueClock(clock.clone()))),
            clock,
            deployment: DeploymentId::compose(seed),
            setup: site.setup(),
            limit: Processors(site.limit),
            seed,
            rates: None,
            budget: None,
            voices: Voices::default(),
        }
    }

    /// The same with the state directory on a file server, which has a clock of its own.
    pub fn shared(site: &Site, settings: Settings) -> Self {
        let world = Self::new(site, settings);
        Self { disk: MemoryFs::new(Arc::new(TrueClock(world.clock.clone()))), ..world }
    }

    /// A store without faults.
    pub fn store(&self) -> Store {
        Store::new(Arc::new(self.disk.clone()), self.clock.clone())
    }

    /// A manager that owns the space, as soon as it can be had. `None`: it died on the way.
    pub async fn start(&self, name: &str, fate: Arc<Fate>) -> Option<Manager> {
        self.start_on(name, fate, Arc::new(self.disk.clone())).await
    }

    /// The same on another view of the state directory.
    pub async fn start_on(
        &self,
        name: &str,
        fate: Arc<Fate>,
        disk: Arc<dyn SharedFs>,
    ) -> Option<Manager> {
        let disk = Arc::new(MortalFs::new(disk, fate.clone()));
        let store = Store::new(disk, self.clock.clone());
        let sim = Arc::new(
            self.cloud.client_with(ClientOptions { rates: self.rates, ..Default::default() }),
        );
        let line: Arc<dyn Act> = Arc::new(Forward::new(sim.clone(), fate.clone()));
        let provider = match self.budget {
            Some(budget) => Arc::new(Budgeted::new(line, budget)) as Arc<dyn Act>,
            None => line,
        };
        let manager = ManagerName::parse(name).unwrap();
        let (mut tries, space) = (0, space());
        let ownership = loop {
            tries += 1;
            assert!(tries < 50, "{name} cannot acquire the space");
            let acquire = acquire(&store, &space, &manager, TTL);
            match alive(&fate, acquire).await? {
                Ok(Acquire::Owned(ownership)) => break ownership,
                Ok(Acquire::HeldBy { .. }) | Err(_) => self.clock.advance(TTL / 4),
            }
        };
        // It would try again; here another does.
        let loaded = alive(&fate, store.load_space(&space)).await?.ok()?;
        let memory = SpaceMemory::new(loaded, None, self.clock.now());
        let home = Home {
            manager,
            version: "vcycle test".into(),
            hostname: name.into(),
            base_url: "https://localhost:1".into(),
            manager_ca: String::new(),
        };
        Some(Manager {
            budgets: [].into(),
            ledger: Ledger::new(&store),
            store,
            sim,
            provider,
            ownership,
            memory,
            fate,
            setup: self.setup.clone(),
            deployment: self.deployment.clone(),
            doors: Doors::NotLookedAt,
            home,
            clock: self.clock.clone(),
            seed: self.seed,
            number: 0,
        })
    }

    /// Time passes, and the machines write what they have to say.
    pub async fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        let store = self.store();
        self.voices.speak(&self.cloud, &store, &space()).await;
    }

    /// Moves a machine's folder to the archive behind everybody's back.
    pub fn file_away(&self, machine: &MachineName) {
        let folder = format!("spaces/a.example/current/{machine}");
        for (path, content) in self.disk.files() {
            if let Ok(rest) = path.strip_prefix(&folder) {
                let archive = format!("spaces/a.example/deleted/{machine}");
                self.disk.plant(std::path::Path::new(&archive).join(rest), content);
            }
        }
        self.disk.uproot(folder);
    }

    /// Gives a machinetype's machines something to do.
    pub fn script(&self, machinetype: &str, script: Script) {
        let machinetype = MachinetypeName::parse(machinetype).unwrap();
        self.cloud.set_scripts(machinetype, vec![(1, script)]);
    }

    /// Cycles until nothing was done in three of them; panics when that takes too long.
    pub async fn until_quiet(&mut self, manager: &mut Manager) {
        let mut quiet = 0;
        for _ in 0..200 {
            let end = manager.cycle().await.expect("a kind fate");
            super::laws::always(self);
            let done = end.is_ok_and(|end| end.outcomes.steps.iter().all(|o| !matters(&o.step)));
            quiet = if done { quiet + 1 } else { 0 };
            if quiet == 3 {
                return;
            }
            self.pass(CYCLE).await;
        }
        panic!("no peace: {:?}", manager.memory.records().values().collect::<Vec<_>>());
    }
}

fn matters(step: &Step) -> bool {
    !matches!(step, Step::Expire { .. })
}

/// What comes of it, unless the process dies.
pub async fn alive<T>(fate: &Fate, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        result = work => Some(result),
        () = fate.death() => None,
    }
}

impl Manager {
    /// One cycle, after a renewal. `None`: the process died.
    pub async fn cycle(&mut self) -> Option<Result<CycleEnd, StoreError>> {
        self.number += 1;
        let fate = self.fate.clone();
        alive(&fate, self.cycle_of_the_living()).await
    }

    async fn cycle_of_the_living(&mut self) -> Result<CycleEnd, StoreError> {
        self.ownership.renew().await.map_err(|lost| lost.0)?;
        let proof = self.ownership.proof()?;
        let space = space_of(&self.setup);
        let caps = match self.setup.config.spending {
            Some(_) => CapsRead::Yes { problem: None, budgets: Arc::clone(&self.budgets) },
            None => CapsRead::Unwatched,
        };
        let context = CycleContext {
            ledger: &self.ledger,
            caps: &caps,
            provider: self.provider.as_ref(),
            store: &self.store,
            clock: self.clock.as_ref(),
            deployment: &self.deployment,
            setup: &self.setup,
            space: &space,
            home: &self.home,
            doors: &self.doors,
            seed: self.seed ^ (proof.generation().0 << 32) ^ self.number,
            stopping: &AtomicBool::new(false),
        };
        run_cycle(&context, &proof, &mut self.memory).await
    }
}

/// The steps of a cycle that were done, by their word.
pub fn done(end: &CycleEnd) -> Vec<&'static str> {
    let done = end.outcomes.steps.iter().filter(|o| matches!(o.result, StepResult::Done { .. }));
    done.map(|o| o.step.word()).collect()
}
