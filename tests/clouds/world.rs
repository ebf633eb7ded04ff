//! Everything that outlives a process: the time, the state directory, the doubles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use vcycle::act::Home;
use vcycle::library::Setup;
use vcycle::model::{DeploymentId, IntentToken, MachineRecord, ManagerName, Processors, SpaceName};
use vcycle::store::Store;
use vcycle::store::testing::MemoryFs;
use vcycle_api::{Act, Clock};

use super::double::Double;
use super::laws;
use super::post::{Breaches, Doom, Post};
use super::time::Time;
use crate::support::mortal::Fate;

/// What a guest, and Compute Engine, may need beyond the hard end of a machine. Google counts its time from when it runs.
const GRACE: Duration = Duration::from_secs(120);

/// A cloud and what is in store for whoever makes a machine there.
pub struct Place {
    pub double: Arc<dyn Double>,
    pub limit: Processors,
    pub doom: Doom,
}

/// The world.
pub struct World {
    pub time: Arc<Time>,
    pub disk: MemoryFs,
    pub deployment: DeploymentId,
    pub setup: Arc<Setup>,
    pub places: BTreeMap<SpaceName, Place>,
    breaches: Breaches,
}

impl World {
    /// Spaces of these instructions with their doubles.
    pub fn new(
        time: &Arc<Time>,
        setup: Arc<Setup>,
        doubles: BTreeMap<SpaceName, Arc<dyn Double>>,
    ) -> Self {
        let place = |(name, double): (SpaceName, Arc<dyn Double>)| {
            let limit = setup.spaces[&name].policy.processors_limit.unwrap_or_default();
            (name, Place { double, limit, doom: Doom::default() })
        };
        let places = doubles.into_iter().map(place).collect();
        Self {
            time: time.clone(),
            disk: MemoryFs::new(time.clone()),
            deployment: DeploymentId::compose(5),
            setup,
            places,
            breaches: Breaches::default(),
        }
    }

    /// The line of a new process to the cloud of a space.
    pub fn line(&self, space: &SpaceName, fate: &Arc<Fate>) -> Arc<dyn Act> {
        let place = &self.places[space];
        Arc::new(Post {
            inner: place.double.open(&self.deployment, self.time.clone()),
            time: self.time.clone(),
            fate: fate.clone(),
            disk: self.disk.clone(),
            doom: place.doom.clone(),
            breaches: self.breaches.clone(),
        })
    }

    /// A store for who only looks.
    pub fn store(&self) -> Store {
        Store::new(Arc::new(self.disk.clone()), self.time.clone())
    }

    /// All records of a space: those that live, and those of the archive.
    pub async fn records(&self, space: &SpaceName) -> (Vec<MachineRecord>, Vec<MachineRecord>) {
        let loaded = self.store().load_space(space).await.unwrap();
        assert!(loaded.corrupt.is_empty(), "records that cannot be read: {:?}", loaded.corrupt);
        let archived = loaded.archived.into_iter().map(|archived| archived.record);
        (loaded.records, archived.collect())
    }

    /// What must hold at every moment.
    pub async fn check(&self) {
        laws::none("intents", &self.breaches.lock().unwrap());
        for (space, place) in &self.places {
            let books = place.double.books();
            let (records, archived) = self.records(space).await;
            let all = records.iter().chain(&archived);
            let known: BTreeSet<IntentToken> = all.map(|record| *record.intent()).collect();
            let at = format!("{space} at {}", self.time.now());
            laws::none(&at, &laws::made_twice(&books));
            laws::none(&at, &laws::unknown(&books, &known));
            laws::none(&at, &laws::overdue(&books, self.time.now(), GRACE));
            laws::none(&at, &laws::above_limit(&books, place.limit));
            laws::none(&at, &laws::strangers_ended(&books));
            laws::none(&at, &place.double.problems());
        }
    }

    /// Whether every machine has a record that lives and every such record its machine, and the space is full.
    /// `Err`: what is not so.
    pub async fn is_full(&self, space: &SpaceName) -> Result<(), String> {
        let place = &self.places[space];
        let books = place.double.books();
        let there = books.machines.iter().filter(|made| made.is_there());
        let used: u32 = there.map(|made| made.processors.0).sum();
        if used != place.limit.0 {
            return Err(format!("{used} processors of {} in {space}", place.limit));
        }
        let machines = books.ours().filter(|(made, _)| made.is_there());
        let machines: BTreeSet<_> = machines.map(|(_, tags)| tags.intent).collect();
        let (records, _) = self.records(space).await;
        let live = records.iter().filter(|r| r.gone.is_none() && r.rejected.is_none());
        let live: BTreeSet<_> = live.map(|record| *record.intent()).collect();
        if machines != live {
            return Err(format!("machines {machines:?} and records {live:?} of {space} differ"));
        }
        Ok(())
    }
}

/// Who a manager is.
pub fn home(name: &str) -> Home {
    Home {
        manager: ManagerName::parse(name).unwrap(),
        version: "vcycle test".into(),
        hostname: name.into(),
        base_url: "https://localhost:1".into(),
        manager_ca: String::new(),
    }
}
