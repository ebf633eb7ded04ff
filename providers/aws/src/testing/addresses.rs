//! Elastic addresses: nobody here makes one by the API, but one that a test puts into the cloud can be seen and released.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::describe::tags;
use super::params::{Filters, Params};
use super::reply::{Answer, Refusal, Said};
use super::words::Xml;
use super::world::World;

/// An elastic address.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) id: String,
    pub(crate) address: Ipv4Addr,
    /// The machine that it leads to.
    pub(crate) machine: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

fn unknown(id: &str) -> Refusal {
    let message = format!("The allocation ID '{id}' does not exist");
    Refusal::new(400, "InvalidAllocationID.NotFound", message)
}

/// Describes addresses; they come without pages.
pub(crate) fn describe(world: &World, params: &Params) -> Answer {
    let (ids, filters) = (params.list("AllocationId"), Filters::of(params)?);
    if let Some(missing) = ids.iter().find(|id| !world.addresses.contains_key(**id)) {
        return Err(unknown(missing));
    }
    let mut passed = Vec::new();
    for one in world.addresses.values() {
        let value = |name: &str| match name {
            "allocation-id" => Some(vec![one.id.clone()]),
            "public-ip" => Some(vec![one.address.to_string()]),
            "instance-id" => Some(one.machine.iter().cloned().collect()),
            "domain" => Some(vec!["vpc".to_owned()]),
            _ => None,
        };
        let named = ids.is_empty() || ids.contains(&one.id.as_str());
        if named && filters.pass(&one.tags, value)? {
            passed.push(one);
        }
    }
    let mut xml = Xml::default();
    xml.list("addressesSet", passed, |xml, one| {
        xml.text("publicIp", one.address);
        xml.text("allocationId", &one.id);
        xml.text("domain", "vpc");
        xml.maybe("instanceId", one.machine.as_ref());
        let association = one.machine.as_ref().map(|_| one.id.replace("alloc", "assoc"));
        xml.maybe("associationId", association);
        tags(xml, &one.tags);
    });
    Ok(Said::Xml(xml))
}

/// Releases an address that leads nowhere.
pub(crate) fn release(world: &mut World, params: &Params) -> Answer {
    let id = params.need("AllocationId")?;
    let address = world.addresses.get(id).ok_or_else(|| unknown(id))?;
    if address.machine.is_some() {
        let message = format!("Address '{}' is in use.", address.address);
        return Err(Refusal::new(400, "InvalidIPAddress.InUse", message));
    }
    world.addresses.remove(id);
    let mut xml = Xml::default();
    xml.text("return", true);
    Ok(Said::Xml(xml))
}
