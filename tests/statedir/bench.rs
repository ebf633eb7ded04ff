//! A state directory to test on, real or in memory, whose managers each have a clock of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use vcycle::model::{DeploymentId, MachineRecord, ManagerName, SpaceName, Timestamp};
use vcycle::store::testing::{FaultyFs, MemoryFs, example_record};
use vcycle::store::{
    Acquire, FeaturePolicy, MachineFiles, Ownership, RealFs, SharedFs, Store, features,
};
use vcycle_api::{ManualClock, UserData};

use crate::acquire::acquire;

pub(crate) const TTL: Duration = Duration::from_secs(15);
pub(crate) const SECRET: &str = "#!/bin/sh\necho secret-token-in-user-data\n";

/// Where the files are.
pub(crate) enum Place {
    Memory(MemoryFs),
    Real(TempDir),
}

/// The directory, and the clock of the first manager.
pub(crate) struct Bench {
    pub(crate) place: Place,
    pub(crate) clock: Arc<ManualClock>,
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_secs(1_767_200_000)))
}

impl Bench {
    pub(crate) fn memory() -> Self {
        Self { place: Place::Memory(MemoryFs::new(clock())), clock: clock() }
    }

    pub(crate) fn real() -> Self {
        Self { place: Place::Real(TempDir::new().unwrap()), clock: clock() }
    }

    pub(crate) fn both() -> [Self; 2] {
        [Self::memory(), Self::real()]
    }

    /// The filesystem as a new process sees it.
    pub(crate) fn fs(&self) -> Arc<dyn SharedFs> {
        match &self.place {
            Place::Memory(fs) => Arc::new(fs.clone()),
            Place::Real(dir) => Arc::new(RealFs::new(dir.path())),
        }
    }

    /// A new process on the first clock.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.fs(), self.clock.clone())
    }

    /// A new process with a filesystem that can be told to fail.
    pub(crate) fn faulty(&self) -> (Store, FaultyFs) {
        let fs = FaultyFs::new(self.fs());
        (Store::new(Arc::new(fs.clone()), self.clock.clone()), fs)
    }

    /// Puts a file from outside.
    pub(crate) fn plant(&self, path: &str, content: &[u8]) {
        match &self.place {
            Place::Memory(fs) => fs.plant(path, content),
            Place::Real(dir) => {
                let full = dir.path().join(path);
                std::fs::create_dir_all(full.parent().unwrap()).unwrap();
                std::fs::write(full, content).unwrap();
            }
        }
    }

    /// Looks at a file from outside.
    pub(crate) fn content(&self, path: &str) -> Option<Vec<u8>> {
        match &self.place {
            Place::Memory(fs) => fs.files().remove(std::path::Path::new(path)),
            Place::Real(dir) => std::fs::read(dir.path().join(path)).ok(),
        }
    }

    /// Removes a file or folder from outside.
    pub(crate) fn uproot(&self, path: &str) {
        match &self.place {
            Place::Memory(fs) => fs.uproot(path),
            Place::Real(dir) => {
                let full = dir.path().join(path);
                if full.is_dir() {
                    std::fs::remove_dir_all(full).unwrap();
                } else {
                    std::fs::remove_file(full).unwrap();
                }
            }
        }
    }
}

pub(crate) fn space() -> SpaceName {
    SpaceName::parse("a.example").unwrap()
}

pub(crate) fn manager(name: &str) -> ManagerName {
    ManagerName::parse(name).unwrap()
}

pub(crate) fn fresh(number: u64) -> DeploymentId {
    DeploymentId::compose(number)
}

/// The path of a file in a current machine's folder.
pub(crate) fn in_folder(record: &MachineRecord, file: &str) -> String {
    format!("spaces/a.example/current/{}/{file}", record.machine())
}

pub(crate) fn files(record: &MachineRecord) -> MachineFiles {
    let policy = FeaturePolicy {
        hs06_per_processor: None,
        max_wallclock: Duration::from_secs(100_000),
        grace: Duration::from_secs(3600),
        shutdown_time: None,
        scratch_bytes: None,
        swap_bytes: None,
    };
    let (mut machinefeatures, mut jobfeatures): (BTreeMap<_, _>, BTreeMap<_, _>) =
        features(record, &policy);
    // A few are enough: crash tests write them one by one, many times.
    machinefeatures.retain(|key, _| key == "total_cpu");
    jobfeatures.retain(|key, _| key == "job_id" || key == "wall_limit_secs");
    MachineFiles { machinefeatures, jobfeatures, user_data: UserData::new(SECRET) }
}

/// Acquires, and must.
pub(crate) async fn own(store: &Store, name: &str) -> Ownership {
    match acquire(store, &space(), &manager(name), TTL).await.unwrap() {
        Acquire::Owned(ownership) => ownership,
        Acquire::HeldBy { manager, generation } => panic!("held by {manager}, {generation}"),
    }
}

/// Acquires, and must not: by whom it is held.
pub(crate) async fn held(store: &Store, name: &str) -> (ManagerName, u64) {
    match acquire(store, &space(), &manager(name), TTL).await.unwrap() {
        Acquire::Owned(ownership) => panic!("owned as {}", ownership.generation()),
        Acquire::HeldBy { manager, generation } => (manager, generation.0),
    }
}

/// Makes a machine, as stored.
pub(crate) async fn make(store: &Store, owner: &Ownership, number: u64) -> MachineRecord {
    let record = example_record(number);
    let proof = owner.proof().unwrap();
    store.create_machine(&proof, &record, &files(&record)).await.unwrap();
    store.record(&space(), record.machine()).await.unwrap().unwrap()
}
