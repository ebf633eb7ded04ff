//! The way of a request: which method it is, whether it may, and who answers it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{aggregate, catalogue, change, disk, insert, operation, permit, tick};
use crate::testing::ask::Ask;
use crate::testing::reply::{self, Answer, Reply};
use crate::testing::schema::{Finder, Method, Problem, Side, document, odd_query, shape};
use crate::testing::world::World;

/// A request whose method is known.
pub(crate) struct Call<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) method: &'static Method,
    /// What stands in the path for the names.
    pub(crate) names: BTreeMap<&'static str, String>,
    pub(crate) body: Value,
}

impl Call<'_> {
    /// What stands in the path for this name; empty where the method has no such name.
    pub(crate) fn name(&self, name: &str) -> &str {
        self.names.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// Answers a request to Compute Engine; with it, its method and names for the ledger.
pub(crate) fn answer(world: &mut World, ask: &Ask) -> (Reply, String, BTreeMap<String, String>) {
    tick(world);
    let Some((method, names)) = document().find(&ask.method, &ask.path) else {
        let method = format!("{} {}", ask.method, ask.path.join("/"));
        let what = "there is no such method".to_owned();
        world.problems.push(Problem { side: Side::Request, method: method.clone(), what });
        return (reply::no_such_path(), method, BTreeMap::new());
    };
    let owned = names.iter().map(|(&name, value)| (name.to_owned(), value.clone())).collect();
    let body = without_nulls(ask.json().unwrap_or(Value::Null));
    let call = Call { ask, method, names, body };
    let reply = match checked(world, &call).and_then(|()| carried_out(world, &call)) {
        Ok(body) => {
            if ask.method != "GET" && !asks_only(&method.id) {
                world.mutations += 1;
            }
            check_reply(world, &call, &body);
            Reply::json(200, &body)
        }
        Err(refusal) => {
            check_refusal(world, &call, &refusal);
            refusal
        }
    };
    (reply, method.id.clone(), owned)
}

/// In JSON to Google, `null` is as if the field were not there (protobuf.dev/programming-guides/json): libcloud sends it.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(key, value)| (key, without_nulls(value))).collect()
        }
        Value::Array(all) => all.into_iter().map(without_nulls).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// A `POST` that changes nothing.
fn asks_only(method: &str) -> bool {
    method.ends_with(".wait") || method.ends_with(".testIamPermissions")
}

fn finder<'a>(world: &'a World, call: &'a Call, side: Side) -> Finder<'a> {
    let (document, odd_words) = (document(), &world.odd_words);
    Finder { document, side, method: &call.method.id, odd_words, problems: Vec::new() }
}

/// Login, form, permissions and rates, in the order in which Google's front ends look.
fn checked(world: &mut World, call: &Call) -> Result<(), Reply> {
    if !world.login.knows(&world.site, call.ask) {
        return Err(reply::unauthorized());
    }
    let mut finder = finder(world, call, Side::Request);
    finder.path(call.method, &call.names);
    finder.query(call.method, &call.ask.query);
    match &call.method.request {
        Some(schema) => finder.body(&call.body, schema),
        None if call.ask.body.is_empty() => {}
        // An empty object is what clients send for no body.
        None if call.body == json!({}) => {}
        None => finder.problems.push(Problem {
            side: Side::Request,
            method: call.method.id.clone(),
            what: "has a body, but the method takes none".to_owned(),
        }),
    }
    let problems = finder.problems;
    if let Some(first) = odd_query(&problems).or(problems.first()) {
        let message = format!("Invalid JSON payload or parameter received. {}", first.what);
        world.problems.extend(problems);
        return Err(reply::refusal(400, "invalid", message));
    }
    permit::permit(world, call)?;
    if let Some(rates) = world.site.rates {
        let now = world.compute.now;
        world.compute.rate.count(rates, &call.method.id, now)?;
    }
    there(world, call)
}

