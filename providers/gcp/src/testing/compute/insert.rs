//! `instances.insert`: accepted with an operation, which may still fail.

use std::net::Ipv4Addr;

use serde_json::Value;
use vcycle_api::Timestamp;

use super::agenda::Event;
use super::wanted::{Wanted, wanted};
use super::{
    Attached, Call, Disk, Fate, Machine, OpError, Place, Shortage, Status, Then, Told, What,
    change, operation, quota,
};
use crate::testing::ledger::Entry;
use crate::testing::reply::{self, Answer};
use crate::testing::world::World;

/// Metadata keys whose values may hold secrets: the ledger leaves them out.
const SECRETS: [&str; 4] = ["user-data", "startup-script", "ssh-keys", "shutdown-script"];

/// `instances.insert`
pub(crate) fn insert(world: &mut World, call: &Call) -> Answer {
    let zone = call.name("zone").to_owned();
    let name = call.body["name"].as_str().unwrap_or_default().to_owned();
    let path = world.path(&zone, "instances", &name);
    if let Some(again) = operation::repeated(world, call, &path)? {
        return Ok(again);
    }
    let place = Place::new(&zone, &name);
    if world.compute.machines.contains_key(&place) {
        return match world.compute.told.get(&What::Exists) {
            Some(Told::InOperation) => {
                let operation = operation::begin(world, call, "insert", &path, 0);
                change::fails(world, &operation, OpError::already_exists(&path));
                Ok(operation::shown(world, &operation))
            }
            Some(Told::AtOnce) | None => Err(reply::already_exists(&path)),
        };
    }
    let wanted = wanted(world, call)?;
    for disk in &wanted.disks {
        if world.compute.disks.contains_key(&Place::new(&zone, &disk.name)) {
            return Err(reply::already_exists(&world.path(&zone, "disks", &disk.name)));
        }
    }
    let mut fault = refusal(world, &zone, &wanted);
    if let Some((error, Told::AtOnce)) = &fault {
        return Err(error.at_once());
    }
    let mut guest_ends = false;
    if fault.is_none() {
        match world.compute.next.pop_front() {
            Some(Fate::Fails(error)) => fault = Some((error, Told::InOperation)),
            Some(Fate::GuestEnds) => guest_ends = true,
            None => {}
        }
    }
    let request = call.ask.param("requestId").map(str::to_owned);
    let id = add(world, &place, &wanted, call.body.clone(), request);
    if let Some(machine) = world.compute.machines.get_mut(&place) {
        machine.guest_ends = guest_ends;
    }
    let operation = operation::begin(world, call, "insert", &path, id);
    let (now, times) = (world.compute.now, world.site.times.clone());
    let agenda = &mut world.compute.agenda;
    match fault {
        Some((error, _)) => {
            agenda.add(now + times.refusal, Event::Refused(operation.clone(), id, error));
        }
        None => {
            agenda.add(now + times.operation, Event::Done(operation.clone()));
            let staged = now + times.provisioning;
            agenda.add(staged, Event::Staged(id));
            agenda.add(staged + times.staging, Event::Runs(id));
        }
    }
    Ok(operation::shown(world, &operation))
}

/// Why this machine cannot be made, if so.
fn refusal(world: &World, zone: &str, wanted: &Wanted) -> Option<(OpError, Told)> {
    let kind = &wanted.machine_type.name;
    let shortages = &world.compute.shortages;
    let fits = |shortage: &&Shortage| shortage.fits(kind, zone, wanted.market);
    if let Some(shortage) = shortages.iter().find(fits) {
        let error = OpError::stock_out(&shortage.code, &world.site.project, zone, kind);
        return Some((error, shortage.told));
    }
    let over = quota::passed(world, wanted)?;
    let error = OpError::quota(&over.metric, over.limit, &world.site.region);
    Some((error, world.compute.told.get(&What::Quota).copied().unwrap_or(Told::InOperation)))
}

fn address(world: &mut World, first: u8) -> Ipv4Addr {
    world.compute.addresses += 1;
    let [_, b, c, d] = world.compute.addresses.to_be_bytes();
    Ipv4Addr::new(first, b, c, d)
}

/// Puts a machine and its disks into the cloud, and into the ledger.
pub(crate) fn add(
    world: &mut World,
    place: &Place,
    wanted: &Wanted,
    spec: Value,
    request: Option<String>,
) -> u64 {
    let (id, now) = (world.ids.number(), world.compute.now);
    let disks: Vec<Attached> = wanted
        .disks
        .iter()
        .map(|disk| {
            let made = Disk::made_with(world.ids.number(), now, disk, &place.name);
            world.compute.disks.insert(Place::new(&place.zone, &disk.name), made);
            let (disk_name, device) = (disk.name.clone(), disk.device.clone());
            let (boot, auto_delete) = (disk.boot, disk.auto_delete);
            Attached { disk: disk_name, device, boot, auto_delete }
        })
        .collect();
    let machine = Machine {
        id,
        spec,
        machine_type: wanted.machine_type.name.clone(),
        cpus: wanted.machine_type.cpus,
        market: wanted.market,
        action: wanted.action,
        limit: wanted.limit,
        labels: wanted.labels.clone(),
        labels_version: 1,
        metadata: wanted.metadata.clone(),
        metadata_version: 1,
        disks,
        internal: address(world, 10),
        external: wanted.wants_external.then(|| address(world, 34)),
        status: Status::Provisioning,
        odd: None,
        accepted: now,
        running: None,
        last_start: None,
        last_stop: None,
        run: 0,
        ending: None,
        guest_ends: false,
        protected: false,
    };
    world.ledger.open(entry(&machine, place, request, now));
    world.compute.agenda.places.insert(id, place.clone());
    world.compute.machines.insert(place.clone(), machine);
    id
}

fn entry(
    machine: &Machine,
    place: &Place,
    request_id: Option<String>,
    accepted: Timestamp,
) -> Entry {
    let shown = machine.metadata.iter().filter(|(key, _)| !SECRETS.contains(&key.as_str()));
    Entry {
        id: machine.id,
        zone: place.zone.clone(),
        name: place.name.clone(),
        machine_type: machine.machine_type.clone(),
        spot: machine.market == vcycle_api::Market::Preemptible,
        labels: machine.labels.clone(),
        metadata: shown.cloned().collect(),
        request_id,
        limit: machine.limit.filter(|_| machine.action == Then::Goes),
        accepted,
        began: None,
        stopped: None,
        ended: None,
        why: None,
        billed: std::time::Duration::ZERO,
    }
}
