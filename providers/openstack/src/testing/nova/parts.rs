//! What servers are made of: flavours, zones, key pairs.

use serde_json::{Map, Value, json};

use super::super::ask::Ask;
use super::super::reply::{self, Answer, Reply};
use super::super::site::SiteFlavor;
use super::super::world::World;
use super::list::{Detail, Page, next};
use super::{At, Micro, show};

/// A public key. It belongs to the user.
#[derive(Debug, Clone)]
pub(crate) struct Keypair {
    pub(crate) tenant: usize,
    pub(crate) name: String,
    pub(crate) public_key: String,
}

fn flavor_fields(world: &World, flavor: &SiteFlavor, micro: Micro) -> Value {
    let swap = if micro >= 75 { json!(0) } else { json!("") };
    let mut shown = json!({
        "id": flavor.id,
        "name": flavor.name,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "swap": swap,
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "OS-FLV-DISABLED:disabled": false,
        "vcpus": flavor.vcpus,
        "os-flavor-access:is_public": true,
        "rxtx_factor": 1.0,
        "links": show::links(world, "flavors", &flavor.id),
    });
    if micro >= 55 {
        shown["description"] = Value::Null;
    }
    if micro >= 61 {
        let extra: Map<String, Value> =
            flavor.extra_specs.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        shown["extra_specs"] = Value::Object(extra);
    }
    shown
}

/// `GET /flavors` and `GET /flavors/detail`, paged.
pub(super) fn flavors(world: &World, ask: &Ask, at: &At, detail: Detail) -> Answer {
    let page = Page::new(world, ask)?;
    let all = &world.site.flavors;
    let begin = match page.marker {
        None => 0,
        Some(marker) => {
            let place = all.iter().position(|flavor| flavor.id == marker);
            place.ok_or_else(|| reply::fault(400, format!("marker [{marker}] not found")))? + 1
        }
    };
    let shown: Vec<&SiteFlavor> = all[begin..].iter().take(page.limit).collect();
    let values: Vec<Value> = shown
        .iter()
        .map(|flavor| match detail {
            Detail::Full => flavor_fields(world, flavor, at.micro),
            Detail::Brief => {
                let links = show::links(world, "flavors", &flavor.id);
                json!({ "id": flavor.id, "name": flavor.name, "links": links })
            }
        })
        .collect();
    let mut body = json!({ "flavors": values });
    if let Some(last) = shown.last().filter(|_| shown.len() == page.limit) {
        body["flavors_links"] = next(world, ask, &last.id);
    }
    Ok(Reply::json(200, &body))
}

/// `GET /flavors/ID`.
pub(super) fn flavor(world: &World, at: &At, id: &str) -> Answer {
    let found = world.site.flavors.iter().find(|flavor| flavor.id == id);
    let missing = || reply::fault(404, format!("Flavor {id} could not be found."));
    let shown = flavor_fields(world, found.ok_or_else(missing)?, at.micro);
    Ok(Reply::json(200, &json!({ "flavor": shown })))
}

/// `GET /os-availability-zone`.
pub(super) fn zones(world: &World) -> Reply {
    let zones =
        world.site.zones.iter().map(
            |zone| json!({ "zoneName": zone, "zoneState": { "available": true }, "hosts": null }),
        );
    Reply::json(200, &json!({ "availabilityZoneInfo": zones.collect::<Value>() }))
}

fn fingerprint(key: &str) -> String {
    let sum = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let bytes: Vec<String> = sum.to_be_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{0}:{0}", bytes.join(":"))
}

fn shown(keypair: &Keypair, micro: Micro) -> Value {
    let mut shown = json!({
        "name": keypair.name,
        "public_key": keypair.public_key,
        "fingerprint": fingerprint(&keypair.public_key),
    });
    if micro >= 2 {
        shown["type"] = json!("ssh");
    }
    shown
}

/// `GET /os-keypairs`.
pub(super) fn keypairs(world: &World, at: &At) -> Reply {
    let own = world.nova.keypairs.iter().filter(|keypair| keypair.tenant == at.caller);
    let all: Vec<Value> = own.map(|own| json!({ "keypair": shown(own, at.micro) })).collect();
    Reply::json(200, &json!({ "keypairs": all }))
}

fn no_keypair(world: &World, at: &At, name: &str) -> Reply {
    let user = &world.site.tenants[at.caller].user_id;
    reply::fault(404, format!("Keypair {name} not found for user {user}"))
}

/// `GET /os-keypairs/NAME`.
pub(super) fn keypair(world: &World, at: &At, name: &str) -> Answer {
    let mut own = world.nova.keypairs.iter().filter(|keypair| keypair.tenant == at.caller);
    let found = own.find(|own| own.name == name).ok_or_else(|| no_keypair(world, at, name))?;
    let mut body = shown(found, at.micro);
    body["user_id"] = json!(world.site.tenants[at.caller].user_id);
    Ok(Reply::json(200, &json!({ "keypair": body })))
}

/// `POST /os-keypairs` with a public key: 200, from 2.2 on 201.
pub(super) fn import_keypair(world: &mut World, ask: &Ask, at: &At) -> Answer {
    let body = ask.json().unwrap_or_default();
    let text = |name: &str| body["keypair"][name].as_str().unwrap_or_default().to_owned();
    let (name, public_key) = (text("name"), text("public_key"));
    let own = world.nova.keypairs.iter().filter(|keypair| keypair.tenant == at.caller);
    if own.clone().any(|own| own.name == name) {
        return Err(reply::fault(409, format!("Key pair '{name}' already exists.")));
    }
    if own.count() >= 100 {
        return Err(reply::fault(403, "Quota exceeded, too many key pairs."));
    }
    if public_key.split_whitespace().count() < 2 {
        return Err(reply::fault(400, "Keypair data is invalid: failed to generate fingerprint"));
    }
    let keypair = Keypair { tenant: at.caller, name, public_key };
    let mut shown = shown(&keypair, at.micro);
    shown["user_id"] = json!(world.site.tenants[at.caller].user_id);
    world.nova.keypairs.push(keypair);
    Ok(Reply::json(if at.micro >= 2 { 201 } else { 200 }, &json!({ "keypair": shown })))
}

/// `DELETE /os-keypairs/NAME`: 202, from 2.2 on 204.
pub(super) fn delete_keypair(world: &mut World, at: &At, name: &str) -> Answer {
    let all = &world.nova.keypairs;
    let place = all.iter().position(|own| own.tenant == at.caller && own.name == name);
    let place = place.ok_or_else(|| no_keypair(world, at, name))?;
    world.nova.keypairs.remove(place);
    Ok(Reply::empty(if at.micro >= 2 { 204 } else { 202 }))
}
