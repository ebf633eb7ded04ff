//! The handle of the fake cloud: what is in it, and what becomes of it by a lever of the test.

use std::collections::{BTreeMap, BTreeSet};

use vcycle_api::Timestamp;

use super::fake::FakeCloud;
use super::glance;
use super::nova::{self, Boot, Cell, Fate, Fault, NextBoot, Rest, Server};
use super::site::{SiteCredential, SiteQuota};
use super::world::World;

/// A server that a test puts into the cloud, running.
#[derive(Debug, Clone, Default)]
pub struct NewServer {
    /// Name.
    pub name: String,
    /// Project; empty: the first.
    pub project: String,
    /// Id of the flavour; empty: the first.
    pub flavor: String,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeSet<String>,
    /// When it was accepted; `None`: now.
    pub accepted: Option<Timestamp>,
}

/// A server as the cloud has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Status as Nova would show it now.
    pub status: &'static str,
    /// Task under way.
    pub task: Option<&'static str>,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeSet<String>,
    /// Description.
    pub description: Option<String>,
    /// Key pair.
    pub key_name: Option<String>,
    /// Id of the flavour.
    pub flavor: String,
    /// Image.
    pub image: Option<String>,
    /// Zone.
    pub zone: String,
    /// `user_data`, in base64.
    pub user_data: Option<String>,
    /// Has a config drive.
    pub config_drive: bool,
    /// Scheduler hints.
    pub hints: serde_json::Value,
    /// Volumes, and whether each goes with the server.
    pub volumes: Vec<(String, bool)>,
    /// Ids of the ports.
    pub ports: Vec<String>,
}

/// An image as the cloud has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageView {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Whether its content is complete.
    pub active: bool,
    /// Whether its content is what was sent.
    pub intact: bool,
    /// Bytes of the content.
    pub size: Option<usize>,
    /// Tags.
    pub tags: BTreeSet<String>,
    /// What the owner added.
    pub properties: serde_json::Map<String, serde_json::Value>,
}

fn tenant_of(world: &World, project: &str) -> usize {
    let tenants = &world.site.tenants;
    if project.is_empty() {
        return 0;
    }
    let place = tenants.iter().position(|tenant| tenant.project == project);
    place.expect("a test names a project of its site")
}

fn view(world: &World, server: &Server) -> ServerView {
    let look = server.look(world.now());
    ServerView {
        id: server.id.clone(),
        name: server.name.clone(),
        status: look.status,
        task: look.task_state,
        metadata: server.metadata.clone(),
        tags: server.tags.clone(),
        description: server.description.clone(),
        key_name: server.key_name.clone(),
        flavor: world.site.flavors[server.flavor].id.clone(),
        image: server.image.clone(),
        zone: server.zone.clone(),
        user_data: server.user_data.clone(),
        config_drive: server.config_drive,
        hints: server.hints.clone(),
        volumes: server
            .volumes
            .iter()
            .map(|volume| (volume.volume.clone(), volume.delete_on_termination))
            .collect(),
        ports: world.network.of(&server.id).iter().map(|port| port.id.clone()).collect(),
    }
}

impl FakeCloud {
    /// The servers that exist, of all projects, oldest first.
    pub fn servers(&self) -> Vec<ServerView> {
        let mut world = self.world();
        nova::bury(&mut world);
        let there = world.nova.servers.values().filter(|server| server.is_there());
        there.map(|server| view(&world, server)).collect()
    }

    /// A server that exists.
    pub fn server(&self, id: &str) -> Option<ServerView> {
        self.servers().into_iter().find(|server| server.id == id)
    }

    /// Puts a running server into the cloud, and gives its id.
    pub fn add_server(&self, new: &NewServer) -> String {
        let mut world = self.world();
        let tenant = tenant_of(&world, &new.project);
        let flavors = &world.site.flavors;
        let flavor = flavors.iter().position(|flavor| flavor.id == new.flavor).unwrap_or(0);
        let image = world.site.images.first().map(|image| image.id.clone());
        let mut server = nova::plain(&mut world, tenant, new.name.clone());
        let accepted = new.accepted.unwrap_or(server.accepted);
        server.flavor = flavor;
        server.image = image;
        server.metadata.clone_from(&new.metadata);
        server.tags.clone_from(&new.tags);
        (server.accepted, server.placed) = (accepted, accepted);
        server.boot = Boot::Runs(accepted);
        let id = server.id.clone();
        world.nova.add(server);
        id
    }

