//! The handle of the fake cloud: what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use vcycle_api::{Market, Timestamp};

use super::compute::{Event, Place, Then, Wanted, WantedDisk, add};
use super::fake::FakeCloud;

/// A machine that a test puts into the cloud, running.
#[derive(Debug, Clone)]
pub struct NewMachine {
    /// Name.
    pub name: String,
    /// Zone; empty: the first.
    pub zone: String,
    /// Machine type; empty: the first.
    pub machine_type: String,
    /// Labels, also of its disk.
    pub labels: BTreeMap<String, String>,
    /// Metadata.
    pub metadata: Vec<(String, String)>,
    /// Market.
    pub market: Market,
}

impl NewMachine {
    /// A machine of the first type in the first zone, on demand.
    pub fn new(name: &str, labels: BTreeMap<String, String>) -> Self {
        Self {
            name: name.to_owned(),
            zone: String::new(),
            machine_type: String::new(),
            labels,
            metadata: Vec::new(),
            market: Market::OnDemand,
        }
    }
}

/// A machine as the cloud has it.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineView {
    /// Number.
    pub id: u64,
    /// Zone.
    pub zone: String,
    /// Name.
    pub name: String,
    /// Status as it would be shown now.
    pub status: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
    /// The whole resource as `instances.get` shows it.
    pub resource: Value,
    /// What was asked for.
    pub spec: Value,
}

/// A disk as the cloud has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskView {
    /// Zone.
    pub zone: String,
    /// Name.
    pub name: String,
    /// Size.
    pub gb: u32,
    /// Type.
    pub kind: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Name of the machine that uses it.
    pub user: Option<String>,
}

/// An operation as the cloud has it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationView {
    /// Zone.
    pub zone: String,
    /// Name.
    pub name: String,
    /// The whole resource.
    pub resource: Value,
}

impl FakeCloud {
    /// The machines that exist, by zone and name.
    pub fn machines(&self) -> Vec<MachineView> {
        let world = self.world();
        let machines = world.compute.machines.iter().map(|(place, machine)| MachineView {
            id: machine.id,
            zone: place.zone.clone(),
            name: place.name.clone(),
            status: machine.word().to_owned(),
            labels: machine.labels.clone(),
            metadata: machine.metadata.iter().cloned().collect(),
            resource: machine.show(&world, place),
            spec: machine.spec.clone(),
        });
        machines.collect()
    }

    /// A machine that exists, by its name, in whatever zone.
    pub fn machine(&self, name: &str) -> Option<MachineView> {
        self.machines().into_iter().find(|machine| machine.name == name)
    }

    /// How many machines exist.
    pub fn count(&self) -> usize {
        self.world().compute.machines.len()
    }

    /// The disks that exist.
    pub fn disks(&self) -> Vec<DiskView> {
        let world = self.world();
        let disks = world.compute.disks.iter().map(|(place, disk)| DiskView {
            zone: place.zone.clone(),
            name: place.name.clone(),
            gb: disk.gb,
            kind: disk.kind.clone(),
            labels: disk.labels.clone(),
            user: disk.user.clone(),
        });
        disks.collect()
    }

    /// The operations that are remembered.
    pub fn operations(&self) -> Vec<OperationView> {
        let world = self.world();
        let operations = world.compute.operations.iter().map(|(place, operation)| OperationView {
            zone: place.zone.clone(),
            name: place.name.clone(),
            resource: operation.show(&world, place),
        });
        operations.collect()
    }

    /// Permissions that the calls so far have needed.
    pub fn permissions_needed(&self) -> BTreeSet<String> {
        self.world().compute.needed.clone()
    }

    /// Tokens given out so far.
    pub fn tokens(&self) -> u64 {
        self.world().login.count
    }

    /// Requests that were refused because of the rates.
    pub fn refused_by_rates(&self) -> u64 {
        self.world().compute.rate.refused
    }

    /// Whose tokens are good now.
    pub fn logged_in(&self) -> BTreeSet<String> {
        self.world().login.who()
    }

    /// The time by the cloud's clock.
    pub fn now(&self) -> Timestamp {
        self.world().compute.now
    }

    /// Puts a running machine into the cloud, not by a call, and gives its number.
    ///
    /// # Panics
    /// When there is no such machine type.
    pub fn add_machine(&self, new: &NewMachine) -> u64 {
        let mut world = self.world();
        let or_first = |given: &str, all: &[String]| match given.is_empty() {
            true => all.first().cloned().unwrap_or_default(),
            false => given.to_owned(),
        };
        let zone = or_first(&new.zone, &world.site.zones);
        let mut types = world.site.machine_types.iter();
        let machine_type = match new.machine_type.is_empty() {
            true => types.next(),
            false => types.find(|one| one.name == new.machine_type),
        };
        let wanted = Wanted {
            machine_type: machine_type.expect("a test names a machine type of its site").clone(),
            disks: vec![WantedDisk::boot(&new.name, new.labels.clone())],
            labels: new.labels.clone(),
            metadata: new.metadata.clone(),
            market: new.market,
            action: Then::Rests,
            limit: None::<Duration>,
            wants_external: false,
        };
        let spec = json!({ "name": new.name, "networkInterfaces": [{}] });
        let id = add(&mut world, &Place::new(zone, &new.name), &wanted, spec, None);
        let now = world.compute.now;
        world.compute.agenda.add(now, Event::Staged(id));
        world.compute.agenda.add(now, Event::Runs(id));
        id
    }

    /// Puts a disk into the cloud that nobody uses.
    pub fn add_disk(&self, zone: &str, name: &str, labels: BTreeMap<String, String>) {
        self.world().add_disk(&Place::new(zone, name), 10, labels);
    }
}
