//! All machines that exist, what will happen to them, and what they have cost until now.

use vcycle_api::{IntentToken, Timestamp};

use super::events::{Key, Queue, What};
use crate::plan::Rate;
use crate::{Amount, Tariff};

/// A machine.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    /// Its reservation.
    pub(super) intent: IntentToken,
    /// Whose it is.
    pub(super) community: usize,
    /// What it is made of.
    pub(super) offering: usize,
    /// What it costs.
    pub(super) tariff: Tariff,
    /// Since when.
    pub(super) begin: Timestamp,
    /// Until when at the latest.
    pub(super) hard_end: Timestamp,
    /// Until when it is reserved.
    pub(super) until: Timestamp,
    /// When it began to work.
    pub(super) works_since: Option<Timestamp>,
    /// Nobody knows yet whether it found work.
    pub(super) is_unproven: bool,
    /// Whether it tries if there is work again, and nobody knows yet.
    pub(super) is_try: bool,
    /// Within its promised time.
    pub(super) is_guaranteed: bool,
    /// It was told to end.
    pub(super) is_leaving: bool,
}

impl Machine {
    pub(super) fn rate(&self) -> Rate {
        Rate::hourly(self.tariff.charge())
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// What will happen.
    pub(super) queue: Queue,
    /// The sum of rates, and of rates times the begin of each machine in milliseconds: what they have cost until any time
    /// follows from both.
    rates: i128,
    rates_by_begin: i128,
    /// What all of them cost if each lives as long as it is reserved, at the dearest, in nanos.
    worst: i128,
}

#[derive(Debug, Default)]
struct Slot {
    version: u32,
    machine: Option<Machine>,
}

impl Fleet {
    pub(super) fn add(&mut self, machine: Machine) -> Key {
        self.count(&machine, 1);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("fewer machines than four thousand millions")
        });
        let place = &mut self.slots[slot as usize];
        place.machine = Some(machine);
        Key { slot, version: place.version }
    }

    /// A machine, unless it has ended.
    pub(super) fn get(&mut self, key: Key) -> Option<&mut Machine> {
        let place = &mut self.slots[key.slot as usize];
        place.machine.as_mut().filter(|_| place.version == key.version)
    }

    /// Takes a machine away, unless it has ended.
    pub(super) fn remove(&mut self, key: Key) -> Option<Machine> {
        let place = &mut self.slots[key.slot as usize];
        let machine = place.machine.take_if(|_| place.version == key.version)?;
        place.version = place.version.wrapping_add(1);
        self.free.push(key.slot);
        self.count(&machine, -1);
        Some(machine)
    }

    /// All machines.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &Machine)> {
        self.slots.iter().enumerate().filter_map(|(slot, place)| {
            let slot = u32::try_from(slot).expect("slots are numbered by 32 bits");
            Some((Key { slot, version: place.version }, place.machine.as_ref()?))
        })
    }

    pub(super) fn schedule(&mut self, at: Timestamp, key: Key, what: What) {
        self.queue.schedule(at, key, what);
    }

    /// What they have cost until now.
    pub(super) fn accrued(&self, now: Timestamp) -> Amount {
        let nanos = (i128::from(now.as_millis()) * self.rates - self.rates_by_begin) / 3_600_000;
        Amount::from_nanos(i64::try_from(nanos.max(0)).unwrap_or(i64::MAX))
    }

    /// What they cost at the most, by what is reserved. Reckoned beside the book, to compare.
    pub(super) fn worst(&self) -> Amount {
        Amount::from_nanos(i64::try_from(self.worst).unwrap_or(i64::MAX))
    }

    fn count(&mut self, machine: &Machine, sign: i128) {
        let worst = machine.tariff.worst_of(machine.until.since(machine.begin));
        self.worst += i128::from(worst.nanos()) * sign;
        let rate = i128::from(machine.tariff.charge().nanos()) * sign;
        self.rates += rate;
        self.rates_by_begin += rate * i128::from(machine.begin.as_millis());
    }
}
