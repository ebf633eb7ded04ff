//! Tags of resources that are there already.

use std::collections::BTreeMap;

use super::paging::Pages;
use super::params::{Filters, Params};
use super::reply::{Answer, Refusal, Said};
use super::wanted::tags_of;
use super::words::Xml;
use super::world::World;

/// The tags of a resource.
fn of<'a>(world: &'a mut World, id: &str) -> Result<&'a mut BTreeMap<String, String>, Refusal> {
    let unknown = || Refusal::new(400, "InvalidID", format!("The ID '{id}' is not valid"));
    let kind = id.split('-').next().unwrap_or_default();
    let found = match kind {
        "i" => {
            let number = world.numbers.get(id).copied();
            let machine = number.and_then(|number| world.machines.get_mut(&number));
            return machine.map(|machine| &mut machine.tags).ok_or_else(|| {
                let message = format!("The instance ID '{id}' does not exist");
                Refusal::new(400, "InvalidInstanceID.NotFound", message)
            });
        }
        "vol" => world.volumes.get_mut(id).map(|volume| &mut volume.tags),
        "eni" => world.interfaces.get_mut(id).map(|interface| &mut interface.tags),
        "eipalloc" => world.addresses.get_mut(id).map(|address| &mut address.tags),
        "sir" => world.spot.get_mut(id).map(|request| &mut request.tags),
        "key" => {
            let mut pairs = world.keypairs.values_mut();
            pairs.find(|pair| pair.id == id).map(|pair| &mut pair.tags)
        }
        _ => None,
    };
    found.ok_or_else(unknown)
}

fn done() -> Said {
    let mut xml = Xml::default();
    xml.text("return", true);
    Said::Xml(xml)
}

/// Sets tags; all or nothing on an unknown resource.
pub(crate) fn create(world: &mut World, params: &Params) -> Answer {
    let (ids, new) = (params.list("ResourceId"), tags_of(params)?);
    for id in &ids {
        of(world, id)?;
    }
    for id in ids {
        of(world, id)?.extend(new.clone());
    }
    Ok(done())
}

/// Removes tags.
pub(crate) fn delete(world: &mut World, params: &Params) -> Answer {
    let keys = tags_of(params)?;
    for id in params.list("ResourceId") {
        of(world, id)?.retain(|key, _| !keys.contains_key(key));
    }
    Ok(done())
}

/// Lists tags of machines, volumes and interfaces.
pub(crate) fn describe(world: &World, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let machines = world.machines.values().map(|one| (&one.made.id, "instance", &one.tags));
    let volumes = world.volumes.values().map(|one| (&one.id, "volume", &one.tags));
    let interfaces = world.interfaces.values();
    let interfaces = interfaces.map(|one| (&one.id, "network-interface", &one.tags));
    let mut passed: Vec<(&str, &str, &str, &str)> = Vec::new();
    for (id, kind, tags) in machines.chain(volumes).chain(interfaces) {
        for (key, value) in tags {
            let has = |name: &str| match name {
                "resource-id" => Some(vec![id.clone()]),
                "resource-type" => Some(vec![kind.to_owned()]),
                "key" => Some(vec![key.clone()]),
                "value" => Some(vec![value.clone()]),
                _ => None,
            };
            if filters.pass(tags, has)? {
                passed.push((id, kind, key, value));
            }
        }
    }
    passed.sort_unstable();
    let place = |tag: &(&str, &str, &str, &str)| format!("{} {}", tag.0, tag.2);
    let (page, next) = Pages::asked(params).cut(passed, "ResourceId", place)?;
    let mut xml = Xml::default();
    xml.list("tagSet", page, |xml, (id, kind, key, value)| {
        xml.text("resourceId", id);
        xml.text("resourceType", kind);
        xml.text("key", key);
        xml.text("value", value);
    });
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}