    /// Lets a server become something else.
    ///
    /// # Panics
    /// When there is no such server.
    pub fn becomes(&self, id: &str, fate: Fate) {
        let mut world = self.world();
        let now = world.now();
        nova::bury(&mut world);
        if fate == Fate::Vanished {
            return nova::vanish(&mut world, id);
        }
        let server = world.nova.find_mut(id).expect("a test names a server that exists");
        match fate {
            Fate::ShutOff => server.rest = Rest::Stopped(now),
            Fate::Runs => {
                server.rest = Rest::AsBuilt;
                server.power_off = None;
                (server.placed, server.boot) = (now, Boot::Runs(now));
            }
            Fate::Error(fault) => {
                server.boot = Boot::Runs(server.placed.min(now));
                server.rest = Rest::Failed(now, fault);
            }
            Fate::FailedBoot(fault) => server.boot = Boot::Fails(now, fault),
            Fate::Status(status) => {
                server.boot = Boot::Runs(server.placed.min(now));
                server.rest = Rest::Other(now, status);
            }
            Fate::Stuck => server.boot = Boot::Stuck,
            // Done above: it needs the whole world, not the server alone.
            Fate::Vanished => {}
            Fate::Ghost => server.ghost = true,
            Fate::NeverDeleted => server.never_deleted = true,
            Fate::Locked => server.locked = true,
            Fate::Unlocked => server.locked = false,
            Fate::CellDown => server.cell = Cell::Down,
            Fate::Missing => server.cell = Cell::Missing,
            Fate::CellUp => server.cell = Cell::Up,
        }
    }

    /// The next accepted creates end in error. With [`Fault::late_quota`] the quota is not looked at when
    /// they are accepted.
    pub fn fail_next_boots(&self, count: usize, fault: &Fault) {
        let fails = std::iter::repeat_n(NextBoot::Fails(fault.clone()), count);
        self.world().nova.next_boots.extend(fails);
    }

    /// The next accepted creates stay in BUILD for ever.
    pub fn stick_next_boots(&self, count: usize) {
        self.world().nova.next_boots.extend(std::iter::repeat_n(NextBoot::Stuck, count));
    }

    /// Deletes are soft from now on: SOFT_DELETED, in no listing and no quota, until `forceDelete`.
    pub fn deletes_softly(&self) {
        self.world().nova.reclaim = true;
    }

    /// From now on, ports and volumes stay when their server goes.
    pub fn leaves_side_resources(&self) {
        self.world().nova.leaves_side_resources = true;
    }

    /// Sets the limits of a project.
    pub fn set_quota(&self, project: &str, quota: SiteQuota) {
        let mut world = self.world();
        let tenant = tenant_of(&world, project);
        world.site.tenants[tenant].quota = quota;
    }

    /// Makes what a project uses now its limit.
    pub fn fill_quota(&self, project: &str) {
        let mut world = self.world();
        let tenant = tenant_of(&world, project);
        let used = nova::used(&world, tenant);
        let quota = &mut world.site.tenants[tenant].quota;
        (quota.cores, quota.instances, quota.ram) = (used.cores, used.instances, used.ram);
    }

    /// Adds an application credential to a project.
    pub fn add_credential(&self, project: &str, credential: SiteCredential) {
        let mut world = self.world();
        let tenant = tenant_of(&world, project);
        world.identity.credentials[tenant].push(credential);
    }

    /// Refuses everybody, and every token, from now on.
    pub fn refuse_everybody(&self) {
        let mut world = self.world();
        world.identity.closed = true;
        world.identity.tokens.clear();
    }

    /// Refuses a user (by name) or an application credential (by id), and ends its tokens.
    pub fn refuse(&self, who: &str) {
        let mut world = self.world();
        let site = world.site.clone();
        world.identity.refuse(&site, who);
    }

    /// Ends every token; new ones are given out.
    pub fn end_tokens(&self) {
        self.world().identity.tokens.clear();
    }

    /// Nobody is refused any more.
    pub fn refuse_nobody(&self) {
        let mut world = self.world();
        world.identity.closed = false;
        world.identity.refused.clear();
    }

    /// Adds a security group to a project.
    pub fn add_security_group(&self, project: &str, name: &str) {
        let mut world = self.world();
        let tenant = tenant_of(&world, project);
        world.network.add_group(tenant, name);
    }

    /// The images that exist.
    pub fn images(&self) -> Vec<ImageView> {
        let world = self.world();
        let views = world.images.all.iter().map(|image| ImageView {
            id: image.id.clone(),
            name: image.name.clone(),
            active: image.status == glance::Status::Active,
            intact: image.intact,
            size: image.size,
            tags: image.tags.clone(),
            properties: glance::properties(image),
        });
        views.collect()
    }

    /// The next upload of an image breaks off after this many bytes.
    pub fn cut_next_upload(&self, bytes: usize) {
        self.world().images.cut_after = Some(bytes);
    }

    /// The next upload of an image is stored with its first byte changed.
    pub fn corrupt_next_upload(&self) {
        self.world().images.corrupt = true;
    }

    /// Ids and tags of all ports.
    pub fn ports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let world = self.world();
        world.network.all().map(|port| (port.id.clone(), port.tags.clone())).collect()
    }

    /// Ids and metadata of all volumes.
    pub fn volumes(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let world = self.world();
        let all = world.volumes.all.iter();
        all.map(|volume| (volume.id.clone(), volume.metadata.clone())).collect()
    }

    /// Names and texts of all key pairs.
    pub fn keypairs(&self) -> BTreeMap<String, String> {
        let world = self.world();
        let all = world.nova.keypairs.iter();
        all.map(|own| (own.name.clone(), own.public_key.clone())).collect()
    }
}
