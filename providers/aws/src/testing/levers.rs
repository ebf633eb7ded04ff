//! The handle of the fake cloud: what becomes of it by a lever of the test.

use std::collections::BTreeMap;
use std::time::Duration;

use super::addresses::Address;
use super::bucket::{Buckets, Rates};
use super::disks::Volume;
use super::fake::FakeCloud;
use super::images::Image;
use super::ledger::End;
use super::life::{self, Event};
use super::machine::{Machine, Reason};
use super::quotas;
use super::reply::Refusal;
use super::short::Pool;
use super::site::{Guest, SiteImage, SiteLimits};
use super::world::World;

fn change(world: &mut World, id: &str, with: impl FnOnce(&mut Machine)) -> u64 {
    let number = world.numbers.get(id).copied().expect("a test names a machine of its cloud");
    with(world.machines.get_mut(&number).expect("what has a number has a record"));
    number
}

impl FakeCloud {
    /// Launches of this pool are refused from now on, for want of capacity.
    pub fn runs_short(&self, pool: Pool) {
        self.world().short.order(pool, 0, None);
    }

    /// As [`FakeCloud::runs_short`], but so many more machines may be made, and the refusal is another one.
    pub fn runs_short_after(&self, pool: Pool, left: u32, refusal: Option<Refusal>) {
        self.world().short.order(pool, left, refusal);
    }

    /// Launches of this pool are accepted from now on, and fail to start for want of capacity.
    pub fn runs_short_late(&self, pool: Pool) {
        self.world().short.late.push(pool);
    }

    /// There is enough of this pool again.
    pub fn restock(&self, pool: &Pool) {
        self.world().short.restock(pool);
    }

    /// There is enough of everything again.
    pub fn restock_all(&self) {
        self.world().short.restock_all();
    }

    /// Sets the limits of the account.
    pub fn set_limits(&self, limits: SiteLimits) {
        self.world().site.limits = limits;
    }

    /// Makes what is used now the limits of the account.
    pub fn fill_quota(&self) {
        let mut world = self.world();
        life::catch_up(&mut world);
        let (on_demand, spot) = quotas::in_use(&world);
        world.site.limits = SiteLimits { on_demand, spot };
    }

    /// Throttles by these rates from now on, with full buckets.
    pub fn set_rates(&self, rates: &Rates) {
        let mut world = self.world();
        let now = world.now();
        world.buckets = Some(Buckets::new(rates, now));
    }

    /// Gives notice that a spot machine will be taken back in two minutes: into the queue, and to its guest.
    pub fn interrupt(&self, id: &str) {
        let mut world = self.world();
        life::catch_up(&mut world);
        life::give_notice(&mut world, id);
    }

    /// Takes a spot machine back now, without notice.
    pub fn interrupt_at_once(&self, id: &str) {
        let mut world = self.world();
        life::catch_up(&mut world);
        let now = world.now();
        let number = change(&mut world, id, |_| {});
        life::end(&mut world, now, number, End::Interrupted, None);
    }

    /// Says that a spot machine is at risk: no more than a hint.
    pub fn recommend_rebalance(&self, id: &str) {
        let mut world = self.world();
        life::send_event(&mut world, id, "EC2 Instance Rebalance Recommendation", "");
    }

    /// Puts any text into the queue.
    pub fn send_to_queue(&self, body: &str) {
        let mut world = self.world();
        let (id, now) = (world.ids.uuid(), world.now());
        world.queue.send(id, body.to_owned(), now);
    }

    /// The guest of a machine shuts it down now.
    pub fn guest_ends(&self, id: &str) {
        let mut world = self.world();
        life::catch_up(&mut world);
        let now = world.now();
        let number = change(&mut world, id, |machine| machine.guest_end = Some(now));
        life::plan(&mut world, now, number, Event::GuestEnds);
        life::catch_up(&mut world);
    }

    /// What the guest of a machine does from now on.
    pub fn set_guest(&self, id: &str, guest: Guest) {
        let mut world = self.world();
        life::catch_up(&mut world);
        let now = world.now();
        let number = change(&mut world, id, |machine| machine.guest = guest);
        life::replan_guest(&mut world, now, number);
    }

    /// What the guests of the next machines do.
    pub fn next_guests(&self, count: usize, guest: Guest) {
        self.world().short.guests.extend(std::iter::repeat_n(guest, count));
    }

