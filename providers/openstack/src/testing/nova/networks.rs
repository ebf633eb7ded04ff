//! Networks of a server: which ones a create asks for, the ports that Nova makes, the addresses.

use serde_json::{Map, Value, json};

use super::super::neutron::Port;
use super::super::reply::{self, Answer, Reply};
use super::super::world::World;
use super::{At, Server, own};

/// Indices of the networks that a create asks for.
///
/// `networks` is a list, or from 2.37 on one of the words `none` and `auto`; before, without it, Nova
/// takes the project's only network. With several it answers 409
/// (`nova/network/neutron.py`, `NetworkAmbiguous`).
pub(super) fn wanted(
    world: &World,
    at: &At,
    networks: Option<&Value>,
) -> Result<Vec<usize>, Reply> {
    match networks {
        Some(Value::String(word)) if word == "none" => Ok(Vec::new()),
        Some(Value::Array(list)) if !list.is_empty() => {
            list.iter().map(|one| by_id(world, at, one)).collect()
        }
        Some(Value::String(word)) if word == "auto" => match usable(world, at).as_slice() {
            [] => {
                let project = &world.site.tenants[at.caller].project_id;
                let message =
                    format!("Unable to automatically allocate a network for project {project}");
                Err(reply::fault(400, message))
            }
            [only] => Ok(vec![*only]),
            _ => Err(ambiguous()),
        },
        Some(_) | None => match usable(world, at).as_slice() {
            [] => Ok(Vec::new()),
            [only] => Ok(vec![*only]),
            _ => Err(ambiguous()),
        },
    }
}

fn ambiguous() -> Reply {
    let message = "Multiple possible networks found, use a Network ID to be more specific.";
    reply::fault(409, message)
}

/// Networks that servers of the project may be put into.
fn usable(world: &World, at: &At) -> Vec<usize> {
    let project = &world.site.tenants[at.caller].project;
    let all = world.site.networks.iter().enumerate();
    let mine = all.filter(|(_, network)| {
        !network.external && network.project.as_ref().is_none_or(|owner| owner == project)
    });
    mine.map(|(index, _)| index).collect()
}

fn by_id(world: &World, at: &At, wanted: &Value) -> Result<usize, Reply> {
    let id = wanted["uuid"].as_str().unwrap_or_default();
    let project = &world.site.tenants[at.caller].project;
    let found = world.site.networks.iter().position(|network| {
        network.id == id && network.project.as_ref().is_none_or(|owner| owner == project)
    });
    match found {
        None => Err(reply::fault(400, format!("Network {id} could not be found."))),
        Some(index) if world.site.networks[index].external => {
            let message =
                format!("It is not allowed to create an interface on external network {id}");
            Err(reply::fault(403, message))
        }
        Some(index) => Ok(index),
    }
}

/// Refuses a security group that is not there.
pub(super) fn check_groups(world: &World, at: &At, groups: Option<&Value>) -> Result<(), Reply> {
    let groups = groups.and_then(Value::as_array).into_iter().flatten();
    for group in groups.filter_map(|group| group["name"].as_str()) {
        if !world.network.has_group(at.caller, group) {
            let message = format!("Unable to find security_group with name or id '{group}'");
            return Err(reply::fault(400, message));
        }
    }
    Ok(())
}

/// Makes a port in each network, as Nova does: without any tag.
pub(super) fn connect(world: &mut World, tenant: usize, server: &str, networks: &[usize]) {
    let now = world.now();
    for network in networks {
        let id = world.ids.uuid();
        world.network.make(Port::new(id, tenant, *network, server, now));
    }
}

/// `addresses`, as servers show them.
pub(super) fn addresses(world: &World, server: &Server) -> Value {
    let mut by_name: Map<String, Value> = Map::new();
    for port in world.network.of(&server.id) {
        let name = world.site.networks[port.network].name.clone();
        let address = json!({
            "version": 4,
            "addr": port.address.to_string(),
            "OS-EXT-IPS:type": "fixed",
            "OS-EXT-IPS-MAC:mac_addr": port.mac(),
        });
        let list = by_name.entry(name).or_insert_with(|| json!([]));
        list.as_array_mut().into_iter().for_each(|list| list.push(address.clone()));
    }
    Value::Object(by_name)
}

/// `GET /servers/ID/ips`.
pub(super) fn ips(world: &World, at: &At, id: &str) -> Answer {
    let mut addresses = addresses(world, own(world, at, id)?);
    for list in addresses.as_object_mut().into_iter().flat_map(Map::values_mut) {
        for address in list.as_array_mut().into_iter().flatten() {
            *address = json!({ "version": 4, "addr": address["addr"] });
        }
    }
    Ok(Reply::json(200, &json!({ "addresses": addresses })))
}

/// `GET /servers/ID/os-interface`.
pub(super) fn interfaces(world: &World, at: &At, id: &str) -> Answer {
    let server = own(world, at, id)?;
    let ports = world.network.of(&server.id).iter().map(|port| {
        let network = &world.site.networks[port.network];
        json!({
            "net_id": network.id,
            "port_id": port.id,
            "mac_addr": port.mac(),
            "port_state": "ACTIVE",
            "fixed_ips": [{
                "subnet_id": network.subnet_id(),
                "ip_address": port.address.to_string(),
            }],
        })
    });
    let ports: Vec<Value> = ports.collect();
    Ok(Reply::json(200, &json!({ "interfaceAttachments": ports })))
}
