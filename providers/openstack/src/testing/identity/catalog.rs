//! The catalogue of a token.

use serde_json::{Value, json};

use super::super::world::World;

/// Type, name and path of each service, as the recorded catalogue has them. The paths of Blazar and
/// CloudKitty are those of their installation guides.
const SERVICES: [(&str, &str, &str); 9] = [
    ("network", "neutron", "/network"),
    ("compute", "nova", "/compute/v2.1"),
    ("block-storage", "cinder", "/volume/v3"),
    ("volumev3", "cinderv3", "/volume/v3"),
    ("identity", "keystone", "/identity/v3"),
    ("image", "glance", "/image"),
    ("placement", "placement", "/placement"),
    ("reservation", "blazar", "/reservation/v1"),
    ("rating", "cloudkitty", "/rating"),
];

/// Services, their endpoints in every region, public and internal (Keystone's also for admins).
pub(super) fn catalog(world: &World) -> Value {
    let services = SERVICES.iter().enumerate();
    let there = services.filter(|(_, (kind, _, _))| match *kind {
        "reservation" => !world.site.leases.is_empty(),
        "rating" => world.site.rating.is_some(),
        _ => true,
    });
    there.map(|(number, service)| entry(world, number, service)).collect()
}

fn entry(world: &World, number: usize, (kind, name, path): &(&str, &str, &str)) -> Value {
    let interfaces = match *kind {
        "identity" => &["public", "internal", "admin"][..],
        _ => &["public", "internal"][..],
    };
    let mut endpoints = Vec::new();
    for (place, region) in world.site.regions.iter().enumerate() {
        for (nth, interface) in interfaces.iter().enumerate() {
            endpoints.push(json!({
                "id": format!("{number:08x}{place:08x}{nth:016x}"),
                "interface": interface,
                "region_id": region,
                "url": format!("{}{path}", world.base),
                "region": region,
            }));
        }
    }
    json!({
        "endpoints": endpoints,
        "id": format!("{number:032x}"),
        "type": kind,
        "name": name,
    })
}
