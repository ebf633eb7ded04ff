//! `POST /servers`: what the API checks before it accepts, and the server that it accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};
use vcycle_api::Timestamp;

use super::super::ask::Ask;
use super::super::reply::{self, Answer, Reply};
use super::super::site::SiteFlavor;
use super::super::world::World;
use super::server::{Action, Attached, Boot, Cell, Rest};
use super::{At, Fault, NextBoot, Server, check, networks, quota, show, volumes};

/// What a create body asks for, looked up.
struct Order {
    fields: Map<String, Value>,
    hints: Value,
    flavor: usize,
    image: Option<String>,
    zone: String,
    networks: Vec<usize>,
    count: usize,
}

/// `POST /servers`.
pub(super) fn create(world: &mut World, ask: &Ask, at: &At) -> Answer {
    let (fields, hints) = check::body(ask, at.micro)?;
    let order = look_up(world, at, fields, hints)?;
    let flavor = &world.site.flavors[order.flavor];
    let count = i64::try_from(order.count).unwrap_or(i64::MAX);
    let more =
        quota::Used { instances: count, cores: flavor.vcpus * count, ram: flavor.ram * count };
    // A quota that is seen too late was not seen here.
    let late = matches!(world.nova.next_boots.first(), Some(NextBoot::Fails(f)) if f.code == 413);
    if !late {
        quota::check(world, at.caller, more)?;
    }
    let mut first = None;
    for number in 1..=order.count {
        let id = make(world, at, &order, number);
        first.get_or_insert(id);
    }
    let id = first.ok_or_else(|| reply::fault(400, "min_count must be >= 1"))?;
    let body = json!({ "server": {
        "id": id,
        "links": show::links(world, "servers", &id),
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": [{ "name": "default" }],
        "adminPass": &world.ids.hex()[..12],
    }});
    let location = format!("{}/compute/v2.1/servers/{id}", world.base);
    Ok(Reply::json(202, &body).with("location", location))
}

fn look_up(
    world: &World,
    at: &At,
    fields: Map<String, Value>,
    hints: Value,
) -> Result<Order, Reply> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let bad = |message: String| reply::fault(400, message);
    let wanted = text("flavorRef").unwrap_or_default();
    // A link to a flavour is taken for its id, too.
    let wanted = wanted.rsplit('/').next().unwrap_or(wanted);
    let flavor = world.site.flavors.iter().position(|flavor| flavor.id == wanted);
    let flavor = flavor.ok_or_else(|| bad(format!("Flavor {wanted} could not be found.")))?;
    let image = text("imageRef").filter(|image| !image.is_empty()).map(str::to_owned);
    let boot_image = image.as_deref().or_else(|| volumes::boot_image(&fields));
    if let Some(image) = boot_image
        && !world.images.usable(image, at.caller)
    {
        return Err(bad("Can not find requested image".into()));
    }
    if boot_image.is_none() && fields.get("block_device_mapping_v2").is_none() {
        let why = "Invalid imageRef provided: either an image or a block device is needed";
        return Err(bad(why.into()));
    }
    if let Some(key) = text("key_name")
        && !world.nova.keypairs.iter().any(|own| own.tenant == at.caller && own.name == key)
    {
        return Err(bad("Invalid key_name provided.".into()));
    }
    let zone = match text("availability_zone") {
        None => world.site.zones.first().cloned().unwrap_or_default(),
        Some(zone) if world.site.zones.iter().any(|there| there == zone) => zone.to_owned(),
        Some(_) => return Err(bad("The requested availability zone is not available".into())),
    };
    networks::check_groups(world, at, fields.get("security_groups"))?;
    let networks = networks::wanted(world, at, fields.get("networks"))?;
    let most = fields.get("max_count").or(fields.get("min_count")).and_then(Value::as_u64);
    let count = usize::try_from(most.unwrap_or(1)).unwrap_or(1);
    Ok(Order { flavor, image, zone, networks, count, hints, fields })
}

