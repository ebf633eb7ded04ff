//! The handle of the fake cloud: what becomes of it by a lever of the test.

use std::collections::{BTreeMap, BTreeSet};

use vcycle_api::Market;

use super::compute::{
    Fate, Habit, Machine, OpError, Outage, Place, Shortage, Told, What, guest_ends, preempt,
    remove, used,
};
use super::fake::FakeCloud;
use super::ledger::End;
use super::site::Rates;
use super::world::World;

fn place_of(world: &World, name: &str) -> Place {
    let found = world.compute.machines.keys().find(|place| place.name == name);
    found.expect("a test names a machine that exists").clone()
}

impl FakeCloud {
    /// An offering is out of stock from now on.
    pub fn stock_out(&self, shortage: Shortage) {
        self.world().compute.shortages.push(shortage);
    }

    /// Everything is in stock again.
    pub fn restock_all(&self) {
        self.world().compute.shortages.clear();
    }

    /// This offering is in stock again.
    pub fn restock(&self, machine_type: &str, zone: &str, market: Market) {
        let shortages = &mut self.world().compute.shortages;
        shortages.retain(|shortage| !shortage.fits(machine_type, zone, market));
    }

    /// The next accepted inserts fail in their operations.
    pub fn fail_next_inserts(&self, count: usize, error: &OpError) {
        let fails = std::iter::repeat_n(Fate::Fails(error.clone()), count);
        self.world().compute.next.extend(fails);
    }

    /// The guests of the next accepted inserts power themselves off as soon as they run.
    pub fn end_next_guests(&self, count: usize) {
        let ends = std::iter::repeat_n(Fate::GuestEnds, count);
        self.world().compute.next.extend(ends);
    }

    /// How a full quota is told from now on.
    pub fn tell_quota(&self, told: Told) {
        self.world().compute.told.insert(What::Quota, told);
    }

    /// How a name that is taken is told from now on.
    pub fn tell_existing(&self, told: Told) {
        self.world().compute.told.insert(What::Exists, told);
    }

    /// Sets the limit of a metric of the region, `CPUS`.
    pub fn set_quota(&self, metric: &str, limit: f64) {
        let mut world = self.world();
        for quota in world.site.quotas.iter_mut().filter(|quota| quota.metric == metric) {
            quota.limit = limit;
        }
    }

    /// Makes what is used now the limit of every metric.
    pub fn fill_quotas(&self) {
        let mut world = self.world();
        let used: Vec<f64> = {
            let World { site, compute, .. } = &*world;
            site.quotas.iter().map(|quota| used(site, compute, &quota.metric)).collect()
        };
        for (quota, used) in world.site.quotas.iter_mut().zip(used) {
            quota.limit = used;
        }
    }

    /// Requests per minute from now on.
    pub fn set_rates(&self, rates: Option<Rates>) {
        self.world().site.rates = rates;
    }

    /// Changes how long things take from now on.
    pub fn set_times(&self, change: impl FnOnce(&mut super::SiteTimes)) {
        change(&mut self.world().site.times);
    }

    /// Compute Engine takes a machine back: STOPPING, then what its `instanceTerminationAction` says.
    pub fn preempt(&self, name: &str) {
        let mut world = self.world();
        let place = place_of(&world, name);
        preempt(&mut world, &place);
    }

    /// The guest of a machine powers itself off.
    pub fn guest_ends(&self, name: &str) {
        let mut world = self.world();
        let place = place_of(&world, name);
        guest_ends(&mut world, &place);
    }

    /// Somebody else removes a machine; no operation tells of it.
    pub fn vanish(&self, name: &str) {
        let mut world = self.world();
        let (place, now) = (place_of(&world, name), world.compute.now);
        remove(&mut world, &place, now, End::Vanished);
    }

    /// A machine shows this word as its status, whatever it is. Words that Google does not list are allowed.
    pub fn shows_status(&self, name: &str, word: &str) {
        self.world().odd_words.insert(word.to_owned());
        self.change(name, |machine| machine.odd = Some(word.to_owned()));
    }

    /// A machine shows its own status again.
    pub fn shows_true_status(&self, name: &str) {
        self.change(name, |machine| machine.odd = None);
    }

    /// A machine is protected against deletion.
    pub fn protect(&self, name: &str) {
        self.change(name, |machine| machine.protected = true);
    }

    /// It is no longer.
    pub fn unprotect(&self, name: &str) {
        self.change(name, |machine| machine.protected = false);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Machine)) {
        let mut world = self.world();
        let place = place_of(&world, name);
        change(world.compute.machines.get_mut(&place).expect("the place is a machine's"));
    }

    /// Somebody else changes the labels of a machine: fingerprints read before are no longer good.
    pub fn change_labels(&self, name: &str, labels: BTreeMap<String, String>) {
        self.change(name, |machine| {
            machine.labels = labels;
            machine.labels_version += 1;
        });
    }

    /// Every operation is forgotten, finished or not; what they do is still done.
    pub fn forget_operations(&self) {
        self.world().compute.operations.clear();
    }

    /// Every `requestId` is forgotten.
    pub fn forget_requests(&self) {
        self.world().compute.requests.clear();
    }

    /// A zone is down: nobody can see into it. Its machines go on.
    pub fn zone_down(&self, zone: &str, outage: Outage) {
        self.world().compute.down.insert(zone.to_owned(), outage);
    }

    /// A zone is up again.
    pub fn zone_up(&self, zone: &str) {
        self.world().compute.down.remove(zone);
    }

    /// From now on, disks stay when their machine goes.
    pub fn leaves_disks(&self) {
        self.world().compute.habits.insert(Habit::DisksOutlive);
    }

    /// From now on, a machine that is PROVISIONING is "not ready" to be deleted.
    pub fn refuses_early_deletes(&self) {
        self.world().compute.habits.insert(Habit::NotReady);
    }

    /// The caller has only these permissions from now on.
    pub fn allow_only(&self, permissions: BTreeSet<String>) {
        self.world().compute.permitted = Some(permissions);
    }

    /// The caller has every permission.
    pub fn allow_all(&self) {
        self.world().compute.permitted = None;
    }

    /// Refuses everybody, and every token, from now on.
    pub fn refuse_everybody(&self) {
        self.world().login.closed = true;
    }

    /// Nobody is refused any more.
    pub fn refuse_nobody(&self) {
        self.world().login.closed = false;
    }

    /// Ends every token early; new ones are given out.
    pub fn end_tokens(&self) {
        self.world().login.end_all();
    }
}
