//! A server as Nova shows it, field by field and microversion by microversion.

use serde_json::{Map, Value, json};
use vcycle_api::Timestamp;

use super::super::reply::{Answer, Reply};
use super::super::words::{micros, seconds};
use super::super::world::World;
use super::server::{Cell, Look};
use super::{At, Micro, Server, cell_down, networks, own};

/// `GET /servers/ID`.
pub(super) fn one(world: &World, at: &At, id: &str) -> Answer {
    let server = own(world, at, id)?;
    let shown = match server.cell {
        Cell::Up => {
            let mut shown = full(world, server, at.micro);
            if at.micro >= 71 {
                // Shown of one server, not in listings (as recorded).
                shown["server_groups"] = json!([]);
            }
            shown
        }
        Cell::Down | Cell::Missing if at.micro >= 69 => down_one(world, server, at.micro),
        Cell::Down | Cell::Missing => return Err(cell_down()),
    };
    Ok(Reply::json(200, &json!({ "server": shown })))
}

/// `self` and `bookmark`.
pub(super) fn links(world: &World, kind: &str, id: &str) -> Value {
    let base = &world.base;
    json!([
        { "rel": "self", "href": format!("{base}/compute/v2.1/{kind}/{id}") },
        { "rel": "bookmark", "href": format!("{base}/compute/{kind}/{id}") },
    ])
}

fn bookmark(world: &World, kind: &str, id: &str) -> Value {
    json!([{ "rel": "bookmark", "href": format!("{}/compute/{kind}/{id}", world.base) }])
}

/// Id, name and links.
pub(super) fn brief(world: &World, server: &Server) -> Value {
    json!({ "id": server.id, "name": server.name, "links": links(world, "servers", &server.id) })
}

/// In a brief listing, of a server whose cell is down.
pub(super) fn brief_down(world: &World, server: &Server) -> Value {
    json!({ "id": server.id, "status": "UNKNOWN", "links": links(world, "servers", &server.id) })
}

/// Asked for directly, the request that made it is remembered, too.
fn down_one(world: &World, server: &Server, micro: Micro) -> Value {
    let mut shown = down(world, server);
    shown["image"] = image(world, server);
    shown["flavor"] = flavor(world, server, micro);
    shown["OS-EXT-AZ:availability_zone"] = json!("UNKNOWN");
    shown["OS-EXT-STS:power_state"] = json!(0);
    shown["user_id"] = json!(world.site.tenants[server.tenant].user_id);
    if micro >= 71 {
        shown["server_groups"] = json!([]);
    }
    shown
}

/// What the API database alone knows of a server (API guide of Nova, "Handling down cells").
pub(super) fn down(world: &World, server: &Server) -> Value {
    json!({
        "id": server.id,
        "status": "UNKNOWN",
        "created": seconds(server.accepted),
        "tenant_id": world.site.tenants[server.tenant].project_id,
        "links": links(world, "servers", &server.id),
    })
}

/// Everything that a member sees.
pub(super) fn full(world: &World, server: &Server, micro: Micro) -> Value {
    let look = server.look(world.now());
    let tenant = &world.site.tenants[server.tenant];
    let mut shown = json!({
        "accessIPv4": "",
        "accessIPv6": "",
        "addresses": if look.hosted { networks::addresses(world, server) } else { json!({}) },
        "created": seconds(server.accepted),
        "flavor": flavor(world, server, micro),
        "hostId": if look.hosted { host(server) } else { String::new() },
        "id": server.id,
        "image": image(world, server),
        "links": links(world, "servers", &server.id),
        "metadata": if server.is_there() { json!(server.metadata) } else { json!({}) },
        "name": server.name,
        "status": look.status,
        "tenant_id": tenant.project_id,
        "user_id": tenant.user_id,
        "updated": seconds(look.updated),
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": if look.placed { server.zone.as_str() } else { "" },
        "config_drive": if server.config_drive { "True" } else { "" },
        "key_name": server.key_name,
        "OS-SRV-USG:launched_at": look.launched.map(micros),
        "OS-SRV-USG:terminated_at": server.gone.map(micros),
        "OS-EXT-STS:task_state": look.task_state,
        "OS-EXT-STS:vm_state": look.vm_state,
        "OS-EXT-STS:power_state": look.power_state,
        "os-extended-volumes:volumes_attached": attached(server, micro),
    });
    if let Value::Object(map) = &mut shown {
        sometimes(world, server, &look, map);
        since(server, micro, map);
    }
    shown
}

