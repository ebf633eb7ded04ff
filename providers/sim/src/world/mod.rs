//! The world of a simulated cloud: its machines, and the events that are due.
//!
//! Time passes only in [`World::catch_up`], which carries out what has become due, in order. So the
//! state at any time does not depend on how often anybody looked.

mod calls;
mod life;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vcycle_api::{
    CreateRequest, Created, ErrorKind, Idempotency, Identity, InstanceId, IntentToken, LateRefusal,
    MachineName, MachinetypeName, Offering, OfferingId, Timestamp,
};

use crate::faults::{Spell, chance};
use crate::machine::{Blueprint, Machine};
use crate::stock::Stock;
use crate::{EndCause, LogEntry, LogEvent, Refusing, Script, Settings, Span};

/// Why the cloud refuses a call, in the words of the contract.
pub(crate) type Refusal = (ErrorKind, String);

/// Something that will happen.
#[derive(Debug)]
enum Due {
    /// The machine gets power.
    Start(u64),
    /// The machine loses its power.
    End(u64, EndCause),
    /// The machine's removal is done.
    Remove(u64),
    /// The tombstone of the machine is taken away.
    Forget(u64),
    /// A create arrives whose reply nobody waits for any more.
    Arrive(u32, Box<CreateRequest>),
}

/// What a token was used for first.
#[derive(Debug)]
struct Token {
    id: InstanceId,
    machine: MachineName,
    offering: OfferingId,
}

/// Scripts that a machinetype's machines draw from, with their weights.
type Scripts = Vec<(u32, Script)>;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) now: Timestamp,
    pub(crate) log: Vec<LogEntry>,
    pub(crate) calls: BTreeMap<&'static str, u64>,
    /// In the order of their making, which is the order of listings.
    pub(crate) machines: BTreeMap<u64, Machine>,
    pub(crate) stock: Stock,
    made: u64,
    by_id: HashMap<InstanceId, u64>,
    /// Machines that exist; several only where the cloud has no idempotency.
    by_intent: HashMap<IntentToken, Vec<u64>>,
    by_name: HashMap<String, Vec<u64>>,
    tokens: HashMap<IntentToken, Token>,
    due: BTreeMap<(Timestamp, u64), Due>,
    planned: u64,
    scripts: BTreeMap<MachinetypeName, Scripts>,
    fail_boots: u32,
    refuse_next: VecDeque<LateRefusal>,
}

impl World {
    pub(crate) fn new(settings: Settings, now: Timestamp) -> Self {
        Self {
            stock: Stock::new(&settings),
            settings,
            now,
            log: Vec::new(),
            calls: BTreeMap::new(),
            machines: BTreeMap::new(),
            made: 0,
            by_id: HashMap::new(),
            by_intent: HashMap::new(),
            by_name: HashMap::new(),
            tokens: HashMap::new(),
            due: BTreeMap::new(),
            planned: 0,
            scripts: BTreeMap::new(),
            fail_boots: 0,
            refuse_next: VecDeque::new(),
        }
    }

    pub(crate) fn set_scripts(&mut self, machinetype: MachinetypeName, scripts: Scripts) {
        self.scripts.insert(machinetype, scripts);
    }

    /// When something happens next by itself.
    pub(crate) fn next_event(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Carries out what has become due. A clock that was put back changes nothing.
    pub(crate) fn catch_up(&mut self, now: Timestamp) {
        while let Some(entry) = self.due.first_entry() {
            let (at, _) = *entry.key();
            if at > now {
                break;
            }
            let due = entry.remove();
            self.now = self.now.max(at);
            self.carry_out(due);
        }
        self.now = self.now.max(now);
    }

    fn carry_out(&mut self, due: Due) {
        match due {
            Due::Start(serial) => self.start(serial),
            Due::End(serial, cause) => self.end(serial, cause),
            Due::Remove(serial) => self.remove(serial),
            Due::Forget(serial) => {
                if let Some(machine) = self.machines.remove(&serial) {
                    self.by_id.remove(&machine.instance.id);
                }
            }
            // A refusal that nobody hears any more.
            Due::Arrive(client, request) => drop(self.arrive(client, &request)),
        }
    }

    fn plan(&mut self, at: Timestamp, due: Due) {
        self.planned += 1;
        self.due.insert((at, self.planned), due);
    }

    fn note(&mut self, event: LogEvent) {
        self.log.push(LogEntry { at: self.now, event });
    }

    /// Randomness of one machine, so that no machine disturbs another's.
    fn rng(&self, serial: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.settings.seed);
        rng.set_stream(serial);
        rng
    }

    /// Carries out a create call that has arrived.
    fn arrive(&mut self, client: u32, request: &CreateRequest) -> Result<Created, Refusal> {
        let tags = || Box::new(request.tags.clone());
        match self.try_create(client, request) {
            Ok(Created::New(id)) => Ok(Created::New(id)),
            Ok(Created::AlreadyExists(id)) => {
                let instance = id.clone();
                self.note(LogEvent::CreatedAlready { client, instance, tags: tags() });
                Ok(Created::AlreadyExists(id))
            }
            Err((kind, message)) => {
                let kind_word = kind.word();
                self.note(LogEvent::CreateRefused { client, tags: tags(), kind: kind_word });
                Err((kind, message))
            }
        }
    }

