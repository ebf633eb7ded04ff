//! Whether a snapshot says anything new. What only ages (the time of the cycle, heartbeats, the time at which a
//! phase that is not yet in a record was seen) is not news: in a steady cycle nothing is written.

use crate::model::{MachineRow, SpaceSnapshot};

/// Whether `new` says nothing that `old` does not.
pub(super) fn none(old: &SpaceSnapshot, new: &SpaceSnapshot) -> bool {
    // Every field is named, so that a new one cannot be forgotten here.
    let SpaceSnapshot {
        format,
        space,
        provider,
        manager,
        generation,
        at: _,
        processors_limit,
        processors,
        foreign_machines,
        foreign_processors,
        credential_expires,
        side_resources_left,
        listing,
        alarms,
        machinetypes,
        machines,
        decisions,
    } = old;
    *format == new.format
        && *space == new.space
        && *provider == new.provider
        && *manager == new.manager
        && *generation == new.generation
        && *processors_limit == new.processors_limit
        && *processors == new.processors
        && *foreign_machines == new.foreign_machines
        && *foreign_processors == new.foreign_processors
        && *credential_expires == new.credential_expires
        && *side_resources_left == new.side_resources_left
        && same_listing(listing, &new.listing)
        && *alarms == new.alarms
        && *machinetypes == new.machinetypes
        && *decisions == new.decisions
        && machines.len() == new.machines.len()
        && machines.iter().zip(&new.machines).all(|(old, new)| same_machine(old, new))
}

/// A complete listing tells when it began.
fn same_listing(old: &str, new: &str) -> bool {
    old == new || (old.starts_with("complete") && new.starts_with("complete"))
}

fn same_machine(old: &MachineRow, new: &MachineRow) -> bool {
    let MachineRow {
        name,
        machinetype,
        phase,
        since: _,
        intended,
        deadline,
        end_by,
        instance,
        offering,
        processors,
        heartbeat: _,
        drain_by,
        address,
        note,
    } = old;
    *name == new.name
        && *machinetype == new.machinetype
        && *phase == new.phase
        && *intended == new.intended
        && *deadline == new.deadline
        && *end_by == new.end_by
        && *instance == new.instance
        && *offering == new.offering
        && *processors == new.processors
        && *drain_by == new.drain_by
        && *address == new.address
        && *note == new.note
}
