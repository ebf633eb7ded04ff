//! Neutron v2.0: networks, subnets, ports with tags, security groups.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::ask::Ask;
use super::identity::Caller;
use super::reply::{self, Answer, Reply};
use super::site::{Site, SiteNetwork};
use super::words::seconds;
use super::world::World;

/// A port.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    pub(crate) id: String,
    pub(crate) tenant: usize,
    /// Index in the site's networks.
    pub(crate) network: usize,
    /// The server that it is plugged into; it may be gone.
    pub(crate) device: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) created: Timestamp,
}

impl Port {
    /// A port of a server; its address is given by [`Network::make`].
    pub(crate) fn new(
        id: String,
        tenant: usize,
        network: usize,
        device: &str,
        created: Timestamp,
    ) -> Self {
        let (device, address) = (device.to_owned(), Ipv4Addr::UNSPECIFIED);
        Self { id, tenant, network, device, address, tags: BTreeSet::new(), created }
    }

    /// Its hardware address, made from its address.
    pub(crate) fn mac(&self) -> String {
        let [_, _, c, d] = self.address.octets();
        format!("fa:16:3e:00:{c:02x}:{d:02x}")
    }
}

impl SiteNetwork {
    /// Id of its one subnet.
    pub(crate) fn subnet_id(&self) -> String {
        let (head, tail) = self.id.split_at(self.id.len() / 2);
        format!("{}{}", head.chars().rev().collect::<String>().replace('-', "0"), tail)
    }
}

/// A security group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    tenant: usize,
    id: String,
    name: String,
}

/// Neutron's own state.
#[derive(Debug)]
pub(crate) struct Network {
    /// Ports by the server they are plugged into.
    ports: BTreeMap<String, Vec<Port>>,
    pub(crate) groups: Vec<Group>,
    addresses: u32,
}

impl Network {
    pub(crate) fn new(site: &Site) -> Self {
        let default = |(tenant, _)| {
            let id = format!("00000000-0000-4000-a000-{tenant:012}");
            Group { tenant, id, name: "default".into() }
        };
        let groups = site.tenants.iter().enumerate().map(default).collect();
        Self { ports: BTreeMap::new(), groups, addresses: 0 }
    }

    /// Adds a security group.
    pub(crate) fn add_group(&mut self, tenant: usize, name: &str) {
        let id = format!("00000000-0000-4000-b000-{:012}", self.groups.len());
        self.groups.push(Group { tenant, id, name: name.to_owned() });
    }

    pub(crate) fn has_group(&self, tenant: usize, wanted: &str) -> bool {
        let mut own = self.groups.iter().filter(|group| group.tenant == tenant);
        own.any(|group| group.id == wanted || group.name == wanted)
    }

    /// Adds a port with the next free address of 10.101.0.0/16.
    pub(crate) fn make(&mut self, mut port: Port) {
        self.addresses += 1;
        let [_, _, c, d] = (self.addresses + 2).to_be_bytes();
        port.address = Ipv4Addr::new(10, 101, c, d);
        self.ports.entry(port.device.clone()).or_default().push(port);
    }

