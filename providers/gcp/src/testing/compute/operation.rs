//! Operations: their life, and the `requestId`s by which a repeated call finds its first one.

use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::agenda::Event;
use super::{Call, OpError, Place};
use crate::testing::reply::{self, Reply};
use crate::testing::words;
use crate::testing::world::World;

/// An operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: u64,
    /// `insert`, `delete`, `compute.instances.preempted`.
    pub(crate) verb: String,
    /// Path of what it changes, from `projects/`.
    pub(crate) target: String,
    pub(crate) target_id: u64,
    pub(crate) user: String,
    /// `requestId` of the call.
    pub(crate) request: Option<String>,
    pub(crate) begun: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) error: Option<OpError>,
    pub(crate) message: Option<String>,
}

/// A call that was made under a `requestId`.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    method: String,
    target: String,
    operation: Place,
    until: Timestamp,
}

impl Operation {
    pub(crate) fn show(&self, world: &World, place: &Place) -> Value {
        let project = world.url(&format!("projects/{}", world.site.project));
        let zone = format!("{project}/zones/{}", place.zone);
        let ended = self.ended.is_some();
        let mut all = json!({
            "kind": "compute#operation",
            "id": self.id.to_string(),
            "name": place.name,
            "zone": zone,
            "operationType": self.verb,
            "targetLink": world.url(&self.target),
            "targetId": self.target_id.to_string(),
            "status": if ended { "DONE" } else { "RUNNING" },
            "user": self.user,
            "progress": if ended { 100 } else { 0 },
            "insertTime": words::written(self.begun),
            "startTime": words::written(self.begun),
            "selfLink": format!("{zone}/operations/{}", place.name),
        });
        if let Some(at) = self.ended {
            all["endTime"] = json!(words::written(at));
        }
        if let Some(request) = &self.request {
            all["clientOperationId"] = json!(request);
        }
        if let Some(message) = &self.message {
            all["statusMessage"] = json!(message);
        }
        if let Some(error) = &self.error {
            all["error"] = error.show();
            all["httpErrorStatusCode"] = json!(error.status);
            all["httpErrorMessage"] = json!(error.status_message);
        }
        all
    }
}

/// The operation of an earlier call with the same `requestId`, if it is remembered.
pub(crate) fn repeated(world: &World, call: &Call, target: &str) -> Result<Option<Value>, Reply> {
    let Some(request) = call.ask.param("requestId") else { return Ok(None) };
    if !words::is_request_id(request) {
        let why = "Must be a valid UUID with the exception that zero UUID is not supported.";
        return Err(reply::invalid("requestId", request, why));
    }
    let compute = &world.compute;
    let remembered = compute.requests.get(request).filter(|one| one.until > compute.now);
    let Some(remembered) = remembered else { return Ok(None) };
    if remembered.method != call.method.id || remembered.target != target {
        // What Google says then is written nowhere; a second machine is not it.
        let why = "The request ID was used for another request.";
        return Err(reply::invalid("requestId", request, why));
    }
    let operation = compute.operations.get(&remembered.operation);
    Ok(operation.map(|operation| operation.show(world, &remembered.operation)))
}

fn add(world: &mut World, zone: &str, name: String, operation: Operation) -> Place {
    let place = Place::new(zone, name);
    world.compute.operations.insert(place.clone(), operation);
    place
}

/// An operation that a call has begun.
pub(crate) fn begin(
    world: &mut World,
    call: &Call,
    verb: &str,
    target: &str,
    target_id: u64,
) -> Place {
    let now = world.compute.now;
    let name = world.ids.operation(now);
    let request = call.ask.param("requestId").map(str::to_owned);
    let operation = Operation {
        id: world.ids.number(),
        verb: verb.to_owned(),
        target: target.to_owned(),
        target_id,
        user: world.site.account.clone(),
        request: request.clone(),
        begun: now,
        ended: None,
        error: None,
        message: None,
    };
    let place = add(world, call.name("zone"), name, operation);
    if let Some(request) = request {
        let remembered = Remembered {
            method: call.method.id.clone(),
            target: target.to_owned(),
            operation: place.clone(),
            until: now + world.site.times.request_memory,
        };
        world.compute.requests.insert(request, remembered);
    }
    place
}

/// An operation that the cloud itself has begun, on a machine.
pub(crate) fn by_system(world: &mut World, machine: &Place, verb: &str, message: &str) -> Place {
    let now = world.compute.now;
    let name = world.ids.system_event(now);
    let target_id = world.compute.machines.get(machine).map_or(0, |machine| machine.id);
    let operation = Operation {
        id: world.ids.number(),
        verb: verb.to_owned(),
        target: world.path(&machine.zone, "instances", &machine.name),
        target_id,
        user: "system".to_owned(),
        request: None,
        begun: now,
        ended: None,
        error: None,
        message: Some(message.to_owned()),
    };
    add(world, &machine.zone, name, operation)
}

/// Ends an operation, unless it is forgotten or ended.
pub(crate) fn finish(world: &mut World, place: &Place, at: Timestamp, error: Option<OpError>) {
    let memory = world.site.times.operation_memory;
    let Some(operation) = world.compute.operations.get_mut(place) else { return };
    if operation.ended.is_none() {
        (operation.ended, operation.error) = (Some(at), error);
        world.compute.agenda.add(at + memory, Event::Forgotten(place.clone()));
    }
}

/// Lets an operation go well in its time, and shows it as it is now.
pub(crate) fn goes_well(world: &mut World, place: &Place) -> Value {
    let at = world.compute.now + world.site.times.operation;
    world.compute.agenda.add(at, Event::Done(place.clone()));
    shown(world, place)
}

/// An operation as it is now.
pub(crate) fn shown(world: &World, place: &Place) -> Value {
    world.compute.operations.get(place).map_or(Value::Null, |one| one.show(world, place))
}

/// `zoneOperations.get`, and each look of `wait`.
pub(crate) fn get(world: &World, call: &Call) -> Result<Value, Reply> {
    let place = Place::new(call.name("zone"), call.name("operation"));
    let operation = world.compute.operations.get(&place);
    let missing = || reply::not_found(&world.path(&place.zone, "operations", &place.name));
    operation.map(|operation| operation.show(world, &place)).ok_or_else(missing)
}