fn texts_of(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn make(world: &mut World, at: &At, order: &Order, number: usize) -> String {
    let text = |name: &str| order.fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let name = text("name").unwrap_or_default();
    let name = if order.count > 1 { format!("{name}-{number}") } else { name };
    let tags = order.fields.get("tags").and_then(Value::as_array).into_iter().flatten();
    let tags: BTreeSet<String> = tags.filter_map(Value::as_str).map(str::to_owned).collect();
    let config_drive = order.fields.get("config_drive");
    let mut server = plain(world, at.caller, name);
    server.description = text("description");
    server.flavor = order.flavor;
    server.image = order.image.clone();
    server.metadata = texts_of(order.fields.get("metadata"));
    server.tags = tags;
    server.key_name = text("key_name");
    server.zone = order.zone.clone();
    server.config_drive = config_drive.is_some_and(|value| value == true || value == "true");
    server.user_data = text("user_data");
    server.hints = order.hints.clone();
    fated(world, &mut server);
    let id = server.id.clone();
    networks::connect(world, at.caller, &id, &order.networks);
    server.volumes = volumes::make(world, at.caller, &id, &order.fields);
    world.nova.add(server);
    id
}

/// A server with nothing special, accepted now.
pub(crate) fn plain(world: &mut World, tenant: usize, name: String) -> Server {
    let now = world.now();
    let (id, request) = (world.ids.uuid(), world.ids.request());
    let volumes: Vec<Attached> = Vec::new();
    Server {
        id,
        tenant,
        name,
        description: None,
        flavor: 0,
        image: None,
        metadata: BTreeMap::new(),
        tags: BTreeSet::new(),
        key_name: None,
        zone: world.site.zones.first().cloned().unwrap_or_default(),
        config_drive: false,
        user_data: None,
        hints: json!({}),
        volumes,
        actions: vec![Action { name: "create", request, by_user: true, at: now }],
        accepted: now,
        placed: now + world.site.scheduling,
        boot: Boot::Runs(now + world.site.boot),
        rest: Rest::AsBuilt,
        power_off: None,
        deletion: None,
        never_deleted: false,
        soft_deleted: false,
        locked: false,
        ghost: false,
        cell: Cell::Up,
        gone: None,
    }
}

/// What becomes of it: by a lever, by its flavour, or by what its metadata asks the hypervisor for
/// (`lab.spawn_delay`, `lab.spawn_error`, `lab.poweroff_after`, as in the recordings).
fn fated(world: &mut World, server: &mut Server) {
    let never = Timestamp::from_millis(i64::MAX);
    let seconds = |key: &str| -> Option<Duration> {
        server.metadata.get(key)?.parse().ok().map(Duration::from_secs)
    };
    let (delay, power_off) = (seconds("lab.spawn_delay"), seconds("lab.poweroff_after"));
    if let Some(delay) = delay {
        server.boot = Boot::Runs(server.placed + delay);
    }
    if let Boot::Runs(at) = server.boot {
        server.power_off = power_off.map(|after| at + after);
    }
    let fails = |fault: Fault| Boot::Fails(server.placed, fault);
    if world.site.flavors[server.flavor].disk >= SiteFlavor::NO_HOST {
        server.boot = fails(Fault::no_valid_host());
    } else if server.metadata.contains_key("lab.spawn_error") {
        let message = format!(
            "Exceeded maximum number of retries. Exhausted all hosts available for retrying build \
             failures for instance {}.",
            server.id
        );
        server.boot = fails(Fault { code: 500, message });
    }
    if world.nova.next_boots.is_empty() {
        return;
    }
    match world.nova.next_boots.remove(0) {
        NextBoot::Fails(fault) => server.boot = Boot::Fails(server.placed, fault),
        NextBoot::Stuck => server.boot = Boot::Stuck,
    }
    if server.boot == Boot::Stuck {
        server.placed = never;
    }
}
