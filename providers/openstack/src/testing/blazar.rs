//! Blazar v1: leases, read only. Forms follow its API reference; none were recorded.

use serde_json::{Value, json};

use super::ask::Ask;
use super::reply::{self, Answer, Reply};
use super::site::SiteLease;
use super::words::micros;
use super::world::World;

/// Answers a request to Blazar.
pub(crate) fn answer(world: &mut World, ask: &Ask) -> Answer {
    let caller = world.caller(ask)?;
    let (method, path) = ask.route();
    match (method, path.as_slice()) {
        ("GET", ["v1", "leases"]) => {
            let leases = world.site.leases.iter().map(|lease| fields(world, caller.tenant, lease));
            let leases: Vec<Value> = leases.collect();
            Ok(Reply::json(200, &json!({ "leases": leases })))
        }
        ("GET", ["v1", "leases", id]) => {
            let lease = world.site.leases.iter().find(|lease| lease.id == *id);
            let lease = lease.ok_or_else(|| {
                reply::blazar(404, &format!("Object with {{'lease_id': '{id}'}} not found"))
            })?;
            Ok(Reply::json(200, &json!({ "lease": fields(world, caller.tenant, lease) })))
        }
        _ => Err(reply::blazar(404, "The resource could not be found.")),
    }
}

fn fields(world: &World, tenant: usize, lease: &SiteLease) -> Value {
    let tenant = &world.site.tenants[tenant];
    let now = world.now();
    let status = if now < lease.start {
        "PENDING"
    } else if now < lease.end {
        "ACTIVE"
    } else {
        "TERMINATED"
    };
    let event = |kind: &str, time| {
        let done = time <= now;
        json!({
            "id": format!("{}-{kind}", lease.id),
            "lease_id": lease.id,
            "event_type": kind,
            "time": micros(time),
            "status": if done { "DONE" } else { "UNDONE" },
            "created_at": micros(lease.start),
            "updated_at": null,
        })
    };
    json!({
        "id": lease.id,
        "name": lease.name,
        "start_date": micros(lease.start),
        "end_date": micros(lease.end),
        "status": status,
        "degraded": false,
        "user_id": tenant.user_id,
        "project_id": tenant.project_id,
        "trust_id": "00000000000000000000000000000000",
        "created_at": micros(lease.start),
        "updated_at": micros(lease.start),
        "events": [event("start_lease", lease.start), event("end_lease", lease.end)],
        "reservations": [{
            "id": lease.reservation,
            "lease_id": lease.id,
            "resource_id": "1",
            "resource_type": "physical:host",
            "status": if status == "ACTIVE" { "active" } else { "pending" },
            "missing_resources": false,
            "resources_changed": false,
            "min": 1,
            "max": 2,
            "hypervisor_properties": "",
            "resource_properties": "",
            "before_end": "default",
            "created_at": micros(lease.start),
            "updated_at": micros(lease.start),
        }],
    })
}
