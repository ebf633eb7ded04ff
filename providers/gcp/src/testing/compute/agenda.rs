//! What will happen by itself, and when: each event happens at its own time, however late the next look is.

use std::collections::BTreeMap;

use vcycle_api::Timestamp;

use super::change::{self, begin_end};
use super::{Machine, OpError, Place, Status, Then};
use crate::testing::ledger::End;
use crate::testing::world::World;

/// Something that will happen.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// An operation has gone well.
    Done(Place),
    /// An insert has failed: operation, machine.
    Refused(Place, u64, OpError),
    /// A machine is STAGING.
    Staged(u64),
    /// A machine is RUNNING.
    Runs(u64),
    /// The time of a machine, in this run, is over.
    RanOut(u64, u32),
    /// A machine is no longer STOPPING.
    Off(u64),
    /// An operation is no longer remembered.
    Forgotten(Place),
}

/// Events to come.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    events: BTreeMap<(Timestamp, u64), Event>,
    next: u64,
    /// Where machines are, by their numbers.
    pub(crate) places: BTreeMap<u64, Place>,
}

impl Agenda {
    pub(crate) fn add(&mut self, at: Timestamp, event: Event) {
        self.next += 1;
        self.events.insert((at, self.next), event);
    }

    fn due(&mut self, now: Timestamp) -> Option<(Timestamp, Event)> {
        let (&(at, _), _) = self.events.first_key_value()?;
        if at > now {
            return None;
        }
        self.events.pop_first().map(|((at, _), event)| (at, event))
    }
}

/// Lets everything happen that is due.
pub(crate) fn tick(world: &mut World) {
    let now = world.clock.now();
    while let Some((at, event)) = world.compute.agenda.due(now) {
        world.compute.now = at;
        happen(world, at, event);
    }
    world.compute.now = now;
}

fn machine_of(world: &mut World, id: u64) -> Option<(Place, &mut Machine)> {
    let place = world.compute.agenda.places.get(&id)?.clone();
    let machine = world.compute.machines.get_mut(&place)?;
    Some((place, machine))
}

fn happen(world: &mut World, at: Timestamp, event: Event) {
    match event {
        Event::Done(operation) => super::operation::finish(world, &operation, at, None),
        Event::Forgotten(operation) => drop(world.compute.operations.remove(&operation)),
        Event::Refused(operation, id, error) => {
            if let Some((place, _)) = machine_of(world, id) {
                let why = End::Refused(error.code.clone());
                change::remove(world, &place, at, why);
            }
            super::operation::finish(world, &operation, at, Some(error));
        }
        Event::Staged(id) => {
            if let Some((_, machine)) = machine_of(world, id)
                && machine.status == Status::Provisioning
            {
                machine.status = Status::Staging;
            }
        }
        Event::Runs(id) => runs(world, at, id),
        Event::RanOut(id, run) => {
            let Some((place, machine)) = machine_of(world, id) else { return };
            if machine.run == run && machine.status == Status::Running {
                let then = machine.action;
                let verb = match then {
                    Then::Goes => "delete",
                    Then::Rests => "stop",
                };
                // Which operation Google writes for it no page says: one by the system.
                let operation =
                    super::operation::by_system(world, &place, verb, "run time is over");
                begin_end(world, &place, then, End::RanOut, Some(operation));
            }
        }
        Event::Off(id) => {
            let Some((place, machine)) = machine_of(world, id) else { return };
            if machine.ending.as_ref().is_some_and(|ending| ending.at == at) {
                change::off(world, &place, at);
            }
        }
    }
}

fn runs(world: &mut World, at: Timestamp, id: u64) {
    let Some((place, machine)) = machine_of(world, id) else { return };
    if machine.status != Status::Staging {
        return;
    }
    machine.status = Status::Running;
    machine.run += 1;
    (machine.running, machine.last_start) = (Some(at), Some(at));
    let (run, limit, guest_ends) = (machine.run, machine.limit, machine.guest_ends);
    world.ledger.began(id, at);
    if let Some(limit) = limit {
        world.compute.agenda.add(at + limit, Event::RanOut(id, run));
    }
    if guest_ends {
        change::guest_ends(world, &place);
    }
}
