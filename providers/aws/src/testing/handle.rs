//! The handle of the fake cloud: what is in it.

use std::collections::BTreeMap;

use vcycle_api::Timestamp;

use super::fake::FakeCloud;
use super::launch::Launch;
use super::life;
use super::machine::{Imds, Machine, Reason, State};
use super::quotas;
use super::wanted::{ROOT_DEVICE, Wanted, WantedVolume};
use super::world::World;

/// A machine as the cloud has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineView {
    /// Id.
    pub id: String,
    /// State in truth, whatever a listing shows.
    pub state: State,
    /// Why.
    pub reason: Option<Reason>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Client token.
    pub token: Option<String>,
    /// Instance type.
    pub flavour: String,
    /// Zone.
    pub zone: String,
    /// Image.
    pub image: String,
    /// Subnet.
    pub subnet: String,
    /// Names of the security groups.
    pub groups: Vec<String>,
    /// Key pair.
    pub key: Option<String>,
    /// Instance profile.
    pub profile: Option<String>,
    /// User data, out of base64; compressed if it was sent so.
    pub user_data: Vec<u8>,
    /// Whether it ends for good when its guest shuts it down.
    pub ends_with_guest: bool,
    /// `HttpTokens`: `required` is IMDSv2 alone.
    pub imds_tokens: String,
    /// Whether it is spot.
    pub spot: bool,
    /// Whether it has a public address.
    pub public: bool,
    /// When the launch was accepted.
    pub accepted: Timestamp,
    /// Whether notice of its interruption was given.
    pub noticed: bool,
    /// Ids of its volumes.
    pub volumes: Vec<String>,
    /// Ids of its network interfaces.
    pub interfaces: Vec<String>,
}

/// A volume as the cloud has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeView {
    /// Id.
    pub id: String,
    /// Size in GiB.
    pub gb: u32,
    /// Type, for example `gp3`.
    pub kind: String,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The machine that uses it, and whether it goes with that.
    pub attached: Option<(String, bool)>,
}

/// A machine that a test puts into the cloud.
#[derive(Debug, Clone, Default)]
pub struct NewMachine {
    /// Instance type; empty: the first.
    pub flavour: String,
    /// Zone; empty: the first.
    pub zone: String,
    /// Whether it is spot.
    pub spot: bool,
    /// Tags of the machine and of its volume and interface.
    pub tags: BTreeMap<String, String>,
    /// Client token.
    pub token: Option<String>,
}

fn view(machine: &Machine) -> MachineView {
    let made = &machine.made;
    MachineView {
        id: made.id.clone(),
        state: machine.state(),
        reason: machine.phase().reason.clone(),
        tags: machine.tags.clone(),
        token: made.token.as_ref().map(|(token, _)| token.clone()),
        flavour: made.flavour.clone(),
        zone: made.zone.clone(),
        image: made.image.clone(),
        subnet: made.subnet.clone(),
        groups: made.groups.iter().map(|(_, name)| name.clone()).collect(),
        key: made.key.clone(),
        profile: made.profile.clone(),
        user_data: made.user_data.to_vec(),
        ends_with_guest: made.ends_with_guest,
        imds_tokens: made.imds.tokens.clone(),
        spot: made.spot.is_some(),
        public: made.public.is_some(),
        accepted: made.accepted,
        noticed: machine.noticed,
        volumes: machine.volumes.clone(),
        interfaces: machine.interfaces.clone(),
    }
}

fn wanted(world: &World, new: &NewMachine) -> Wanted {
    let NewMachine { flavour, zone, spot, tags, token: _ } = new;
    let site = &world.site;
    let kind = site.types.iter().find(|kind| kind.name == *flavour).unwrap_or(&site.types[0]);
    let subnet = site.subnets.iter().find(|one| one.zone == *zone).unwrap_or(&site.subnets[0]);
    let kinds = ["instance", "volume", "network-interface"];
    Wanted {
        least: 1,
        most: 1,
        image: site.images[0].id.clone(),
        kind: kind.clone(),
        subnet: subnet.clone(),
        public: false,
        interface_goes: true,
        groups: Vec::new(),
        key: None,
        profile: None,
        user_data: Vec::new(),
        ends_with_guest: true,
        imds: Imds { tokens: "required".into(), endpoint: "enabled".into(), hops: "1".into() },
        spot: *spot,
        volumes: vec![WantedVolume {
            device: ROOT_DEVICE.to_owned(),
            gb: 8,
            kind: "gp3".to_owned(),
            encrypted: false,
            goes: true,
        }],
        tags: kinds.iter().map(|kind| ((*kind).to_owned(), tags.clone())).collect(),
    }
}

impl FakeCloud {
    /// The machines that have a record, oldest first; those that are `terminated`, too.
    pub fn machines(&self) -> Vec<MachineView> {
        let mut world = self.world();
        life::catch_up(&mut world);
        world.machines.values().map(view).collect()
    }

    /// A machine that has a record.
    pub fn machine(&self, id: &str) -> Option<MachineView> {
        let mut world = self.world();
        life::catch_up(&mut world);
        world.machine(id).map(view)
    }

    /// Puts a running machine into the cloud, and gives its id.
    pub fn add_machine(&self, new: &NewMachine) -> String {
        let mut world = self.world();
        life::catch_up(&mut world);
        let wanted = wanted(&world, new);
        let reservation = world.ids.resource("r");
        let token = new.token.clone().map(|token| (token, wanted.subnet.zone.clone()));
        let number = Launch { wanted: &wanted, token, by: None }.make(&mut world, &reservation, 0);
        let now = world.now();
        life::runs(&mut world, now, number);
        world.machines[&number].made.id.clone()
    }

    /// Processors in use now: on demand, and spot.
    pub fn processors_in_use(&self) -> (u32, u32) {
        let mut world = self.world();
        life::catch_up(&mut world);
        quotas::in_use(&world)
    }

    /// All volumes.
    pub fn volumes(&self) -> Vec<VolumeView> {
        let mut world = self.world();
        life::catch_up(&mut world);
        let views = world.volumes.values().map(|volume| VolumeView {
            id: volume.id.clone(),
            gb: volume.gb,
            kind: volume.kind.clone(),
            encrypted: volume.encrypted,
            tags: volume.tags.clone(),
            attached: volume.attached.as_ref().map(|place| (place.machine.clone(), place.goes)),
        });
        views.collect()
    }

    /// Ids and tags of all network interfaces.
    pub fn interfaces(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut world = self.world();
        life::catch_up(&mut world);
        world.interfaces.values().map(|one| (one.id.clone(), one.tags.clone())).collect()
    }

    /// Names and texts of all key pairs.
    pub fn keypairs(&self) -> BTreeMap<String, String> {
        let world = self.world();
        world.keypairs.iter().map(|(name, pair)| (name.clone(), pair.text.clone())).collect()
    }

    /// Ids of the spot requests with their state and status.
    pub fn spot_requests(&self) -> BTreeMap<String, (&'static str, &'static str)> {
        let mut world = self.world();
        life::catch_up(&mut world);
        let all = world.spot.values();
        all.map(|request| (request.id.clone(), (request.state, request.status))).collect()
    }

    /// How many messages are in the queue, hidden ones too.
    pub fn queue_depth(&self) -> usize {
        self.world().queue.len()
    }
}
