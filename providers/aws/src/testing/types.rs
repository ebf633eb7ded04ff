//! Instance types, and where each is sold.

use std::collections::BTreeMap;

use super::paging::Pages;
use super::params::{Filters, Params};
use super::reply::{Answer, Refusal, Said};
use super::site::SiteType;
use super::words::Xml;
use super::world::World;

/// Describes types.
pub(crate) fn describe(world: &World, params: &Params) -> Answer {
    let (names, filters) = (params.list("InstanceType"), Filters::of(params)?);
    let all = &world.site.types;
    let missing: Vec<&str> =
        names.iter().filter(|name| !all.iter().any(|kind| kind.name == **name)).copied().collect();
    if !missing.is_empty() {
        let message =
            format!("The following supplied instance types do not exist: [{}]", missing.join(", "));
        return Err(Refusal::new(400, "InvalidInstanceType", message));
    }
    let mut passed: Vec<&SiteType> = Vec::new();
    for kind in all {
        let named = names.is_empty() || names.contains(&kind.name.as_str());
        if named && filters.pass(&BTreeMap::new(), |name| value(kind, name))? {
            passed.push(kind);
        }
    }
    passed.sort_by(|a, b| a.name.cmp(&b.name));
    let (page, next) =
        Pages::always(params).cut(passed, "InstanceType", |kind| kind.name.clone())?;
    let mut xml = Xml::default();
    xml.list("instanceTypeSet", page, show);
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}

fn value(kind: &SiteType, name: &str) -> Option<Vec<String>> {
    let one = |text: String| Some(vec![text]);
    match name {
        "instance-type" => one(kind.name.clone()),
        "processor-info.supported-architecture" => one(kind.architecture.clone()),
        "vcpu-info.default-vcpus" => one(kind.vcpus.to_string()),
        "memory-info.size-in-mib" => one(kind.memory.to_string()),
        "supported-usage-class" => Some(classes(kind).into_iter().map(str::to_owned).collect()),
        "current-generation" => one("true".to_owned()),
        "bare-metal" => one("false".to_owned()),
        _ => None,
    }
}

fn classes(kind: &SiteType) -> Vec<&'static str> {
    if kind.spot { vec!["on-demand", "spot"] } else { vec!["on-demand"] }
}

fn show(xml: &mut Xml, kind: &SiteType) {
    xml.text("instanceType", &kind.name);
    xml.text("currentGeneration", true);
    xml.text("freeTierEligible", false);
    xml.list("supportedUsageClasses", classes(kind), Xml::word);
    xml.list("supportedRootDeviceTypes", ["ebs"], Xml::word);
    xml.list("supportedVirtualizationTypes", ["hvm"], Xml::word);
    xml.text("bareMetal", false);
    xml.text("hypervisor", "nitro");
    xml.inside("processorInfo", |xml| {
        xml.list("supportedArchitectures", [kind.architecture.as_str()], Xml::word);
    });
    xml.inside("vCpuInfo", |xml| {
        let threads = if kind.architecture == "arm64" { 1 } else { 2 };
        xml.text("defaultVCpus", kind.vcpus);
        xml.text("defaultCores", kind.vcpus.div_ceil(threads));
        xml.text("defaultThreadsPerCore", threads);
    });
    xml.inside("memoryInfo", |xml| xml.text("sizeInMiB", kind.memory));
    xml.text("instanceStorageSupported", false);
}

/// Describes where types are sold: by region, or by zone.
pub(crate) fn offerings(world: &World, params: &Params) -> Answer {
    let filters = Filters::of(params)?;
    let by = params.get("LocationType").unwrap_or("region");
    let places: Vec<&String> = match by {
        "region" => vec![&world.site.region],
        "availability-zone" => world.site.zones.iter().collect(),
        other => return Err(Refusal::bad(format!("Invalid value '{other}' for LocationType."))),
    };
    let mut passed: Vec<(&str, &str)> = Vec::new();
    for kind in &world.site.types {
        for place in &places {
            if by == "availability-zone" && !kind.sold_in(place) {
                continue;
            }
            let value = |name: &str| match name {
                "instance-type" => Some(vec![kind.name.clone()]),
                "location" => Some(vec![(*place).clone()]),
                _ => None,
            };
            if filters.pass(&BTreeMap::new(), value)? {
                passed.push((&kind.name, place));
            }
        }
    }
    passed.sort_unstable();
    let key = |(name, place): &(&str, &str)| format!("{name} {place}");
    // "MaxResults: a value between 5 and 1000" (API reference, DescribeInstanceTypeOfferings).
    let (page, next) = Pages::asked(params).cut(passed, "InstanceType", key)?;
    let mut xml = Xml::default();
    xml.list("instanceTypeOfferingSet", page, |xml, (name, place)| {
        xml.text("instanceType", name);
        xml.text("locationType", by);
        xml.text("location", place);
    });
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}
