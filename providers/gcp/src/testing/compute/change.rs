//! The ends of machines, and what may be changed of a living one.

use serde_json::{Value, json};
use vcycle_api::{Market, Timestamp};

use super::agenda::Event;
use super::{Call, Ending, Habit, OpError, Place, Status, Then, operation, wanted};
use crate::testing::ledger::End;
use crate::testing::reply::{self, Answer, Reply};
use crate::testing::words;
use crate::testing::world::World;

/// Lets a machine stop; then it rests or goes. What is stopping goes on as it does, at the latest.
pub(crate) fn begin_end(
    world: &mut World,
    place: &Place,
    then: Then,
    why: End,
    operation: Option<Place>,
) {
    let times = &world.site.times;
    let time = match why {
        End::Preempted => times.preempting,
        End::Refused(_) | End::Deleted | End::RanOut | End::Vanished => times.stopping,
    };
    let (now, compute) = (world.compute.now, &mut world.compute);
    let Some(machine) = compute.machines.get_mut(place) else { return };
    machine.status = Status::Stopping;
    let operations = operation.into_iter().collect();
    let mut ending = Ending { at: now + time, then, why, operations };
    if let Some(earlier) = machine.ending.take() {
        ending.at = ending.at.min(earlier.at);
        if earlier.then == Then::Goes {
            (ending.then, ending.why) = (earlier.then, earlier.why);
        }
        ending.operations.extend(earlier.operations);
    }
    compute.agenda.add(ending.at, Event::Off(machine.id));
    machine.ending = Some(ending);
}

/// The end of STOPPING.
pub(crate) fn off(world: &mut World, place: &Place, at: Timestamp) {
    let Some(machine) = world.compute.machines.get_mut(place) else { return };
    let Some(ending) = machine.ending.take() else { return };
    machine.status = Status::Terminated;
    machine.last_stop = Some(at);
    // An ephemeral address goes with the power.
    machine.external = None;
    let (id, running) = (machine.id, machine.running.take());
    if let Some(since) = running {
        world.ledger.stopped(id, since, at);
    }
    if ending.then == Then::Goes {
        remove(world, place, at, ending.why);
    }
    for operation in &ending.operations {
        operation::finish(world, operation, at, None);
    }
}

/// Takes a machine away, and its disks as they were asked for.
pub(crate) fn remove(world: &mut World, place: &Place, at: Timestamp, why: End) {
    let Some(machine) = world.compute.machines.remove(place) else { return };
    world.compute.agenda.places.remove(&machine.id);
    if let Some(since) = machine.running {
        world.ledger.stopped(machine.id, since, at);
    }
    world.ledger.ended(machine.id, at, why);
    let outlive = world.compute.habits.contains(&Habit::DisksOutlive);
    for attached in machine.disks {
        let disk = Place::new(&place.zone, attached.disk);
        if attached.auto_delete && !outlive {
            world.compute.disks.remove(&disk);
        } else if let Some(disk) = world.compute.disks.get_mut(&disk) {
            (disk.user, disk.detached) = (None, Some(at));
        }
    }
}

/// Compute Engine takes a spot machine back (operation by `system`, as gcloud's `operations list` shows it).
pub(crate) fn preempt(world: &mut World, place: &Place) {
    let (now, then) = match world.compute.machines.get(place) {
        Some(machine) => (world.compute.now, machine.action),
        None => return,
    };
    let verb = "compute.instances.preempted";
    let operation = operation::by_system(world, place, verb, "Instance was preempted.");
    operation::finish(world, &operation, now, None);
    begin_end(world, place, then, End::Preempted, None);
}

/// The guest has powered itself off.
pub(crate) fn guest_ends(world: &mut World, place: &Place) {
    let now = world.compute.now;
    let message = "Instance was terminated by the guest.";
    let operation = operation::by_system(world, place, "compute.instances.guestTerminate", message);
    operation::finish(world, &operation, now, None);
    begin_end(world, place, Then::Rests, End::Vanished, None);
}

/// The machine that a call is about.
fn place_of(world: &World, call: &Call) -> Result<Place, Reply> {
    let place = Place::new(call.name("zone"), call.name("instance"));
    match world.compute.machines.contains_key(&place) {
        true => Ok(place),
        false => Err(reply::not_found(&world.path(&place.zone, "instances", &place.name))),
    }
}

/// A machine and its path, or the operation of the same call made before.
fn target(world: &World, call: &Call) -> Result<Result<(Place, String, u64), Value>, Reply> {
    let path = world.path(call.name("zone"), "instances", call.name("instance"));
    if let Some(again) = operation::repeated(world, call, &path)? {
        return Ok(Err(again));
    }
    let place = place_of(world, call)?;
    let id = world.compute.machines[&place].id;
    Ok(Ok((place, path, id)))
}

/// `instances.get`
pub(crate) fn get(world: &World, call: &Call) -> Answer {
    let place = place_of(world, call)?;
    Ok(world.compute.machines[&place].show(world, &place))
}

/// `instances.getSerialPortOutput`: no guest runs here, so nothing was ever written.
pub(crate) fn serial_port(world: &World, call: &Call) -> Answer {
    place_of(world, call)?;
    let link = world.url(&call.ask.path.join("/"));
    let kind = "compute#serialPortOutput";
    Ok(json!({ "kind": kind, "selfLink": link, "contents": "", "start": "0", "next": "0" }))
}