    /// The next accepted launches never get power: `pending`, then `terminated`, for this reason.
    pub fn fail_next_launches(&self, count: usize, reason: &Reason) {
        self.world().short.failures.extend(std::iter::repeat_n(reason.clone(), count));
    }

    /// A zone is disrupted: launches into it and listings without ids fail.
    pub fn zone_fails(&self, zone: &str) {
        self.world().down.insert(zone.to_owned());
    }

    /// All zones work again.
    pub fn zones_recover(&self) {
        self.world().down.clear();
    }

    /// How long new ids are unknown, and how long changes of state do not show.
    pub fn lag(&self, new: Duration, state: Duration) {
        let times = &mut self.world().site.times;
        (times.new_lag, times.state_lag) = (new, state);
    }

    /// From now on, volumes and interfaces of new machines outlive them.
    pub fn leaves_side_resources(&self) {
        self.world().leaves = true;
    }

    /// Puts a volume into the cloud that nobody uses, and gives its id.
    pub fn add_volume(&self, tags: &BTreeMap<String, String>) -> String {
        let mut world = self.world();
        let (id, created) = (world.ids.resource("vol"), world.now());
        let volume = Volume {
            id: id.clone(),
            zone: world.site.zones[0].clone(),
            gb: 8,
            kind: "gp3".to_owned(),
            encrypted: false,
            tags: tags.clone(),
            created,
            attached: None,
        };
        world.volumes.insert(id.clone(), volume);
        id
    }

    /// Puts an elastic address into the cloud, and gives its id.
    pub fn add_address(&self, tags: &BTreeMap<String, String>, machine: Option<&str>) -> String {
        let mut world = self.world();
        let id = world.ids.resource("eipalloc");
        let last = u8::try_from(world.addresses.len() % 250).unwrap_or_default();
        let address = Address {
            id: id.clone(),
            address: std::net::Ipv4Addr::new(198, 51, 100, last),
            machine: machine.map(str::to_owned),
            tags: tags.clone(),
        };
        world.addresses.insert(id.clone(), address);
        id
    }

    /// Ids of the elastic addresses.
    pub fn addresses(&self) -> Vec<String> {
        self.world().addresses.keys().cloned().collect()
    }

    /// A machine may not be terminated any more (`disableApiTermination`).
    pub fn protect(&self, id: &str) {
        change(&mut self.world(), id, |machine| machine.protected = true);
    }

    /// It may be terminated again.
    pub fn unprotect(&self, id: &str) {
        change(&mut self.world(), id, |machine| machine.protected = false);
    }

    /// A machine loses its record now.
    pub fn forget(&self, id: &str) {
        let mut world = self.world();
        let number = change(&mut world, id, |_| {});
        life::forget(&mut world, number);
    }

    /// A machine loses its tags now, as one does some time after its end.
    pub fn drop_tags(&self, id: &str) {
        change(&mut self.world(), id, |machine| machine.tags.clear());
    }

    /// Adds an image.
    pub fn add_image(&self, image: &SiteImage) {
        let mut world = self.world();
        let image = Image::new(image, &world.site.account);
        world.images.push(image);
    }

    /// An image is deregistered: no machine can be made of it any more.
    pub fn deregister_image(&self, id: &str) {
        let mut world = self.world();
        for image in world.images.iter_mut().filter(|image| image.site.id == id) {
            image.site.state = "deregistered".to_owned();
        }
    }

    /// Refuses everybody from now on.
    pub fn refuse_everybody(&self) {
        self.world().access.closed = true;
    }

    /// Refuses an access key from now on.
    pub fn refuse(&self, key: &str) {
        self.world().access.refused.insert(key.to_owned());
    }

    /// Nobody is refused any more.
    pub fn refuse_nobody(&self) {
        let access = &mut self.world().access;
        access.closed = false;
        access.refused.clear();
    }

    /// Ends every session of a role.
    pub fn end_sessions(&self) {
        self.world().access.sessions.clear();
    }

    /// Allows what this IAM policy allows, and nothing else. Actions alone count: resources and conditions are taken
    /// as met, and a denial with a condition as not met.
    pub fn allow_only(&self, policy: &serde_json::Value) {
        self.world().access.allow_only(policy);
    }
}
