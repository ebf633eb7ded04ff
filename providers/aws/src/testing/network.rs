//! Network interfaces, subnets, security groups and the VPC.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use vcycle_api::Timestamp;

use super::describe::{group, tags};
use super::machine::Machine;
use super::paging::Pages;
use super::params::{Filters, Params};
use super::reply::{Answer, Refusal, Said};
use super::site::{SiteGroup, SiteSubnet};
use super::words::{Xml, is_id, time};
use super::world::World;

/// A network interface.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) id: String,
    pub(crate) zone: String,
    pub(crate) subnet: String,
    pub(crate) vpc: String,
    pub(crate) groups: Vec<(String, String)>,
    pub(crate) address: Ipv4Addr,
    pub(crate) public: Option<Ipv4Addr>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) created: Timestamp,
    /// The machine that uses it, and whether it goes with that.
    pub(crate) attached: Option<(String, bool)>,
}

impl Interface {
    fn mac(&self) -> String {
        let [a, b, c, d] = self.address.octets();
        format!("0a:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }

    fn word(&self) -> &'static str {
        if self.attached.is_some() { "in-use" } else { "available" }
    }
}

/// Makes the interface of a new machine.
pub(crate) fn make(
    world: &mut World,
    machine: &mut Machine,
    goes: bool,
    tags: BTreeMap<String, String>,
) {
    let id = world.ids.resource("eni");
    let goes = goes && !world.leaves;
    machine.interfaces.push(id.clone());
    let made = &machine.made;
    let interface = Interface {
        id: id.clone(),
        zone: made.zone.clone(),
        subnet: made.subnet.clone(),
        vpc: made.vpc.clone(),
        groups: made.groups.clone(),
        address: made.address,
        public: made.public,
        tags,
        created: made.accepted,
        attached: Some((made.id.clone(), goes)),
    };
    world.interfaces.insert(id, interface);
    if let Some(subnet) = world.site.subnets.iter_mut().find(|subnet| subnet.id == made.subnet) {
        subnet.free = subnet.free.saturating_sub(1);
    }
}

/// A machine is gone: its interfaces go or stay.
pub(crate) fn end_of_machine(world: &mut World, own: &[String]) {
    for id in own {
        let Some(interface) = world.interfaces.get_mut(id) else { continue };
        if interface.attached.take().is_some_and(|(_, goes)| goes) {
            remove(world, id);
        }
    }
}

fn remove(world: &mut World, id: &str) {
    let Some(gone) = world.interfaces.remove(id) else { return };
    if let Some(subnet) = world.site.subnets.iter_mut().find(|subnet| subnet.id == gone.subnet) {
        subnet.free += 1;
    }
}

fn unknown(id: &str) -> Refusal {
    if !is_id(id, "eni") {
        let message = format!("Invalid id: \"{id}\" (expecting \"eni-...\")");
        return Refusal::new(400, "InvalidNetworkInterfaceID.Malformed", message);
    }
    let message = format!("The networkInterface ID '{id}' does not exist");
    Refusal::new(400, "InvalidNetworkInterfaceID.NotFound", message)
}

/// An interface as it stands in a machine.
pub(crate) fn of_machine(xml: &mut Xml, world: &World, interface: &Interface) {
    xml.text("networkInterfaceId", &interface.id);
    xml.text("subnetId", &interface.subnet);
    xml.text("vpcId", &interface.vpc);
    xml.text("description", "");
    xml.text("ownerId", &world.site.account);
    xml.text("status", interface.word());
    xml.text("macAddress", interface.mac());
    xml.text("privateIpAddress", interface.address);
    xml.text("sourceDestCheck", true);
    xml.list("groupSet", &interface.groups, group);
    attachment(xml, interface);
    if let Some(public) = interface.public {
        xml.inside("association", |xml| {
            xml.text("publicIp", public);
            xml.text("ipOwnerId", "amazon");
        });
    }
    xml.list("privateIpAddressesSet", [interface.address], |xml, address| {
        xml.text("privateIpAddress", address);
        xml.text("primary", true);
    });
    xml.text("interfaceType", "interface");
}

fn attachment(xml: &mut Xml, interface: &Interface) {
    let Some((machine, goes)) = &interface.attached else { return };
    xml.inside("attachment", |xml| {
        xml.text("attachmentId", interface.id.replace("eni-", "eni-attach-"));
        xml.text("instanceId", machine);
        xml.text("deviceIndex", 0);
        xml.text("status", "attached");
        xml.text("attachTime", time(interface.created));
        xml.text("deleteOnTermination", goes);
        xml.text("networkCardIndex", 0);
    });
}

/// Describes interfaces.
pub(crate) fn interfaces(world: &World, params: &Params) -> Answer {
    let (ids, filters) = (params.list("NetworkInterfaceId"), Filters::of(params)?);
    if let Some(missing) = ids.iter().find(|id| !world.interfaces.contains_key(**id)) {
        return Err(unknown(missing));
    }
    let mut passed = Vec::new();
    for one in world.interfaces.values() {
        let named = ids.is_empty() || ids.contains(&one.id.as_str());
        if named && filters.pass(&one.tags, |name| value(one, name))? {
            passed.push(one);
        }
    }
    let pages = Pages::asked(params);
    let (page, next) = pages.cut(passed, "NetworkInterfaceId", |one| one.id.clone())?;
    let mut xml = Xml::default();
    xml.list("networkInterfaceSet", page, |xml, one| {
        of_machine(xml, world, one);
        xml.text("availabilityZone", &one.zone);
        xml.text("requesterManaged", false);
        tags(xml, &one.tags);
    });
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}

fn value(interface: &Interface, name: &str) -> Option<Vec<String>> {
    let one = |text: &str| Some(vec![text.to_owned()]);
    match name {
        "network-interface-id" => one(&interface.id),
        "status" => one(interface.word()),
        "subnet-id" => one(&interface.subnet),
        "vpc-id" => one(&interface.vpc),
        "availability-zone" => one(&interface.zone),
        "attachment.instance-id" => {
            Some(interface.attached.iter().map(|(machine, _)| machine.clone()).collect())
        }
        _ => None,
    }
}

/// Deletes an interface that nobody uses.
pub(crate) fn delete_interface(world: &mut World, params: &Params) -> Answer {
    let id = params.need("NetworkInterfaceId")?;
    let interface = world.interfaces.get(id).ok_or_else(|| unknown(id))?;
    if interface.attached.is_some() {
        let message = format!("Network interface '{id}' is currently in use.");
        return Err(Refusal::new(400, "InvalidParameterValue", message));
    }
    remove(world, id);
    let mut xml = Xml::default();
    xml.text("return", true);
    Ok(Said::Xml(xml))
}

fn subnet_tags(subnet: &SiteSubnet) -> BTreeMap<String, String> {
    BTreeMap::from([("Name".to_owned(), subnet.name.clone())])
}

/// Describes subnets.
pub(crate) fn subnets(world: &World, params: &Params) -> Answer {
    let (ids, filters) = (params.list("SubnetId"), Filters::of(params)?);
    let all = &world.site.subnets;
    if let Some(missing) = ids.iter().find(|id| !all.iter().any(|subnet| subnet.id == **id)) {
        let message = format!("The subnet ID '{missing}' does not exist");
        return Err(Refusal::new(400, "InvalidSubnetID.NotFound", message));
    }
    let mut passed = Vec::new();
    for subnet in all {
        let value = |name: &str| {
            let one = |text: &str| Some(vec![text.to_owned()]);
            match name {
                "subnet-id" => one(&subnet.id),
                "vpc-id" => one(&subnet.vpc),
                "availability-zone" | "availabilityZone" => one(&subnet.zone),
                "default-for-az" | "defaultForAz" => one(&subnet.default.to_string()),
                "state" => one("available"),
                _ => None,
            }
        };
        let named = ids.is_empty() || ids.contains(&subnet.id.as_str());
        if named && filters.pass(&subnet_tags(subnet), value)? {
            passed.push(subnet);
        }
    }
    let pages = Pages::asked(params);
    let (page, next) = pages.cut(passed, "SubnetId", |subnet| subnet.id.clone())?;
    let mut xml = Xml::default();
    xml.list("subnetSet", page, |xml, subnet| {
        xml.text("subnetId", &subnet.id);
        xml.text("state", "available");
        xml.text("ownerId", &world.site.account);
        xml.text("vpcId", &subnet.vpc);
        xml.text("cidrBlock", "172.31.0.0/20");
        xml.text("availableIpAddressCount", subnet.free);
        xml.text("availabilityZone", &subnet.zone);
        xml.text("defaultForAz", subnet.default);
        xml.text("mapPublicIpOnLaunch", subnet.public);
        tags(xml, &subnet_tags(subnet));
    });
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}

/// Describes security groups.
pub(crate) fn groups(world: &World, params: &Params) -> Answer {
    let (ids, names) = (params.list("GroupId"), params.list("GroupName"));
    let filters = Filters::of(params)?;
    let all = &world.site.groups;
    let has =
        |wanted: &&str| all.iter().any(|group| group.id == **wanted || group.name == **wanted);
    if let Some(missing) = ids.iter().chain(&names).find(|wanted| !has(wanted)) {
        let message = format!("The security group '{missing}' does not exist");
        return Err(Refusal::new(400, "InvalidGroup.NotFound", message));
    }
    let named = |group: &SiteGroup| {
        (ids.is_empty() && names.is_empty())
            || ids.contains(&group.id.as_str())
            || names.contains(&group.name.as_str())
    };
    let mut passed = Vec::new();
    for group in all.iter().filter(|group| named(group)) {
        let value = |name: &str| match name {
            "group-id" => Some(vec![group.id.clone()]),
            "group-name" => Some(vec![group.name.clone()]),
            "vpc-id" => Some(vec![group.vpc.clone()]),
            _ => None,
        };
        if filters.pass(&BTreeMap::new(), value)? {
            passed.push(group);
        }
    }
    let pages = Pages::asked(params);
    let (page, next) = pages.cut(passed, "GroupId", |group| group.id.clone())?;
    let mut xml = Xml::default();
    xml.list("securityGroupInfo", page, |xml, group| {
        xml.text("ownerId", &world.site.account);
        xml.text("groupId", &group.id);
        xml.text("groupName", &group.name);
        xml.text("groupDescription", &group.name);
        xml.text("vpcId", &group.vpc);
    });
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}

/// Describes the VPCs that the subnets are in; the one of the default subnets is the default.
pub(crate) fn vpcs(world: &World, params: &Params) -> Answer {
    let (ids, filters) = (params.list("VpcId"), Filters::of(params)?);
    let mut all: BTreeMap<String, bool> = BTreeMap::new();
    for subnet in &world.site.subnets {
        *all.entry(subnet.vpc.clone()).or_default() |= subnet.default;
    }
    if let Some(missing) = ids.iter().find(|id| !all.contains_key(**id)) {
        let message = format!("The vpc ID '{missing}' does not exist");
        return Err(Refusal::new(400, "InvalidVpcID.NotFound", message));
    }
    let mut passed = Vec::new();
    for (id, default) in all {
        let value = |name: &str| match name {
            "vpc-id" => Some(vec![id.clone()]),
            "is-default" | "isDefault" => Some(vec![default.to_string()]),
            _ => None,
        };
        let named = ids.is_empty() || ids.contains(&id.as_str());
        if named && filters.pass(&BTreeMap::new(), value)? {
            passed.push((id, default));
        }
    }
    let pages = Pages::asked(params);
    let (page, next) = pages.cut(passed, "VpcId", |(id, _)| id.clone())?;
    let mut xml = Xml::default();
    xml.list("vpcSet", page, |xml, (id, default)| {
        xml.text("vpcId", id);
        xml.text("ownerId", &world.site.account);
        xml.text("state", "available");
        xml.text("cidrBlock", "172.31.0.0/16");
        xml.text("isDefault", default);
    });
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}
