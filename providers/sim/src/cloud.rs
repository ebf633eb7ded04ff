//! The simulated cloud as its maker sees it: levers, books, and clients.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vcycle_api::{
    Clock, Identity, InstanceId, InstanceState, IntentToken, MachinetypeName, Money, OfferingId,
    ProviderError, Quota, Timestamp, UserData,
};

use crate::client::{ClientOptions, SimProvider};
use crate::log;
use crate::world::World;
use crate::{EndCause, FaultPlan, LogEntry, Script, Settings, WorldFault};

/// A simulated cloud. Clones are the same cloud.
#[derive(Debug, Clone)]
pub struct SimCloud {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    world: Mutex<World>,
    clock: Arc<dyn Clock>,
    seed: u64,
    clients: AtomicU32,
}

/// A machine with all that its maker may know: what it has written, too.
#[derive(Debug, Clone)]
pub struct SimMachine {
    /// The cloud's id.
    pub id: InstanceId,
    /// Name.
    pub name: String,
    /// Whose it is.
    pub identity: Identity,
    /// State as it truly is.
    pub state: InstanceState,
    /// Whether it is there at all: neither a tombstone nor a ghost.
    pub exists: bool,
    /// Flavour, zone, market.
    pub offering: Option<OfferingId>,
    /// When it got power.
    pub started: Option<Timestamp>,
    /// When it lost it.
    pub ended: Option<Timestamp>,
    /// Why it lost it.
    pub cause: Option<EndCause>,
    /// When it last gave a heartbeat.
    pub last_heartbeat: Option<Timestamp>,
    /// What it wrote as its `shutdown_message`.
    pub shutdown_message: Option<String>,
    /// Its contextualisation.
    pub user_data: UserData,
    /// The variables that it was given.
    pub environment: Vec<(String, String)>,
}

/// A machine of somebody else.
#[derive(Debug, Clone)]
pub struct Stranger {
    /// Its display name.
    pub name: String,
    /// Its metadata.
    pub tags: BTreeMap<String, String>,
    /// What it is made of.
    pub offering: OfferingId,
}

impl SimCloud {
    /// An empty cloud at the clock's time.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let seed = settings.seed;
        let world = Mutex::new(World::new(settings, clock.now()));
        Self { inner: Arc::new(Inner { world, clock, seed, clients: AtomicU32::new(0) }) }
    }

    /// The world as it is now.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let now = self.inner.clock.now();
        let mut world = self.inner.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.catch_up(now);
        world
    }

    /// A client with the cloud's own clock and the faults of the settings.
    pub fn client(&self) -> SimProvider {
        self.client_with(ClientOptions::default())
    }

    /// A client with a clock, a latency or faults of its own.
    pub fn client_with(&self, options: ClientOptions) -> SimProvider {
        let number = self.inner.clients.fetch_add(1, Ordering::SeqCst);
        // Streams from the middle on are the clients', those before the machines'.
        let mut rng = ChaCha8Rng::seed_from_u64(self.inner.seed);
        rng.set_stream((1 << 62) + u64::from(number));
        SimProvider::new(self.clone(), self.inner.clock.clone(), rng, (number, options))
    }

    /// Gives a machinetype what its machines do: drawn by weight for each machine that is made from
    /// now on. An empty list takes it away again.
    pub fn set_scripts(&self, machinetype: MachinetypeName, scripts: Vec<(u32, Script)>) {
        self.world().set_scripts(machinetype, scripts);
    }

    /// From now on this goes wrong in the cloud itself. Clients that are there already keep their own rates.
    pub fn set_faults(&self, faults: FaultPlan) {
        self.world().settings.faults = faults;
    }

    /// Somebody else makes a machine, past every quota.
    ///
    /// # Errors
    /// `InvalidSpec` when there is no such offering.
    pub fn add_stranger(&self, stranger: Stranger) -> Result<InstanceId, ProviderError> {
        let Stranger { name, tags, offering } = stranger;
        self.world()
            .add_stranger(name, &tags, &offering)
            .map_err(|(kind, message)| ProviderError::new(kind, "add stranger", message))
    }

    /// Makes something happen in the cloud. `false`: there is no such machine.
    pub fn inject(&self, fault: WorldFault) -> bool {
        self.world().inject(fault)
    }

    /// Every machine, tombstones and ghosts included, in the order of making.
    pub fn machines(&self) -> Vec<SimMachine> {
        let world = self.world();
        world
            .machines
            .values()
            .map(|machine| SimMachine {
                id: machine.instance.id.clone(),
                name: machine.instance.name.clone(),
                identity: machine.instance.identity.clone(),
                state: machine.instance.state.clone(),
                exists: machine.exists(),
                offering: machine.instance.offering.clone(),
                started: machine.instance.started,
                ended: machine.instance.ended,
                cause: machine.cause,
                last_heartbeat: machine.last_heartbeat(world.now),
                shutdown_message: machine.message().map(str::to_owned),
                user_data: machine.user_data.clone(),
                environment: machine.environment.clone(),
            })
            .collect()
    }

    /// How many machines exist that carry this intent. More than one is a broken promise.
    pub fn machines_of(&self, intent: &IntentToken) -> usize {
        self.world().machines_of(intent)
    }

    /// The true limits and use, whatever clients are told.
    pub fn quota(&self) -> Quota {
        self.world().stock.quota()
    }

    /// Everything that has happened, oldest first.
    pub fn log(&self) -> Vec<LogEntry> {
        self.world().log.clone()
    }

    /// What has happened from the entry with this number on, so that a checker reads each but once.
    pub fn log_since(&self, entry: usize) -> Vec<LogEntry> {
        self.world().log.get(entry..).unwrap_or_default().to_vec()
    }

    /// The true cost of our machines until then, by currency: power by the hour with the minimum
    /// charge, each machine rounded up to a millionth. For a time to come, as if what runs went on.
    pub fn bill(&self, until: Timestamp) -> BTreeMap<String, Money> {
        let world = self.world();
        log::bill(&world.log, until, world.settings.minimum_charge)
    }

    /// How many calls of each kind have arrived or tried to, pages of listings counted one by one.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.world().calls.clone()
    }

    /// When something will happen by itself next: where a simulation in virtual time may jump to.
    pub fn next_event(&self) -> Option<Timestamp> {
        self.world().next_event()
    }
}
