//! Heartbeat lists (FIELD.md 1.4): by them VMs find their siblings. One line for each running machine whose
//! heartbeat is fresh: `HEARTBEAT_UNIX_TIME MACHINE ADDRESS`, the newest first.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::library::SpaceSetup;
use crate::model::{
    InstanceState, MachineView, MachinetypeName, Phase, Sighting, Timestamp, phase_of,
};
use crate::observe::{Observation, SpaceMemory};
use crate::store::{Proof, Store, StoreError};

/// Brings the lists up to date; writes only those that have changed since they were last written.
pub(super) async fn save(
    store: &Store,
    proof: &Proof<'_>,
    (setup, seen): (&SpaceSetup, &Observation),
    memory: &mut SpaceMemory,
) -> Result<(), StoreError> {
    for (machinetype, text) in lists(setup, seen) {
        if memory.heartbeat_lists.get(&machinetype) != Some(&text) {
            store.save_heartbeat_list(proof, &machinetype, &text).await?;
            memory.heartbeat_lists.insert(machinetype, text);
        }
    }
    Ok(())
}

/// The lists of all machinetypes whose machines give a heartbeat.
fn lists(setup: &SpaceSetup, seen: &Observation) -> BTreeMap<MachinetypeName, String> {
    let mut beats: BTreeMap<MachinetypeName, Vec<(Timestamp, &MachineView)>> = BTreeMap::new();
    for (name, policy) in &setup.policy.machinetypes {
        let defined = setup.machinetypes.get(name).is_some_and(|d| d.heartbeat_file.is_some());
        if policy.heartbeat.is_some() || defined {
            beats.insert(name.clone(), Vec::new());
        }
    }
    for view in &seen.machines {
        let Some(beats) = beats.get_mut(view.record.machinetype()) else { continue };
        beats.extend(fresh(setup, view, seen.now).map(|beat| (beat, view)));
    }
    beats.into_iter().map(|(name, beats)| (name, text(beats))).collect()
}

fn fresh(setup: &SpaceSetup, view: &MachineView, now: Timestamp) -> Option<Timestamp> {
    let policy = setup.policy.machinetypes.get(view.record.machinetype())?;
    let longest = policy.heartbeat.as_ref().and_then(|rule| rule.every);
    let beat = view.heartbeat.filter(|beat| longest.is_none_or(|most| now.since(*beat) <= most))?;
    matches!(phase_of(view, now), Phase::Running { since: _ }).then_some(beat)
}

fn text(mut beats: Vec<(Timestamp, &MachineView)>) -> String {
    beats.sort_by(|(a, left), (b, right)| {
        b.cmp(a).then_with(|| left.record.machine().cmp(right.record.machine()))
    });
    let mut text = String::new();
    for (beat, view) in beats {
        let Sighting::Seen(instance) = &view.sighting else { continue };
        let Some(address) = instance.addresses.first() else { continue };
        if instance.state == InstanceState::Running {
            let _ = writeln!(text, "{} {} {address}", beat.as_secs(), view.record.machine());
        }
    }
    text
}