/// The project, the zone and the region of the path must be there.
fn there(world: &World, call: &Call) -> Result<(), Reply> {
    let (project, zone) = (call.name("project"), call.name("zone"));
    let images = call.method.id.starts_with("compute.images.");
    let number = world.site.project_number.to_string();
    if project != world.site.project && project != number && !images {
        return Err(reply::not_found(&format!("projects/{project}")));
    }
    if zone.is_empty() || call.method.id.starts_with("compute.zones.") {
        return Ok(());
    }
    if !world.site.zones.iter().any(|own| own == zone) {
        let why = format!("Unknown zone, or not of project {project}.");
        return Err(reply::invalid("zone", zone, &why));
    }
    match world.compute.down.contains_key(zone) {
        true => Err(aggregate::backend()),
        false => Ok(()),
    }
}

fn carried_out(world: &mut World, call: &Call) -> Answer {
    match call.method.id.strip_prefix("compute.").unwrap_or_default() {
        "instances.insert" => insert::insert(world, call),
        "instances.delete" => change::delete(world, call),
        "instances.stop" => change::stop(world, call),
        "instances.start" => change::start(world, call),
        "instances.setLabels" => change::set_labels(world, call),
        "instances.setMetadata" => change::set_metadata(world, call),
        "instances.setDiskAutoDelete" => change::set_disk_auto_delete(world, call),
        "instances.simulateMaintenanceEvent" => change::simulate(world, call),
        "disks.insert" => disk::insert(world, call),
        "disks.delete" => disk::delete(world, call),
        "disks.setLabels" => disk::set_labels(world, call),
        reading => read(world, call, reading),
    }
}

fn read(world: &World, call: &Call, method: &str) -> Answer {
    match method {
        "instances.get" => change::get(world, call),
        "instances.list" | "instances.aggregatedList" => aggregate::instances(world, call),
        "instances.getSerialPortOutput" => change::serial_port(world, call),
        "instances.testIamPermissions"
        | "images.testIamPermissions"
        | "subnetworks.testIamPermissions" => permit::test(world, call),
        "disks.get" => disk::get(world, call),
        "disks.list" | "disks.aggregatedList" => aggregate::disks(world, call),
        "zoneOperations.get" | "zoneOperations.wait" => operation::get(world, call),
        "zoneOperations.list" | "globalOperations.aggregatedList" => {
            aggregate::operations(world, call)
        }
        "machineTypes.get" => catalogue::machine_type_get(world, call),
        "machineTypes.list" | "machineTypes.aggregatedList" => {
            catalogue::machine_types(world, call)
        }
        "diskTypes.get" => catalogue::disk_type_get(world, call),
        "diskTypes.list" | "diskTypes.aggregatedList" => catalogue::disk_types(world, call),
        "images.get" | "images.getFromFamily" => catalogue::image_get(world, call),
        "images.list" => catalogue::images(world, call),
        "networks.get" => catalogue::network_get(world, call),
        "networks.list" => catalogue::networks(world, call),
        "subnetworks.get" => catalogue::subnetwork_get(world, call),
        "subnetworks.list" | "subnetworks.aggregatedList" => catalogue::subnetworks(world, call),
        "projects.get" => Ok(catalogue::project(world)),
        "regions.get" => catalogue::region_get(world, call),
        "regions.list" => catalogue::regions(world, call),
        "zones.get" => catalogue::zone_get(world, call),
        "zones.list" => catalogue::zones(world, call),
        // Described, but served by nobody yet.
        _ => Err(reply::refusal(501, "notImplemented", "This fake does not have the method.")),
    }
}

fn check_reply(world: &mut World, call: &Call, body: &Value) {
    let mut finder = finder(world, call, Side::Reply);
    if let Some(schema) = &call.method.response {
        finder.body(body, schema);
    }
    let problems = finder.problems;
    world.problems.extend(problems);
}

fn check_refusal(world: &mut World, call: &Call, refusal: &Reply) {
    let body = serde_json::from_slice(&refusal.body).unwrap_or(Value::Null);
    if let Some(what) = shape(&body) {
        let method = call.method.id.clone();
        world.problems.push(Problem { side: Side::Reply, method, what });
    }
}
