//! Zones, regions and attributes of the account.

use std::collections::BTreeMap;

use super::params::{Filters, Params};
use super::reply::{Answer, Refusal, Said};
use super::words::Xml;
use super::world::World;

/// Describes zones.
pub(crate) fn zones(world: &World, params: &Params) -> Answer {
    let (names, filters) = (params.list("ZoneName"), Filters::of(params)?);
    let all = &world.site.zones;
    if let Some(missing) = names.iter().find(|name| !all.iter().any(|zone| zone == **name)) {
        return Err(Refusal::bad(format!("Invalid availability zone: [{missing}]")));
    }
    let mut passed = Vec::new();
    for zone in all {
        let state = if world.down.contains(zone) { "impaired" } else { "available" };
        let value = |name: &str| match name {
            "zone-name" => Some(vec![zone.clone()]),
            "state" => Some(vec![state.to_owned()]),
            "region-name" => Some(vec![world.site.region.clone()]),
            "zone-type" => Some(vec!["availability-zone".to_owned()]),
            "opt-in-status" => Some(vec!["opt-in-not-required".to_owned()]),
            _ => None,
        };
        let named = names.is_empty() || names.contains(&zone.as_str());
        if named && filters.pass(&BTreeMap::new(), value)? {
            passed.push((zone, state));
        }
    }
    let mut xml = Xml::default();
    xml.list("availabilityZoneInfo", passed, |xml, (zone, state)| {
        xml.text("optInStatus", "opt-in-not-required");
        xml.text("zoneName", zone);
        xml.text("zoneState", state);
        xml.text("regionName", &world.site.region);
        xml.text("zoneType", "availability-zone");
    });
    Ok(Said::Xml(xml))
}

/// Describes the one region.
pub(crate) fn regions(world: &World, params: &Params) -> Answer {
    let region = &world.site.region;
    if let Some(other) = params.list("RegionName").into_iter().find(|name| name != region) {
        return Err(Refusal::bad(format!("Invalid region provided: '{other}'")));
    }
    let mut xml = Xml::default();
    xml.list("regionInfo", [region], |xml, region| {
        xml.text("regionName", region);
        xml.text("regionEndpoint", format!("ec2.{region}.amazonaws.com"));
        xml.text("optInStatus", "opt-in-not-required");
    });
    Ok(Said::Xml(xml))
}

/// Describes the account.
pub(crate) fn attributes(world: &World, params: &Params) -> Said {
    let default = world.site.subnets.iter().find(|subnet| subnet.default);
    let default = default.map_or("none", |subnet| subnet.vpc.as_str());
    // "max-instances: This attribute is no longer supported. The returned value does not reflect your
    // actual vCPU limit" (API reference, DescribeAccountAttributes).
    let all = [
        ("default-vpc", default),
        ("max-instances", "20"),
        ("supported-platforms", "VPC"),
        ("vpc-max-security-groups-per-interface", "5"),
    ];
    let names = params.list("AttributeName");
    let wanted = all.into_iter().filter(|(name, _)| names.is_empty() || names.contains(name));
    let mut xml = Xml::default();
    xml.list("accountAttributeSet", wanted, |xml, (name, value)| {
        xml.text("attributeName", name);
        xml.list("attributeValueSet", [value], |xml, value| xml.text("attributeValue", value));
    });
    Said::Xml(xml)
}
