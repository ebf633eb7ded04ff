//! `DescribeInstances` and `DescribeInstanceStatus`.

use std::collections::BTreeMap;

use super::machine::{Machine, Phase, State};
use super::network;
use super::paging::Pages;
use super::params::{Filters, Params};
use super::reply::{Answer, Refusal, Said};
use super::terminate::{find, state};
use super::wanted::ROOT_DEVICE;
use super::words::{Xml, time};
use super::world::World;

/// A list of tags.
pub(crate) fn tags(xml: &mut Xml, tags: &BTreeMap<String, String>) {
    if tags.is_empty() {
        return;
    }
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.text("key", key);
        xml.text("value", value);
    });
}

/// The machines that a call means, as far as the replica that answers knows them.
fn meant<'a>(world: &'a World, params: &Params) -> Result<Vec<&'a Machine>, Refusal> {
    let ids = params.list("InstanceId");
    let filters = Filters::of(params)?;
    let chosen: Vec<&Machine> = if ids.is_empty() {
        // "If you do not specify any instance IDs at all, the call fails" while a zone is disrupted
        // (API reference, DescribeInstances).
        if !world.down.is_empty() {
            return Err(Refusal::internal());
        }
        world.machines.values().filter(|machine| world.sees(machine)).collect()
    } else {
        let numbers = find(world, &ids)?;
        numbers.iter().filter_map(|number| world.machines.get(number)).collect()
    };
    if chosen.iter().any(|machine| world.down.contains(&machine.made.zone)) {
        return Err(Refusal::internal());
    }
    let mut passed = Vec::new();
    for machine in chosen {
        let phase = machine.phase_at(world.shown_time());
        if filters.pass(&machine.tags, |name| value(world, machine, phase, name))? {
            passed.push(machine);
        }
    }
    Ok(passed)
}

/// What a machine has under the name of a filter.
fn value(world: &World, machine: &Machine, phase: &Phase, name: &str) -> Option<Vec<String>> {
    let made = &machine.made;
    let one = |text: &str| Some(vec![text.to_owned()]);
    let maybe = |text: Option<&String>| Some(text.cloned().into_iter().collect());
    match name {
        "instance-id" => one(&made.id),
        "instance-state-name" => one(phase.state.word()),
        "instance-state-code" => one(&phase.state.code().to_string()),
        "instance-type" => one(&made.flavour),
        "instance-lifecycle" => Some(made.spot.iter().map(|_| "spot".to_owned()).collect()),
        "spot-instance-request-id" => maybe(made.spot.as_ref()),
        "client-token" => maybe(made.token.as_ref().map(|(token, _)| token)),
        "availability-zone" => one(&made.zone),
        "image-id" => one(&made.image),
        "subnet-id" => one(&made.subnet),
        "vpc-id" => one(&made.vpc),
        "key-name" => maybe(made.key.as_ref()),
        "reservation-id" => one(&made.reservation),
        "owner-id" => one(&world.site.account),
        "launch-time" => one(&time(made.accepted)),
        "private-ip-address" => one(&made.address.to_string()),
        "instance.group-id" => Some(made.groups.iter().map(|(id, _)| id.clone()).collect()),
        "state-reason-code" => maybe(phase.reason.as_ref().map(|reason| &reason.code)),
        _ => None,
    }
}

/// A key that sorts machines by their launch.
fn key(world: &World, machine: &Machine) -> String {
    let number = world.numbers.get(&machine.made.id).copied().unwrap_or_default();
    format!("{number:020}")
}

/// Machines, in their reservations.
pub(crate) fn instances(world: &World, params: &Params) -> Answer {
    let machines = meant(world, params)?;
    let pages = Pages::asked(params);
    let (page, next) = pages.cut(machines, "InstanceId", |machine| key(world, machine))?;
    let mut xml = Xml::default();
    xml.list("reservationSet", page.chunk_by(|a, b| a.made.reservation == b.made.reservation), {
        |xml: &mut Xml, machines: &[&Machine]| {
            xml.text("reservationId", &machines[0].made.reservation);
            xml.text("ownerId", &world.site.account);
            xml.list("groupSet", std::iter::empty::<()>(), |_, ()| {});
            xml.list("instancesSet", machines, |xml, shown| {
                machine(xml, world, shown, shown.phase_at(world.shown_time()));
            });
        }
    });
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}

/// Checks of machines: running ones only, unless all are asked for.
pub(crate) fn statuses(world: &World, params: &Params) -> Answer {
    let mut machines = meant(world, params)?;
    if !params.is_set("IncludeAllInstances") {
        machines.retain(|machine| machine.phase_at(world.shown_time()).state == State::Running);
    }
    let pages = Pages::asked(params);
    let (page, next) = pages.cut(machines, "InstanceId", |machine| key(world, machine))?;
    let mut xml = Xml::default();
    xml.list("instanceStatusSet", page, |xml, machine| {
        let now = machine.phase_at(world.shown_time()).state;
        let word = if now == State::Running { "ok" } else { "not-applicable" };
        xml.text("instanceId", &machine.made.id);
        xml.text("availabilityZone", &machine.made.zone);
        state(xml, "instanceState", now);
        for part in ["systemStatus", "instanceStatus"] {
            xml.inside(part, |xml| xml.text("status", word));
        }
    });
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}