    fn try_create(&mut self, client: u32, request: &CreateRequest) -> Result<Created, Refusal> {
        if let Some(earlier) = self.earlier(request)? {
            return Ok(Created::AlreadyExists(earlier));
        }
        let invalid = |message: &str| Err((ErrorKind::InvalidSpec, message.to_owned()));
        if request.user_data.expose().len() > self.settings.user_data_limit {
            return invalid("user_data is too long");
        }
        let wanted = &request.offering.id;
        let Some(offering) = self.stock.find(wanted).cloned() else {
            return invalid("there is no such offering");
        };
        let serial = self.made;
        let mut rng = self.rng(serial);
        let late = self.lacks(&offering, &mut rng).map(|why| self.refuse(why)).transpose()?;
        let made = Blueprint {
            name: request.machine.to_string(),
            // Through the form that they have in a cloud, which keeps no parts of a second.
            identity: Identity::from_map(&request.tags.to_map()),
            offering: offering.id.clone(),
            processors: offering.processors,
            memory: offering.memory,
            user_data: request.user_data.clone(),
            environment: request.environment.clone(),
        };
        let script = self.script_for(&request.tags.machinetype, &mut rng);
        let id = self.admit(made, script, &mut rng);
        let intent = request.tags.intent;
        let (machine, offering_id) = (request.machine.clone(), offering.id.clone());
        let token = Token { id: id.clone(), machine, offering: offering_id };
        self.tokens.entry(intent).or_insert(token);
        self.note(LogEvent::Created {
            client,
            instance: id.clone(),
            tags: Box::new(request.tags.clone()),
            offering: offering.id,
            processors: offering.processors,
            price: offering.price,
        });
        match late.or_else(|| self.refuse_next.pop_front()) {
            Some(refusal) => self.plan_refusal(serial, refusal, &mut rng),
            None => self.plan_life(serial, request.tags.deadline, &mut rng),
        }
        Ok(Created::New(id))
    }

    /// Why no machine can be made of this now.
    fn lacks(&mut self, offering: &Offering, rng: &mut ChaCha8Rng) -> Option<Refusal> {
        if let Err(why) = self.stock.admit(offering) {
            return Some(why);
        }
        let id = &offering.id;
        let sold_out = self.settings.faults.is_in(&Spell::StockOut(id.clone()), self.now);
        (sold_out || chance(rng, self.settings.faults.rates.out_of_stock)).then(|| {
            if self.settings.refusing == Refusing::AtOnce {
                // Another stream for the next try, or this offering would be out of stock for ever.
                self.made += 1;
            }
            Stock::out_of_stock(id)
        })
    }

    /// Refuses a create, or takes it in order to refuse it late.
    fn refuse(&self, why: Refusal) -> Result<LateRefusal, Refusal> {
        match self.settings.refusing {
            Refusing::AtOnce => Err(why),
            Refusing::Late => LateRefusal::of(&why.0).ok_or(why),
        }
    }

    /// It will never have power.
    fn plan_refusal(&mut self, serial: u64, refusal: LateRefusal, rng: &mut ChaCha8Rng) {
        let at = self.now + self.settings.boot.draw(rng);
        self.plan(at, Due::End(serial, EndCause::RefusedLate(refusal)));
    }

    /// The machine that this intent has already, as far as this kind of cloud can know.
    fn earlier(&self, request: &CreateRequest) -> Result<Option<InstanceId>, Refusal> {
        let mismatch = "the token was used for something else";
        match self.settings.idempotency {
            Idempotency::ClientToken => match self.tokens.get(&request.tags.intent) {
                Some(Token { id, machine, offering }) => {
                    if *machine != request.machine || *offering != request.offering.id {
                        return Err((ErrorKind::InvalidSpec, mismatch.to_owned()));
                    }
                    Ok(Some(id.clone()))
                }
                None => Ok(None),
            },
            Idempotency::RequestIdAndUniqueName => {
                let holder = self.by_name.get(request.machine.as_str()).and_then(|all| all.first());
                let Some(machine) = holder.and_then(|serial| self.machines.get(serial)) else {
                    return Ok(None);
                };
                match &machine.instance.identity {
                    Identity::Vcycle(tags) if tags.intent == request.tags.intent => {
                        Ok(Some(machine.instance.id.clone()))
                    }
                    Identity::Vcycle(_) | Identity::Foreign => {
                        Err((ErrorKind::InvalidSpec, "the name is taken".to_owned()))
                    }
                }
            }
            // Such a cloud itself makes whatever it is asked to: only its clients look first.
            Idempotency::ListAndMatch => Ok(None),
        }
    }

    fn script_for(&self, machinetype: &MachinetypeName, rng: &mut ChaCha8Rng) -> Script {
        let Some(scripts) = self.scripts.get(machinetype) else {
            return self.settings.script.clone();
        };
        let total: u32 = scripts.iter().map(|(weight, _)| *weight).sum();
        let mut drawn = if total == 0 { 0 } else { rng.random_range(0..total) };
        for (weight, script) in scripts {
            if drawn < *weight {
                return script.clone();
            }
            drawn -= weight;
        }
        self.settings.script.clone()
    }

    /// Puts a machine into the world; what it is going to do is planned afterwards.
    fn admit(&mut self, made: Blueprint, script: Script, rng: &mut ChaCha8Rng) -> InstanceId {
        let serial = self.made;
        self.made += 1;
        // Looks like an opaque id, but is unique because of the serial.
        let text = format!("i-{:08x}{serial:08x}", rng.random::<u32>());
        let id = InstanceId::parse(&text).expect("letters, digits and a dash make an id");
        let mut machine = Machine::new(id.clone(), made, script, self.now);
        let lag = Span::between(Duration::ZERO, self.settings.settle / 2);
        machine.visible_at = self.now + lag.draw(rng);
        self.stock.take(&machine.instance);
        self.by_id.insert(id.clone(), serial);
        self.by_name.entry(machine.instance.name.clone()).or_default().push(serial);
        if let Identity::Vcycle(tags) = &machine.instance.identity {
            self.by_intent.entry(tags.intent).or_default().push(serial);
        }
        self.machines.insert(serial, machine);
        id
    }
}
