//! `TerminateInstances`: all or nothing on an unknown id, and repeated at will.

use super::ledger::End;
use super::life;
use super::machine::State;
use super::params::Params;
use super::reply::{Answer, Refusal, Said};
use super::words::{Xml, is_id};
use super::world::World;

/// Finds the machines with these ids, all of them or none.
pub(crate) fn find(world: &World, ids: &[&str]) -> Result<Vec<u64>, Refusal> {
    if let Some(bad) = ids.iter().find(|id| !is_id(id, "i")) {
        return Err(Refusal::new(
            400,
            "InvalidInstanceID.Malformed",
            format!("Invalid id: \"{bad}\""),
        ));
    }
    let seen = |id: &&str| world.machine(id).is_some_and(|machine| world.sees(machine));
    let missing: Vec<&str> = ids.iter().filter(|id| !seen(id)).copied().collect();
    if !missing.is_empty() {
        let message = match missing.as_slice() {
            [one] => format!("The instance ID '{one}' does not exist"),
            many => format!("The instance IDs '{}' do not exist", many.join(", ")),
        };
        return Err(Refusal::new(400, "InvalidInstanceID.NotFound", message));
    }
    Ok(ids.iter().filter_map(|id| world.numbers.get(*id)).copied().collect())
}

/// Ends machines.
pub(crate) fn terminate(world: &mut World, params: &Params) -> Answer {
    let ids = params.list("InstanceId");
    if ids.is_empty() {
        return Err(Refusal::missing("InstanceId"));
    }
    let numbers = find(world, &ids)?;
    let of = |number: &u64| world.machines.get(number);
    if let Some(machine) = numbers.iter().filter_map(of).find(|machine| machine.protected) {
        let message = format!(
            "The instance '{}' may not be terminated. Modify its 'disableApiTermination' instance \
             attribute and try again.",
            machine.made.id
        );
        return Err(Refusal::new(400, "OperationNotPermitted", message));
    }
    if numbers.iter().filter_map(of).any(|machine| world.down.contains(&machine.made.zone)) {
        return Err(Refusal::internal());
    }
    let now = world.now();
    let mut xml = Xml::default();
    let mut told: Vec<(String, State, State)> = Vec::new();
    for number in numbers {
        let Some(machine) = world.machines.get(&number) else { continue };
        let (id, before) = (machine.made.id.clone(), machine.state());
        if !before.is_ending() {
            life::end(world, now, number, End::Asked, None);
        }
        let after = world.machines.get(&number).map_or(before, |machine| machine.state());
        told.push((id, before, after));
    }
    xml.list("instancesSet", told, |xml, (id, before, after)| {
        xml.text("instanceId", id);
        state(xml, "currentState", after);
        state(xml, "previousState", before);
    });
    Ok(Said::Xml(xml))
}

/// A state as a structure.
pub(crate) fn state(xml: &mut Xml, tag: &str, state: State) {
    xml.inside(tag, |xml| {
        xml.text("code", state.code());
        xml.text("name", state.word());
    });
}
