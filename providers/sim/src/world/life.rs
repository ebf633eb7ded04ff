//! The life of a machine: what is drawn for it when it is made, and what happens when that becomes due.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use vcycle_api::{Identity, InstanceState, Market, Timestamp};

use super::{Due, World};
use crate::faults::chance;
use crate::machine::{Ghost, Timer};
use crate::{EndCause, LogEvent};

impl World {
    pub(super) fn plan_life(&mut self, serial: u64, deadline: Timestamp, rng: &mut ChaCha8Rng) {
        let rates = self.settings.faults.rates;
        let boot = self.settings.boot.draw(rng);
        let started = self.now + boot;
        let forced = self.fail_boots > 0;
        self.fail_boots = self.fail_boots.saturating_sub(1);
        let fails = chance(rng, rates.failed_boot) || forced;
        let stuck = chance(rng, rates.stuck_boot);
        let needs_more = chance(rng, rates.stuck_delete);
        let ghost = chance(rng, rates.ghost);
        let more = if needs_more { rng.random_range(1..=3) } else { 0 };
        let Some(machine) = self.machines.get_mut(&serial) else { return };
        machine.deletes_needed += more;
        machine.ghost = if ghost { Ghost::Later } else { Ghost::No };
        if fails {
            return self.plan(started, Due::End(serial, EndCause::FailedBoot));
        }
        if stuck {
            return;
        }
        let life = machine.script.life.draw(rng);
        let preemptible =
            machine.instance.offering.as_ref().is_some_and(|offering| match offering.market {
                Market::OnDemand => false,
                Market::Preemptible => true,
            });
        if preemptible && chance(rng, rates.preempted) {
            let at = started + life.mul_f64(rng.random::<f64>());
            machine.preempted_at = Some(at);
            self.plan(at, Due::End(serial, EndCause::Preempted));
        }
        self.plan(started, Due::Start(serial));
        self.plan(started + life, Due::End(serial, EndCause::Finished));
        // The timer inside the machine runs from its boot; a deadline that has passed by then ends it
        // at once.
        self.plan(deadline.max(started), Due::End(serial, EndCause::Deadline));
    }

    pub(super) fn start(&mut self, serial: u64) {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(&serial) else { return };
        if !machine.is_alive() {
            return;
        }
        machine.instance.started = Some(now);
        machine.instance.addresses = vec![address(serial)];
        if machine.instance.state == InstanceState::Pending {
            machine.instance.state = InstanceState::Running;
        }
        let instance = machine.instance.id.clone();
        self.note(LogEvent::PoweredOn { instance });
    }

    pub(super) fn end(&mut self, serial: u64, cause: EndCause) {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(&serial) else { return };
        let forgets = cause == EndCause::Deadline && machine.timer == Timer::Stopped;
        if !machine.is_alive() || forgets {
            return;
        }
        machine.end(cause, now);
        let instance = machine.instance.id.clone();
        self.note(LogEvent::PoweredOff { instance, cause });
    }

    pub(super) fn remove(&mut self, serial: u64) {
        self.end(serial, EndCause::Deleted);
        let tombstone = self.now + self.settings.tombstone;
        let Some(machine) = self.machines.get_mut(&serial) else { return };
        if !machine.exists() {
            return;
        }
        self.stock.give_back(&machine.instance);
        let instance = machine.instance.clone();
        match machine.ghost {
            Ghost::No => {
                machine.instance.state = InstanceState::Gone;
                self.plan(tombstone, Due::Forget(serial));
            }
            Ghost::Later | Ghost::Yes => {
                machine.ghost = Ghost::Yes;
                machine.instance.state = InstanceState::Deleting;
            }
        }
        forget(&mut self.by_name, &instance.name, serial);
        if let Identity::Vcycle(tags) = &instance.identity {
            forget(&mut self.by_intent, &tags.intent, serial);
        }
        self.note(LogEvent::Removed { instance: instance.id });
    }
}

fn forget<K: Eq + Hash + Clone>(index: &mut HashMap<K, Vec<u64>>, key: &K, serial: u64) {
    if let Some(serials) = index.get_mut(key) {
        serials.retain(|other| *other != serial);
        if serials.is_empty() {
            index.remove(key);
        }
    }
}

/// A private address for each of the first sixteen million machines.
fn address(serial: u64) -> IpAddr {
    let [.., b, c, d] = serial.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, b, c, d))
}
