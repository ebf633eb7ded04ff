//! What reaches the world from outside: the other calls of clients, and the hands of a test.

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle_api::{
    CreateRequest, Created, Deletion, ErrorKind, Idempotency, Identity, Instance, InstanceId,
    InstanceState, IntentToken, Interruption, OfferingId, Timestamp, UserData,
};

use super::{Due, Refusal, World};
use crate::machine::{Blueprint, Ghost, Machine, Sight, Timer};
use crate::stock::Full;
use crate::{EndCause, LogEvent, Script, Span, WorldFault};

impl World {
    /// A create that reaches the cloud at once.
    pub(crate) fn create(
        &mut self,
        client: u32,
        request: &CreateRequest,
    ) -> Result<Created, Refusal> {
        match self.look_first(request) {
            Some(id) => Ok(Created::AlreadyExists(id)),
            None => self.arrive(client, request),
        }
    }

    /// A create whose reply is lost may still be on its way: it arrives up to half of the settle
    /// time later.
    pub(crate) fn create_in_flight(&mut self, client: u32, request: &CreateRequest) {
        if self.look_first(request).is_some() {
            return;
        }
        let mut rng = self.rng(u64::MAX - self.planned);
        let delay = Span::between(Duration::ZERO, self.settings.settle / 2);
        let at = self.now + delay.draw(&mut rng);
        self.plan(at, Due::Arrive(client, Box::new(request.clone())));
        self.catch_up(self.now);
    }

    /// Where nothing else keeps an intent from becoming two machines, the client looks before it
    /// sends the create.
    fn look_first(&self, request: &CreateRequest) -> Option<InstanceId> {
        match self.settings.idempotency {
            Idempotency::ListAndMatch => self.find(&request.tags.intent),
            Idempotency::ClientToken | Idempotency::RequestIdAndUniqueName => None,
        }
    }

    /// The visible machine of an intent; the oldest, if there are several.
    pub(crate) fn find(&self, intent: &IntentToken) -> Option<InstanceId> {
        let serials = self.by_intent.get(intent)?;
        let machines = serials.iter().filter_map(|serial| self.machines.get(serial));
        let mut visible = machines.filter(|machine| machine.is_visible(self.now));
        visible.next().map(|machine| machine.instance.id.clone())
    }

    fn machine(&self, id: &InstanceId) -> Option<(u64, &Machine)> {
        let serial = *self.by_id.get(id)?;
        Some((serial, self.machines.get(&serial)?))
    }

    pub(crate) fn get(&self, id: &InstanceId) -> Result<Instance, Refusal> {
        match self.machine(id) {
            Some((_, machine)) if machine.ghost != Ghost::Yes && machine.is_visible(self.now) => {
                Ok(machine.shown())
            }
            Some(_) | None => Err((ErrorKind::NotFound, format!("there is no {id}"))),
        }
    }

    /// All that clients are shown, in pages. There is at least one page.
    pub(crate) fn pages(&self) -> Vec<Vec<Instance>> {
        let visible = self.machines.values().filter(|machine| machine.is_visible(self.now));
        let mut pages = vec![Vec::new()];
        for machine in visible {
            if pages.last().is_some_and(|page| page.len() >= self.settings.page.max(1)) {
                pages.push(Vec::new());
            }
            if let Some(page) = pages.last_mut() {
                page.push(machine.shown());
            }
        }
        pages
    }

    pub(crate) fn delete(&mut self, client: u32, id: &InstanceId) -> Deletion {
        let now = self.now;
        // What a client cannot see yet it cannot delete either.
        let there = |machine: &Machine| machine.exists() && machine.is_visible(now);
        let found = self.machine(id).filter(|(_, machine)| there(machine));
        let tags = found.and_then(|(_, machine)| match &machine.instance.identity {
            Identity::Vcycle(tags) => Some(Box::new(tags.clone())),
            Identity::Foreign => None,
        });
        let serial = found.map(|(serial, _)| serial);
        self.note(LogEvent::DeleteAsked { client, instance: id.clone(), tags });
        let Some(serial) = serial else { return Deletion::AlreadyGone };
        let Some(machine) = self.machines.get_mut(&serial) else { return Deletion::AlreadyGone };
        machine.instance.state = InstanceState::Deleting;
        machine.deletes_needed = machine.deletes_needed.saturating_sub(1);
        // Each machine is removed once, however often that is asked for.
        if machine.deletes_needed == 0 && machine.removed_at.is_none() {
            let mut rng = self.rng(u64::MAX - serial);
            let at = now + self.settings.deletion.draw(&mut rng);
            if let Some(machine) = self.machines.get_mut(&serial) {
                machine.removed_at = Some(at);
            }
            self.plan(at, Due::Remove(serial));
        }
        Deletion::Accepted
    }

