//! Lists over all zones: each zone has its part, be it only a warning.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::list::{self, Page, Row};
use super::{Call, Outage, Place};
use crate::testing::reply::{self, Answer, Reply};
use crate::testing::world::World;

fn warning(code: &str, scope: &str, message: &str) -> Value {
    json!({ "code": code, "message": message, "data": [{ "key": "scope", "value": scope }] })
}

/// The 503 of a part of the cloud that does not answer.
pub(crate) fn backend() -> Reply {
    let message = "Internal error. Please try again or contact Google Support. (Code: '5A1B.2C')";
    reply::refusal(503, "backendError", message)
}

/// An answer with a part for each zone.
fn parts(world: &World, call: &Call, kind: &str, word: &str, page: Page) -> Answer {
    let mut items: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (zone, item) in page.items {
        items.entry(zone).or_default().push(item);
    }
    let (mut scopes, mut unreachable) = (Map::new(), Vec::new());
    for zone in &world.site.zones {
        let scope = format!("zones/{zone}");
        match world.compute.down.get(zone) {
            Some(Outage::Refused) => return Err(backend()),
            Some(Outage::Unreachable) => unreachable.push(json!(scope)),
            Some(Outage::Warned) => {
                let message = format!("The zone '{scope}' is unreachable.");
                let part = json!({ "warning": warning("UNREACHABLE", &scope, &message) });
                scopes.insert(scope, part);
            }
            None => {
                let part = match items.remove(zone) {
                    Some(found) => json!({ word: found }),
                    None => {
                        let message =
                            format!("There are no results for scope '{scope}' on this page.");
                        json!({ "warning": warning("NO_RESULTS_ON_PAGE", &scope, &message) })
                    }
                };
                scopes.insert(scope, part);
            }
        }
    }
    let path = call.ask.path.join("/");
    let mut all = json!({ "kind": kind, "id": path, "selfLink": world.url(&path) });
    if !scopes.is_empty() {
        all["items"] = Value::Object(scopes);
    }
    if !unreachable.is_empty() {
        all["unreachables"] = json!(unreachable);
    }
    if let Some(next) = page.next {
        all["nextPageToken"] = json!(next);
    }
    Ok(all)
}

/// Resources of the zones that a call is about: of one, or of all that are up.
fn rows<'a, T>(
    world: &'a World,
    call: &Call,
    all: &'a BTreeMap<Place, T>,
    made: fn(&T) -> vcycle_api::Timestamp,
) -> impl Iterator<Item = Row<'a, T>> {
    let zone = call.names.get("zone").cloned();
    let there = move |place: &Place| match &zone {
        Some(zone) => place.zone == *zone,
        None => !world.compute.down.contains_key(&place.zone),
    };
    let fitting = all.iter().filter(move |(place, _)| there(place));
    fitting.map(move |(place, resource)| Row { place, made: made(resource), resource })
}

/// `instances.list` and `instances.aggregatedList`
pub(crate) fn instances(world: &World, call: &Call) -> Answer {
    let rows = rows(world, call, &world.compute.machines, |machine| machine.accepted);
    let page = list::page(call, "Instance", rows, |row| row.resource.show(world, row.place))?;
    match call.names.contains_key("zone") {
        true => Ok(list::plain(world, call, "compute#instanceList", page)),
        false => parts(world, call, "compute#instanceAggregatedList", "instances", page),
    }
}

/// `disks.list` and `disks.aggregatedList`
pub(crate) fn disks(world: &World, call: &Call) -> Answer {
    let rows = rows(world, call, &world.compute.disks, |disk| disk.made);
    let page = list::page(call, "Disk", rows, |row| row.resource.show(world, row.place))?;
    match call.names.contains_key("zone") {
        true => Ok(list::plain(world, call, "compute#diskList", page)),
        false => parts(world, call, "compute#diskAggregatedList", "disks", page),
    }
}

/// `zoneOperations.list` and `globalOperations.aggregatedList`
pub(crate) fn operations(world: &World, call: &Call) -> Answer {
    let rows = rows(world, call, &world.compute.operations, |operation| operation.begun);
    let page = list::page(call, "Operation", rows, |row| row.resource.show(world, row.place))?;
    match call.names.contains_key("zone") {
        true => Ok(list::plain(world, call, "compute#operationList", page)),
        false => parts(world, call, "compute#operationAggregatedList", "operations", page),
    }
}

/// `machineTypes.aggregatedList` and the like: things that are the same in every zone.
pub(crate) fn everywhere(
    world: &World,
    call: &Call,
    names: (&str, &str, &str),
    all: &BTreeMap<Place, Value>,
) -> Answer {
    let (schema, kind, word) = names;
    let rows = rows(world, call, all, |_| vcycle_api::Timestamp::default());
    let page = list::page(call, schema, rows, |row| row.resource.clone())?;
    parts(world, call, kind, word, page)
}