/// Fields that depend on the state.
fn sometimes(world: &World, server: &Server, look: &Look, map: &mut Map<String, Value>) {
    // Nova shows no progress of a server at rest (`nova/api/openstack/compute/views/servers.py`).
    let moving = ["ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"];
    if moving.contains(&look.status) {
        map.insert("progress".into(), json!(0));
    }
    if let Some((at, fault)) = &look.fault {
        let fault =
            json!({ "code": fault.code, "created": seconds(*at), "message": fault.message });
        map.insert("fault".into(), fault);
    }
    let connected = !world.network.of(&server.id).is_empty();
    if connected && look.hosted {
        map.insert("security_groups".into(), json!([{ "name": "default" }]));
    }
}

/// Fields that came with a microversion (Nova's `rest_api_version_history`).
fn since(server: &Server, micro: Micro, map: &mut Map<String, Value>) {
    let hostname = || -> String {
        let letters = server.name.chars().map(|letter| match letter {
            ' ' | '_' => '-',
            other => other.to_ascii_lowercase(),
        });
        letters.filter(|letter| letter.is_ascii_alphanumeric() || "-.".contains(*letter)).collect()
    };
    let fields = [
        (9, "locked", json!(server.locked)),
        (19, "description", json!(server.description)),
        (26, "tags", json!(server.tags)),
        (63, "trusted_image_certificates", Value::Null),
        (73, "locked_reason", Value::Null),
        (90, "OS-EXT-SRV-ATTR:hostname", json!(hostname())),
        (96, "pinned_availability_zone", Value::Null),
        (100, "scheduler_hints", server.hints.clone()),
    ];
    for (from, name, value) in fields {
        if micro >= from {
            map.insert(name.into(), value);
        }
    }
}

fn flavor(world: &World, server: &Server, micro: Micro) -> Value {
    let flavor = &world.site.flavors[server.flavor];
    if micro < 47 {
        return json!({ "id": flavor.id, "links": bookmark(world, "flavors", &flavor.id) });
    }
    let extra: Map<String, Value> =
        flavor.extra_specs.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    json!({
        "vcpus": flavor.vcpus,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "ephemeral": 0,
        "swap": 0,
        "original_name": flavor.name,
        "extra_specs": extra,
    })
}

fn image(world: &World, server: &Server) -> Value {
    match &server.image {
        Some(id) => json!({ "id": id, "links": bookmark(world, "images", id) }),
        // Boot from volume (as recorded).
        None => json!(""),
    }
}

/// 56 hexadecimal digits, as a host's hash has.
fn host(server: &Server) -> String {
    let digits: String = server.id.chars().filter(char::is_ascii_hexdigit).collect();
    format!("{digits}{}", &digits[..24])
}

fn attached(server: &Server, micro: Micro) -> Value {
    let volumes = server.volumes.iter().map(|attached| {
        if micro >= 3 {
            let (id, delete) = (&attached.volume, attached.delete_on_termination);
            json!({ "id": id, "delete_on_termination": delete })
        } else {
            json!({ "id": attached.volume })
        }
    });
    volumes.collect()
}

/// Whether something has changed since then, as `changes-since` counts.
pub(super) fn changed_since(server: &Server, now: Timestamp, since: Timestamp) -> bool {
    server.look(now).updated >= since
}