    /// The ports of a server.
    pub(crate) fn of(&self, server: &str) -> &[Port] {
        self.ports.get(server).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn end_of_server(&mut self, server: &str) {
        self.ports.remove(server);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Port> {
        self.ports.values().flatten()
    }

    fn find_mut(&mut self, tenant: usize, id: &str) -> Option<&mut Port> {
        self.ports.values_mut().flatten().find(|port| port.id == id && port.tenant == tenant)
    }
}

/// Answers a request to Neutron.
pub(crate) fn answer(world: &mut World, ask: &Ask) -> Answer {
    let (method, path) = ask.route();
    if let ("GET", []) = (method, path.as_slice()) {
        return Ok(versions(world));
    }
    let caller = world.caller(ask)?;
    match (method, path.as_slice()) {
        ("GET", ["v2.0", "networks"]) => Ok(networks(world, ask, &caller)),
        ("GET", ["v2.0", "networks", id]) => network(world, &caller, id),
        ("GET", ["v2.0", "subnets"]) => Ok(subnets(world, &caller)),
        ("GET", ["v2.0", "security-groups"]) => Ok(groups(world, ask, &caller)),
        ("GET", ["v2.0", "quotas", _]) => Ok(quota()),
        ("GET", ["v2.0", "ports"]) => Ok(ports(world, ask, &caller)),
        ("GET", ["v2.0", "ports", id]) => port(world, &caller, id),
        ("DELETE", ["v2.0", "ports", id]) => delete_port(world, &caller, id),
        ("PUT", ["v2.0", "ports", id, "tags"]) => set_tags(world, ask, &caller, id),
        ("PUT", ["v2.0", "ports", id, "tags", tag]) => add_tag(world, &caller, id, tag),
        _ => Err(reply::neutron(404, "HTTPNotFound", "The resource could not be found.")),
    }
}

fn versions(world: &World) -> Reply {
    let link = json!({ "rel": "self", "href": format!("{}/network/v2.0/", world.base) });
    let version = json!({ "id": "v2.0", "status": "CURRENT", "links": [link] });
    Reply::json(200, &json!({ "versions": [version] }))
}

/// Networks that the project sees: its own, shared ones, external ones.
fn seen<'a>(world: &'a World, caller: &Caller) -> impl Iterator<Item = (usize, &'a SiteNetwork)> {
    let project = &world.site.tenants[caller.tenant].project;
    let all = world.site.networks.iter().enumerate();
    all.filter(move |(_, network)| network.project.as_ref().is_none_or(|owner| owner == project))
}

fn network_fields(world: &World, network: &SiteNetwork) -> Value {
    let owner =
        world.site.tenants.iter().find(|tenant| Some(&tenant.project) == network.project.as_ref());
    let project = owner.map_or("6442094c4492406e846754ce33146b2b", |owner| &owner.project_id);
    json!({
        "id": network.id,
        "name": network.name,
        "tenant_id": project,
        "project_id": project,
        "admin_state_up": true,
        "mtu": 1500,
        "status": "ACTIVE",
        "subnets": [network.subnet_id()],
        "shared": network.project.is_none() && !network.external,
        "availability_zone_hints": [],
        "availability_zones": [],
        "ipv4_address_scope": null,
        "ipv6_address_scope": null,
        "router:external": network.external,
        "qinq": false,
        "vlan_transparent": false,
        "description": "",
        "port_security_enabled": true,
        "tags": [],
        "created_at": seconds(FOUNDED),
        "updated_at": seconds(FOUNDED),
        "revision_number": 2,
    })
}

/// When the networks were made.
const FOUNDED: Timestamp = Timestamp::from_secs(1_795_224_656);

fn networks(world: &World, ask: &Ask, caller: &Caller) -> Reply {
    let wanted = |key: &str, value: &str| {
        let mut asked = ask.query.iter().filter(|(k, _)| k == key).peekable();
        asked.peek().is_none() || asked.any(|(_, v)| v == value)
    };
    let external = |value: bool| {
        let asked = ask.param("router:external");
        asked.is_none_or(|asked| asked.eq_ignore_ascii_case(&value.to_string()))
    };
    let shown: Vec<Value> = seen(world, caller)
        .filter(|(_, network)| wanted("id", &network.id) && wanted("name", &network.name))
        .filter(|(_, network)| external(network.external))
        .map(|(_, network)| network_fields(world, network))
        .collect();
    Reply::json(200, &json!({ "networks": shown }))
}

fn network(world: &World, caller: &Caller, id: &str) -> Answer {
    let found = seen(world, caller).find(|(_, network)| network.id == id);
    let (_, network) = found.ok_or_else(|| {
        let message = format!("Network {id} could not be found.");
        reply::neutron(404, "NetworkNotFound", &message)
    })?;
    Ok(Reply::json(200, &json!({ "network": network_fields(world, network) })))
}

fn subnets(world: &World, caller: &Caller) -> Reply {
    let project = world.project_id(caller);
    let subnets = seen(world, caller).map(|(index, network)| {
        let net = 101 + index;
        json!({
            "id": network.subnet_id(),
            "name": network.name.replace("-net", "-subnet"),
            "project_id": project,
            "network_id": network.id,
            "ip_version": 4,
            "subnetpool_id": null,
            "enable_dhcp": false,
            "ipv6_ra_mode": null,
            "ipv6_address_mode": null,
            "gateway_ip": format!("10.{net}.0.1"),
            "cidr": format!("10.{net}.0.0/16"),
            "allocation_pools":
                [{ "start": format!("10.{net}.0.2"), "end": format!("10.{net}.255.254") }],
            "host_routes": [],
            "dns_nameservers": [],
            "description": "",
            "router:external": network.external,
            "service_types": [],
            "tags": [],
            "created_at": seconds(FOUNDED),
            "updated_at": seconds(FOUNDED),
            "revision_number": 0,
            "tenant_id": project,
        })
    });
    let subnets: Vec<Value> = subnets.collect();
    Reply::json(200, &json!({ "subnets": subnets }))
}

fn groups(world: &World, ask: &Ask, caller: &Caller) -> Reply {
    let project = world.project_id(caller);
    let name = ask.param("name");
    let own = world.network.groups.iter().filter(|group| group.tenant == caller.tenant);
    let shown = own.filter(|group| name.is_none_or(|name| name == group.name)).map(|group| {
        json!({
            "id": group.id,
            "name": group.name,
            "stateful": true,
            "tenant_id": project,
            "project_id": project,
            "description": "Default security group",
            "shared": false,
            "security_group_rules": [],
            "tags": [],
            "created_at": seconds(FOUNDED),
            "updated_at": seconds(FOUNDED),
            "revision_number": 1,
        })
    });
    let shown: Vec<Value> = shown.collect();
    Reply::json(200, &json!({ "security_groups": shown }))
}

fn quota() -> Reply {
    let quota = json!({
        "network": -1,
        "subnet": -1,
        "subnetpool": -1,
        "port": -1,
        "rbac_policy": 10,
        "security_group": -1,
        "security_group_rule": -1,
    });
    Reply::json(200, &json!({ "quota": quota }))
}

fn port_fields(world: &World, port: &Port) -> Value {
    let network = &world.site.networks[port.network];
    let project = &world.site.tenants[port.tenant].project_id;
    let zone = world.site.zones.first().map_or("nova", String::as_str);
    let group = world.network.groups.iter().find(|group| group.tenant == port.tenant);
    json!({
        "id": port.id,
        "name": "",
        "network_id": network.id,
        "project_id": project,
        "mac_address": port.mac(),
        "admin_state_up": true,
        "status": "ACTIVE",
        "device_id": port.device,
        "device_owner": format!("compute:{zone}"),
        "fixed_ips": [{
            "subnet_id": network.subnet_id(),
            "ip_address": port.address.to_string(),
        }],
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "security_groups": group.map(|group| vec![&group.id]).unwrap_or_default(),
        "description": "",
        "binding:vnic_type": "normal",
        "port_security_enabled": true,
        "tags": port.tags,
        "created_at": seconds(port.created),
        "updated_at": seconds(port.created),
        "revision_number": 4,
        "tenant_id": project,
    })
}

fn ports(world: &World, ask: &Ask, caller: &Caller) -> Reply {
    let asked = |key: &str| -> Vec<&str> {
        let all = ask.query.iter().filter(|(k, _)| k == key);
        all.map(|(_, value)| value.as_str()).collect()
    };
    let devices = asked("device_id");
    let tags: Vec<&str> = asked("tags").iter().flat_map(|tags| tags.split(',')).collect();
    let limit = ask.param("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let mut own: Vec<&Port> = world
        .network
        .all()
        .filter(|port| port.tenant == caller.tenant)
        .filter(|port| devices.is_empty() || devices.contains(&port.device.as_str()))
        .filter(|port| tags.iter().all(|tag| port.tags.contains(*tag)))
        .collect();
    own.sort_by(|a, b| a.id.cmp(&b.id));
    if let Some(marker) = ask.param("marker") {
        own.retain(|port| port.id.as_str() > marker);
    }
    let more = own.len() > limit;
    own.truncate(limit);
    let shown: Vec<Value> = own.iter().map(|port| port_fields(world, port)).collect();
    let mut body = json!({ "ports": shown });
    if let Some(last) = own.last().filter(|_| more) {
        let href = format!("{}/network/v2.0/ports?limit={limit}&marker={}", world.base, last.id);
        body["ports_links"] = json!([{ "rel": "next", "href": href }]);
    }
    Reply::json(200, &body)
}

fn no_port(id: &str) -> Reply {
    reply::neutron(404, "PortNotFound", &format!("Port {id} could not be found."))
}

fn port(world: &World, caller: &Caller, id: &str) -> Answer {
    let mut own = world.network.all().filter(|port| port.tenant == caller.tenant);
    let port = own.find(|port| port.id == id).ok_or_else(|| no_port(id))?;
    Ok(Reply::json(200, &json!({ "port": port_fields(world, port) })))
}

fn delete_port(world: &mut World, caller: &Caller, id: &str) -> Answer {
    world.network.find_mut(caller.tenant, id).ok_or_else(|| no_port(id))?;
    for ports in world.network.ports.values_mut() {
        ports.retain(|port| port.id != id);
    }
    world.network.ports.retain(|_, ports| !ports.is_empty());
    Ok(Reply::empty(204))
}

/// Longest tag (`neutron/extensions/tagging.py`; 60 before 2023.2).
const TAG: usize = 255;

fn set_tags(world: &mut World, ask: &Ask, caller: &Caller, id: &str) -> Answer {
    let body = ask.json().unwrap_or_default();
    let tags = body["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let tags: BTreeSet<String> = tags.map(str::to_owned).collect();
    if let Some(long) = tags.iter().find(|tag| tag.len() > TAG) {
        let message = format!("Invalid input for tags. Reason: '{long}' exceeds maximum length");
        return Err(reply::neutron(400, "HTTPBadRequest", &message));
    }
    let port = world.network.find_mut(caller.tenant, id).ok_or_else(|| no_port(id))?;
    port.tags = tags;
    Ok(Reply::json(200, &json!({ "tags": port.tags })))
}

fn add_tag(world: &mut World, caller: &Caller, id: &str, tag: &str) -> Answer {
    let port = world.network.find_mut(caller.tenant, id).ok_or_else(|| no_port(id))?;
    port.tags.insert(tag.to_owned());
    Ok(Reply::empty(201))
}