    /// Machines that will be taken back within the cloud's notice.
    pub(crate) fn interruptions(&self) -> Vec<Interruption> {
        let until = self.now + self.settings.notice;
        let alive = self.machines.values().filter(|machine| machine.is_alive());
        alive
            .filter_map(|machine| {
                let at = machine.preempted_at.filter(|at| *at <= until)?;
                Some(Interruption { instance: machine.instance.id.clone(), at: Some(at) })
            })
            .collect()
    }

    /// Somebody else makes a machine that runs at once and until it is removed. It pays no attention
    /// to the quota, as a human with an administrator's help would not.
    pub(crate) fn add_stranger(
        &mut self,
        name: String,
        tags: &BTreeMap<String, String>,
        offering: &OfferingId,
    ) -> Result<InstanceId, Refusal> {
        let Some(offering) = self.stock.find(offering).cloned() else {
            return Err((ErrorKind::InvalidSpec, format!("there is no {offering}")));
        };
        let serial = self.made;
        let mut rng = self.rng(serial);
        let made = Blueprint {
            name,
            identity: Identity::from_map(tags),
            offering: offering.id,
            processors: offering.processors,
            memory: offering.memory,
            user_data: UserData::new(""),
            environment: Vec::new(),
        };
        let instance = self.admit(made, Script::never_ends(), &mut rng);
        self.note(LogEvent::StrangerMade {
            instance: instance.clone(),
            processors: offering.processors,
        });
        self.start(serial);
        Ok(instance)
    }

    /// Does what a test wants. `false`: there is no such machine.
    pub(crate) fn inject(&mut self, fault: WorldFault) -> bool {
        match fault {
            WorldFault::StockOut(offering) => self.stock.set_sold_out(offering),
            WorldFault::Restock(offering) => self.stock.restock(&offering),
            WorldFault::Withdraw(offering) => self.stock.withdraw(offering),
            WorldFault::QuotaFull => self.stock.set_full(Full::Yes),
            WorldFault::QuotaRestored => self.stock.set_full(Full::No),
            WorldFault::FailNextBoot => self.fail_boots += 1,
            WorldFault::RefuseNextLate(refusal) => self.refuse_next.push_back(refusal),
            WorldFault::Preempt(id) => return self.end_by_id(&id, EndCause::Preempted),
            WorldFault::End(id) => return self.end_by_id(&id, EndCause::Ended),
            WorldFault::AnnouncePreemption(id) => return self.announce(&id),
            WorldFault::Vanish(id) => return self.vanish(&id),
            WorldFault::TurnIntoGhost(id) => return self.haunt(&id),
            WorldFault::LoseSight(id) => return self.change(&id, |m| m.sight = Sight::Lost),
            WorldFault::Recognise(id) => return self.change(&id, |m| m.sight = Sight::Known),
            WorldFault::StopTimer(id) => return self.change(&id, |m| m.timer = Timer::Stopped),
            WorldFault::HoldOn { instance, deletes } => {
                return self.change(&instance, |m| {
                    m.deletes_needed = m.deletes_needed.max(1 + deletes);
                });
            }
        }
        true
    }

    fn change(&mut self, id: &InstanceId, change: impl FnOnce(&mut Machine)) -> bool {
        let machine = self.by_id.get(id).and_then(|serial| self.machines.get_mut(serial));
        machine.map(change).is_some()
    }

    fn end_by_id(&mut self, id: &InstanceId, cause: EndCause) -> bool {
        let serial = self.by_id.get(id).copied();
        serial.map(|serial| self.end(serial, cause)).is_some()
    }

    fn announce(&mut self, id: &InstanceId) -> bool {
        let at: Timestamp = self.now + self.settings.notice;
        let Some(serial) = self.by_id.get(id).copied() else { return false };
        self.plan(at, Due::End(serial, EndCause::Preempted));
        self.change(id, |machine| machine.preempted_at = Some(at))
    }

    /// Also lays a ghost to rest.
    fn vanish(&mut self, id: &InstanceId) -> bool {
        let Some(serial) = self.by_id.get(id).copied() else { return false };
        self.change(id, |machine| {
            if machine.ghost == Ghost::Later {
                machine.ghost = Ghost::No;
            }
        });
        self.remove(serial);
        self.carry_out(Due::Forget(serial));
        true
    }

    fn haunt(&mut self, id: &InstanceId) -> bool {
        let Some(serial) = self.by_id.get(id).copied() else { return false };
        self.change(id, |machine| machine.ghost = Ghost::Later);
        self.remove(serial);
        true
    }

    /// Lists how many machines carry this intent and exist: more than one is a broken promise.
    pub(crate) fn machines_of(&self, intent: &IntentToken) -> usize {
        self.by_intent.get(intent).map_or(0, Vec::len)
    }
}
