//! Spot requests: each spot machine has one, and it tells how the machine ended.

use std::collections::BTreeMap;

use vcycle_api::Timestamp;

use super::describe::tags;
use super::ledger::End;
use super::paging::Pages;
use super::params::{Filters, Params};
use super::reply::{Answer, Refusal, Said};
use super::wanted::Wanted;
use super::words::{Xml, time};
use super::world::World;

/// A spot request ("Spot request status", EC2 User Guide).
#[derive(Debug, Clone)]
pub(crate) struct SpotRequest {
    pub(crate) id: String,
    pub(crate) machine: String,
    pub(crate) flavour: String,
    pub(crate) zone: String,
    pub(crate) image: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) created: Timestamp,
    /// `active`, `closed`, `cancelled`, `failed`.
    pub(crate) state: &'static str,
    /// For example `fulfilled`.
    pub(crate) status: &'static str,
    pub(crate) updated: Timestamp,
}

/// Opens the request of a new machine, and gives its id.
pub(crate) fn open(
    world: &mut World,
    machine: &str,
    wanted: &Wanted,
    tags: BTreeMap<String, String>,
) -> String {
    let id = world.ids.resource("sir").replace("sir-0", "sir-");
    let now = world.now();
    let request = SpotRequest {
        id: id.clone(),
        machine: machine.to_owned(),
        flavour: wanted.kind.name.clone(),
        zone: wanted.subnet.zone.clone(),
        image: wanted.image.clone(),
        tags,
        created: now,
        state: "active",
        status: "fulfilled",
        updated: now,
    };
    world.spot.insert(id.clone(), request);
    id
}

/// Notice of an interruption was given.
pub(crate) fn marked(world: &mut World, now: Timestamp, id: &str) {
    if let Some(request) = world.spot.get_mut(id) {
        (request.status, request.updated) = ("marked-for-termination", now);
    }
}

/// The machine of a request ends.
pub(crate) fn ended(world: &mut World, now: Timestamp, id: &str, end: End) {
    let Some(request) = world.spot.get_mut(id) else { return };
    request.updated = now;
    (request.state, request.status) = match end {
        End::Asked | End::Guest => ("closed", "instance-terminated-by-user"),
        End::Interrupted => ("closed", "instance-terminated-no-capacity"),
        End::LaunchFailed => ("closed", "instance-terminated-by-service"),
    };
}

fn unknown(id: &str) -> Refusal {
    let message = format!("The spot instance request ID '{id}' does not exist");
    Refusal::new(400, "InvalidSpotInstanceRequestID.NotFound", message)
}

/// Describes spot requests.
pub(crate) fn describe(world: &World, params: &Params) -> Answer {
    let (ids, filters) = (params.list("SpotInstanceRequestId"), Filters::of(params)?);
    if let Some(missing) = ids.iter().find(|id| !world.spot.contains_key(**id)) {
        return Err(unknown(missing));
    }
    let mut passed = Vec::new();
    for request in world.spot.values() {
        let named = ids.is_empty() || ids.contains(&request.id.as_str());
        if named && filters.pass(&request.tags, |name| value(request, name))? {
            passed.push(request);
        }
    }
    let pages = Pages::asked(params);
    let (page, next) = pages.cut(passed, "SpotInstanceRequestId", |request| request.id.clone())?;
    let mut xml = Xml::default();
    xml.list("spotInstanceRequestSet", page, show);
    xml.maybe("nextToken", next);
    Ok(Said::Xml(xml))
}

fn value(request: &SpotRequest, name: &str) -> Option<Vec<String>> {
    let text = match name {
        "spot-instance-request-id" => &request.id,
        "instance-id" => &request.machine,
        "launched-availability-zone" => &request.zone,
        "state" => request.state,
        "status-code" => request.status,
        "type" => "one-time",
        _ => return None,
    };
    Some(vec![text.to_owned()])
}

fn show(xml: &mut Xml, request: &SpotRequest) {
    xml.text("spotInstanceRequestId", &request.id);
    xml.text("spotPrice", "0.100000");
    xml.text("type", "one-time");
    xml.text("state", request.state);
    xml.inside("status", |xml| {
        xml.text("code", request.status);
        xml.text("updateTime", time(request.updated));
        xml.text("message", format!("The request is {}", request.status));
    });
    xml.inside("launchSpecification", |xml| {
        xml.text("imageId", &request.image);
        xml.text("instanceType", &request.flavour);
    });
    xml.text("instanceId", &request.machine);
    xml.text("createTime", time(request.created));
    xml.text("productDescription", "Linux/UNIX");
    tags(xml, &request.tags);
    xml.text("launchedAvailabilityZone", &request.zone);
    xml.text("instanceInterruptionBehavior", "terminate");
}

/// Cancels requests: their machines go on.
pub(crate) fn cancel(world: &mut World, params: &Params) -> Answer {
    let ids = params.list("SpotInstanceRequestId");
    if let Some(missing) = ids.iter().find(|id| !world.spot.contains_key(**id)) {
        return Err(unknown(missing));
    }
    let now = world.now();
    for id in &ids {
        let Some(request) = world.spot.get_mut(*id) else { continue };
        if request.state == "active" {
            (request.state, request.status) =
                ("cancelled", "request-canceled-and-instance-running");
            request.updated = now;
        }
    }
    let mut xml = Xml::default();
    xml.list("spotInstanceRequestSet", ids, |xml, id| {
        xml.text("spotInstanceRequestId", id);
        xml.maybe("state", world.spot.get(id).map(|request| request.state));
    });
    Ok(Said::Xml(xml))
}