/// `instances.delete`
pub(crate) fn delete(world: &mut World, call: &Call) -> Answer {
    let (place, path, id) = match target(world, call)? {
        Ok(found) => found,
        Err(again) => return Ok(again),
    };
    let machine = &world.compute.machines[&place];
    if machine.protected {
        let message = "Invalid resource usage: 'Resource cannot be deleted if it's protected against \
                       deletion. To delete the resource, first disable deletion protection.'.";
        return Err(reply::refusal(400, "invalidResourceUsage", message));
    }
    let making = matches!(machine.status, Status::Provisioning);
    if making && world.compute.habits.contains(&Habit::NotReady) {
        let message = format!("The resource '{path}' is not ready");
        return Err(reply::refusal(400, "resourceNotReady", message));
    }
    let operation = operation::begin(world, call, "delete", &path, id);
    begin_end(world, &place, Then::Goes, End::Deleted, Some(operation.clone()));
    Ok(operation::shown(world, &operation))
}

/// `instances.stop`
pub(crate) fn stop(world: &mut World, call: &Call) -> Answer {
    let (place, path, id) = match target(world, call)? {
        Ok(found) => found,
        Err(again) => return Ok(again),
    };
    let operation = operation::begin(world, call, "stop", &path, id);
    if world.compute.machines[&place].status == Status::Terminated {
        return Ok(operation::goes_well(world, &operation));
    }
    begin_end(world, &place, Then::Rests, End::Vanished, Some(operation.clone()));
    Ok(operation::shown(world, &operation))
}

/// `instances.start`
pub(crate) fn start(world: &mut World, call: &Call) -> Answer {
    let (place, path, id) = match target(world, call)? {
        Ok(found) => found,
        Err(again) => return Ok(again),
    };
    let operation = operation::begin(world, call, "start", &path, id);
    let times = &world.site.times;
    let (now, staging) = (world.compute.now, times.staging);
    if let Some(machine) = world.compute.machines.get_mut(&place)
        && machine.status == Status::Terminated
    {
        machine.status = Status::Staging;
        world.compute.agenda.add(now + staging, Event::Runs(id));
    }
    Ok(operation::goes_well(world, &operation))
}

/// `instances.setLabels`: only with the fingerprint of the labels as they are.
pub(crate) fn set_labels(world: &mut World, call: &Call) -> Answer {
    let (place, path, id) = match target(world, call)? {
        Ok(found) => found,
        Err(again) => return Ok(again),
    };
    let labels = wanted::labels(&call.body["labels"], "labels")?;
    let machine = world.compute.machines.get_mut(&place);
    if let Some(machine) = machine {
        let current = words::fingerprint(machine.id, machine.labels_version);
        if call.body["labelFingerprint"] != current.as_str() {
            return Err(reply::fingerprint("labels"));
        }
        machine.labels = labels;
        machine.labels_version += 1;
    }
    let operation = operation::begin(world, call, "setLabels", &path, id);
    Ok(operation::goes_well(world, &operation))
}

/// `instances.setMetadata`
pub(crate) fn set_metadata(world: &mut World, call: &Call) -> Answer {
    let (place, path, id) = match target(world, call)? {
        Ok(found) => found,
        Err(again) => return Ok(again),
    };
    let metadata = wanted::metadata(&call.body)?;
    let machine = world.compute.machines.get_mut(&place);
    if let Some(machine) = machine {
        let current = words::fingerprint(!machine.id, machine.metadata_version);
        if call.body["fingerprint"] != current.as_str() {
            return Err(reply::fingerprint("metadata"));
        }
        machine.metadata = metadata;
        machine.metadata_version += 1;
    }
    let operation = operation::begin(world, call, "setMetadata", &path, id);
    Ok(operation::goes_well(world, &operation))
}

/// `instances.setDiskAutoDelete`
pub(crate) fn set_disk_auto_delete(world: &mut World, call: &Call) -> Answer {
    let (place, path, id) = match target(world, call)? {
        Ok(found) => found,
        Err(again) => return Ok(again),
    };
    let device = call.ask.param("deviceName").unwrap_or_default().to_owned();
    let auto = call.ask.param("autoDelete") == Some("true");
    let disks = world.compute.machines.get_mut(&place).map(|machine| &mut machine.disks);
    let disk = disks.into_iter().flatten().find(|disk| disk.device == device);
    let why = "No attached disk found with device name.";
    disk.ok_or_else(|| reply::invalid("deviceName", &device, why))?.auto_delete = auto;
    let operation = operation::begin(world, call, "setDiskAutoDelete", &path, id);
    Ok(operation::goes_well(world, &operation))
}

/// `instances.simulateMaintenanceEvent`: a spot machine is preempted by it.
pub(crate) fn simulate(world: &mut World, call: &Call) -> Answer {
    let (place, path, id) = match target(world, call)? {
        Ok(found) => found,
        Err(again) => return Ok(again),
    };
    let operation = operation::begin(world, call, "simulateMaintenanceEvent", &path, id);
    if world.compute.machines[&place].market == Market::Preemptible {
        preempt(world, &place);
    }
    Ok(operation::goes_well(world, &operation))
}

/// Ends an operation in error, at once.
pub(crate) fn fails(world: &mut World, operation: &Place, error: OpError) {
    let at = world.compute.now + world.site.times.refusal;
    // No machine has this number: only the operation ends.
    world.compute.agenda.add(at, Event::Refused(operation.clone(), 0, error));
}
