//! Which machines the cloud may not show yet. The time since a create is measured twice, by the stamp in the record
//! and on our own monotonic clock: a wall clock that steps by less than anybody would doubt makes no young machine old.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use crate::model::{MachineName, MachineRecord, Timestamp};

/// When a listing began, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Began {
    pub(super) wall: Timestamp,
    pub(super) monotonic: Duration,
}

/// Since when this manager has known of each machine what its record says of its create.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    known: HashMap<MachineName, (Timestamp, Duration)>,
}

impl Settling {
    /// The machines whose absence from a listing means nothing, since the cloud has not had its `settle` to show them.
    pub(super) fn unsettled(
        &mut self,
        records: &BTreeMap<MachineName, MachineRecord>,
        began: Began,
        settle: Duration,
    ) -> HashSet<MachineName> {
        let young = |record: &&MachineRecord| !self.has_settled(record, began, settle);
        records.values().filter(young).map(|record| record.machine().clone()).collect()
    }

    fn has_settled(&mut self, record: &MachineRecord, began: Began, settle: Duration) -> bool {
        if settle.is_zero() {
            return true;
        }
        let since = record.settling_since();
        let heard = match self.known.get(record.machine()) {
            Some((of, heard)) if *of == since => *heard,
            Some(_) | None => {
                self.known.insert(record.machine().clone(), (since, began.monotonic));
                began.monotonic
            }
        };
        began.monotonic.saturating_sub(heard) >= settle && began.wall >= since + settle
    }

    pub(super) fn forget(&mut self, machine: &MachineName) {
        self.known.remove(machine);
    }
}

#[cfg(test)]
mod tests;