/// A machine in this state.
pub(crate) fn machine(xml: &mut Xml, world: &World, machine: &Machine, phase: &Phase) {
    let made = &machine.made;
    // What belongs to a machine is gone with it, also from its record.
    let whole = phase.state != State::Terminated;
    xml.text("instanceId", &made.id);
    xml.text("imageId", &made.image);
    state(xml, "instanceState", phase.state);
    let running = phase.state == State::Running;
    let host = made.address.to_string().replace('.', "-");
    let region = &world.site.region;
    let private = whole.then(|| format!("ip-{host}.{region}.compute.internal"));
    xml.text("privateDnsName", private.as_deref().unwrap_or_default());
    xml.text("dnsName", "");
    xml.text("reason", &phase.transition);
    xml.maybe("keyName", made.key.as_ref());
    xml.text("amiLaunchIndex", made.index);
    xml.list("productCodes", std::iter::empty::<()>(), |_, ()| {});
    xml.text("instanceType", &made.flavour);
    xml.text("launchTime", time(made.accepted));
    xml.inside("placement", |xml| {
        xml.text("availabilityZone", &made.zone);
        xml.text("groupName", "");
        xml.text("tenancy", "default");
    });
    xml.inside("monitoring", |xml| xml.text("state", "disabled"));
    if whole {
        xml.text("subnetId", &made.subnet);
        xml.text("vpcId", &made.vpc);
        xml.text("privateIpAddress", made.address);
        xml.maybe("ipAddress", made.public.filter(|_| running));
        xml.text("sourceDestCheck", true);
    }
    xml.list("groupSet", made.groups.iter().filter(|_| whole), group);
    if let Some(reason) = &phase.reason {
        xml.inside("stateReason", |xml| {
            xml.text("code", &reason.code);
            xml.text("message", &reason.message);
        });
    }
    xml.text("architecture", &made.architecture);
    xml.text("rootDeviceType", "ebs");
    xml.text("rootDeviceName", ROOT_DEVICE);
    volumes(xml, world, machine);
    xml.text("virtualizationType", "hvm");
    xml.maybe("instanceLifecycle", made.spot.as_ref().map(|_| "spot"));
    xml.maybe("spotInstanceRequestId", made.spot.as_ref());
    xml.text("clientToken", made.token.as_ref().map_or("", |(token, _)| token));
    tags(xml, &machine.tags);
    xml.text("hypervisor", "xen");
    let interfaces = machine.interfaces.iter().filter_map(|id| world.interfaces.get(id));
    xml.list("networkInterfaceSet", interfaces, |xml, one| network::of_machine(xml, world, one));
    rest(xml, world, machine);
}

/// A security group by id and name.
pub(crate) fn group(xml: &mut Xml, (id, name): &(String, String)) {
    xml.text("groupId", id);
    xml.text("groupName", name);
}

fn volumes(xml: &mut Xml, world: &World, machine: &Machine) {
    let own = machine.volumes.iter().filter_map(|id| world.volumes.get(id));
    xml.list("blockDeviceMapping", own, |xml, volume| {
        let Some(place) = &volume.attached else { return };
        xml.text("deviceName", &place.device);
        xml.inside("ebs", |xml| {
            xml.text("volumeId", &volume.id);
            xml.text("status", "attached");
            xml.text("attachTime", time(volume.created));
            xml.text("deleteOnTermination", place.goes);
        });
    });
}

fn rest(xml: &mut Xml, world: &World, machine: &Machine) {
    let made = &machine.made;
    if let Some(profile) = &made.profile {
        xml.inside("iamInstanceProfile", |xml| {
            let account = &world.site.account;
            xml.text("arn", format!("arn:aws:iam::{account}:instance-profile/{profile}"));
            xml.text("id", "AIPAFAKEFAKEFAKEFAKE");
        });
    }
    xml.text("ebsOptimized", false);
    xml.text("enaSupport", true);
    xml.inside("cpuOptions", |xml| {
        let threads = if made.architecture == "arm64" { 1 } else { 2 };
        xml.text("coreCount", made.vcpus.div_ceil(threads));
        xml.text("threadsPerCore", threads);
    });
    xml.inside("metadataOptions", |xml| {
        xml.text("state", "applied");
        xml.text("httpTokens", &made.imds.tokens);
        xml.text("httpPutResponseHopLimit", &made.imds.hops);
        xml.text("httpEndpoint", &made.imds.endpoint);
        xml.text("httpProtocolIpv6", "disabled");
        xml.text("instanceMetadataTags", "disabled");
    });
    xml.inside("enclaveOptions", |xml| xml.text("enabled", false));
    xml.text("platformDetails", "Linux/UNIX");
    xml.text("usageOperation", "RunInstances");
    xml.text("usageOperationUpdateTime", time(made.accepted));
    xml.inside("maintenanceOptions", |xml| xml.text("autoRecovery", "default"));
}
