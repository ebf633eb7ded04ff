//! Everything there is, behind one lock: one request is carried out at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use vcycle_api::{Clock, SystemClock, Timestamp};

use super::access::Access;
use super::ask::{Ask, Service};
use super::bucket::Buckets;
use super::disks::Volume;
use super::images::Image;
use super::ledger::{CallRecord, Ledger};
use super::life::Event;
use super::machine::Machine;
use super::network::Interface;
use super::queue::Queue;
use super::reply::{Answer, Refusal, Reply};
use super::short::Short;
use super::site::Site;
use super::spot::SpotRequest;
use super::trouble::Troubles;
use super::words::Ids;
use super::{actions, life, queue, quotas, sts};

/// A client token that made machines.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// Number of the parameters.
    pub(crate) digest: u64,
    /// The machines.
    pub(crate) machines: Vec<u64>,
    /// When all of them had ended.
    pub(crate) ended: Option<Timestamp>,
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) clock: Arc<dyn Clock>,
    /// By which clients judge their sessions.
    pub(crate) host_clock: SystemClock,
    /// `http://127.0.0.1:PORT`.
    pub(crate) base: String,
    pub(crate) ids: Ids,
    pub(crate) access: Access,
    pub(crate) buckets: Option<Buckets>,
    /// Machines with a record, in the order of their launch.
    pub(crate) machines: BTreeMap<u64, Machine>,
    /// Number of each machine that has a record.
    pub(crate) numbers: HashMap<String, u64>,
    pub(crate) launched: u64,
    /// Client tokens, each with the zone that was asked for: the same token for another zone is
    /// another request ("Ensuring idempotency", EC2 Developer Guide: "with the exception of the
    /// Region or Availability Zone").
    pub(crate) tokens: HashMap<(String, String), Token>,
    pub(crate) agenda: BTreeMap<(Timestamp, u64), (u64, Event)>,
    pub(crate) planned: u64,
    pub(crate) volumes: BTreeMap<String, Volume>,
    pub(crate) interfaces: BTreeMap<String, Interface>,
    pub(crate) addresses: BTreeMap<String, super::addresses::Address>,
    pub(crate) images: Vec<Image>,
    pub(crate) keypairs: BTreeMap<String, super::keypairs::KeyPair>,
    pub(crate) spot: BTreeMap<String, SpotRequest>,
    pub(crate) queue: Queue,
    pub(crate) short: Short,
    /// Zones that are down.
    pub(crate) down: BTreeSet<String>,
    /// Volumes and interfaces of later machines outlive them.
    pub(crate) leaves: bool,
    pub(crate) troubles: Troubles,
    pub(crate) ledger: Ledger,
    /// Requests that changed a resource.
    pub(crate) mutations: u64,
    /// How old the replica is that answers the present request.
    pub(crate) age: Duration,
}

impl World {
    pub(crate) fn new(site: Site, clock: Arc<dyn Clock>, base: String) -> Self {
        Self {
            access: Access::new(&site),
            buckets: site.rates.map(|rates| Buckets::new(&rates, clock.now())),
            images: site.images.iter().map(|image| Image::new(image, &site.account)).collect(),
            host_clock: SystemClock::new(),
            ids: Ids::default(),
            machines: BTreeMap::new(),
            numbers: HashMap::new(),
            launched: 0,
            tokens: HashMap::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            volumes: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            addresses: BTreeMap::new(),
            keypairs: BTreeMap::new(),
            spot: BTreeMap::new(),
            queue: Queue::default(),
            short: Short::default(),
            down: BTreeSet::new(),
            leaves: false,
            troubles: Troubles::default(),
            ledger: Ledger::default(),
            mutations: 0,
            age: Duration::ZERO,
            site,
            clock,
            base,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Answers a request from a replica that is `age` old.
    pub(crate) fn answer(&mut self, ask: &Ask, age: Duration) -> Reply {
        life::catch_up(self);
        self.age = age;
        let answer = self.carried_out(ask);
        let request = self.ids.uuid();
        match answer {
            Ok(said) => {
                if ask.changes() {
                    self.mutations += 1;
                }
                said.reply(ask.service, &ask.action, &request)
            }
            Err(refusal) => refusal.reply(ask.service, &request),
        }
    }

    fn carried_out(&mut self, ask: &Ask) -> Answer {
        let caller = self.access.caller(&self.site, ask, &self.host_clock)?;
        if ask.service == Service::Ec2 {
            let now = self.now();
            if let Some(buckets) = &mut self.buckets
                && !buckets.admits(&ask.action, now)
            {
                return Err(Refusal::throttled());
            }
        }
        match ask.service {
            Service::Ec2 => actions::answer(self, ask, &caller),
            Service::Sts => sts::answer(self, ask, &caller),
            Service::Sqs => queue::answer(self, ask),
            Service::Quotas => quotas::answer(self, ask),
        }
    }

    /// Writes a call into the books. `reply`: what the client got.
    pub(crate) fn note(&mut self, ask: &Ask, reply: Option<&Reply>) {
        let record = CallRecord {
            at: self.now(),
            service: ask.service,
            action: ask.action.clone(),
            params: ask.shown(),
            permissions: ask.permissions(),
            key: super::sigv4::Claim::of(ask).map(|claim| claim.key),
            status: reply.map(|reply| reply.status),
            code: reply.and_then(|reply| reply.code.clone()),
        };
        self.ledger.calls.push(record);
    }

    /// The machine with this id, if it has a record.
    pub(crate) fn machine(&self, id: &str) -> Option<&Machine> {
        self.machines.get(self.numbers.get(id)?)
    }

    /// Whether a machine is known to the replica that answers now.
    pub(crate) fn sees(&self, machine: &Machine) -> bool {
        let lag = self.age.max(self.site.times.new_lag);
        lag.is_zero() || machine.made.accepted + lag <= self.now()
    }

    /// The time whose states the replica that answers now shows.
    pub(crate) fn shown_time(&self) -> Timestamp {
        self.now() - self.age.max(self.site.times.state_lag)
    }
}
