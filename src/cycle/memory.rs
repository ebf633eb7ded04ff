//! Lets `act` tell the space's memory what has become durable, without either knowing the other.

use crate::act::Memory;
use crate::model::{MachineName, MachineRecord, Timestamp};
use crate::observe::SpaceMemory;

impl Memory for SpaceMemory {
    fn record(&self, machine: &MachineName) -> Option<&MachineRecord> {
        self.records.get(machine)
    }

    fn archived(&self, machine: &MachineName) -> Option<&MachineRecord> {
        Self::archived(self, machine)
    }

    fn wrote(&mut self, record: MachineRecord) {
        Self::wrote(self, record);
    }

    fn moved_to_archive(&mut self, machine: &MachineName, at: Timestamp) {
        Self::moved_to_archive(self, machine, at);
    }

    fn expired(&mut self, machine: &MachineName) {
        Self::expired(self, machine);
    }

    fn is_stale(&mut self) {
        self.stale = true;
    }
}
