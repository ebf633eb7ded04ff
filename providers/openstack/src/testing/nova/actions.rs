//! What is done to a server: delete, actions, metadata, tags; and its log of actions.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::super::ask::Ask;
use super::super::reply::{self, Answer, Reply};
use super::super::words::micros;
use super::super::world::World;
use super::server::{Action, Look, Rest};
use super::{At, Deletion, Server, own, own_mut};

const JSON: &str = "application/json";

fn accepted(status: u16) -> Reply {
    Reply::empty(status).with("Content-Type", JSON)
}

fn conflict(message: String) -> Reply {
    reply::fault(409, message)
}

/// `DELETE /servers/ID`: accepted, then under way, then gone.
pub(super) fn delete(world: &mut World, at: &At, id: &str) -> Answer {
    let (now, soft) = (world.now(), world.nova.reclaim);
    let server = deletable(world, at, id)?;
    if soft {
        // Where the site sets `reclaim_instance_interval`, a delete is one that can be taken back.
        server.soft_deleted = true;
        return Ok(accepted(204));
    }
    end(world, id, now);
    Ok(accepted(204))
}

fn deletable<'a>(world: &'a mut World, at: &At, id: &str) -> Result<&'a mut Server, Reply> {
    let server = own_mut(world, at, id)?;
    if server.locked {
        return Err(conflict(format!("Instance {id} is locked")));
    }
    Ok(server)
}

fn end(world: &mut World, id: &str, now: Timestamp) {
    let (done, request) = (now + world.site.deletion, world.ids.request());
    let Some(server) = world.nova.find_mut(id) else { return };
    // A second delete of one that is under way changes nothing.
    if server.deletion.is_none() {
        let done = (!server.never_deleted).then_some(done);
        server.deletion = Some(Deletion { asked: now, done });
        server.actions.push(Action { name: "delete", request, by_user: true, at: now });
        world.nova.dies(id);
    }
}

/// `POST /servers/ID/action`.
pub(super) fn act(world: &mut World, ask: &Ask, at: &At, id: &str) -> Answer {
    let now = world.now();
    let body = ask.json().unwrap_or_default();
    let name = body.as_object().and_then(|map| map.keys().next().cloned()).unwrap_or_default();
    let look = own(world, at, id)?.look(now);
    match name.as_str() {
        "forceDelete" => {
            deletable(world, at, id)?;
            end(world, id, now);
            Ok(accepted(202))
        }
        "os-stop" => {
            allowed(id, "stop", &look, look.vm_state == "active")?;
            rest(world, at, id, "stop", Rest::Stopped(now))
        }
        "os-start" => {
            allowed(id, "start", &look, look.vm_state == "stopped")?;
            rest(world, at, id, "start", Rest::AsBuilt)
        }
        "reboot" => rest(world, at, id, "reboot", Rest::AsBuilt),
        "lock" | "unlock" => {
            own_mut(world, at, id)?.locked = name == "lock";
            Ok(accepted(202))
        }
        "os-getConsoleOutput" => {
            own_mut(world, at, id)?;
            let output = "FAKE CONSOLE OUTPUT\nANOTHER\nLAST LINE";
            Ok(Reply::json(200, &json!({ "output": output })))
        }
        other => {
            let message = format!("There is no such action: {other}");
            Err(reply::fault(400, message))
        }
    }
}

fn allowed(id: &str, action: &str, look: &Look, fits: bool) -> Result<(), Reply> {
    if fits {
        return Ok(());
    }
    if look.vm_state == "error" {
        return Err(conflict(format!("Instance {id} is not ready")));
    }
    let state = look.vm_state;
    Err(conflict(format!("Cannot '{action}' instance {id} while it is in vm_state {state}")))
}

fn rest(world: &mut World, at: &At, id: &str, action: &'static str, rest: Rest) -> Answer {
    let (now, request) = (world.now(), world.ids.request());
    let server = own_mut(world, at, id)?;
    server.rest = rest;
    server.power_off = None;
    server.actions.push(Action { name: action, request, by_user: true, at: now });
    Ok(accepted(202))
}

/// `GET /servers/ID/metadata`.
pub(super) fn metadata(world: &World, at: &At, id: &str) -> Answer {
    let server = own(world, at, id)?;
    Ok(Reply::json(200, &json!({ "metadata": server.metadata })))
}

/// `POST /servers/ID/metadata`: adds and replaces.
pub(super) fn set_metadata(world: &mut World, ask: &Ask, at: &At, id: &str) -> Answer {
    let body = ask.json().unwrap_or_default();
    let server = own_mut(world, at, id)?;
    for (key, value) in body["metadata"].as_object().into_iter().flatten() {
        server.metadata.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    metadata(world, at, id)
}

/// `GET /servers/ID/tags`.
pub(super) fn tags(world: &World, at: &At, id: &str) -> Answer {
    let server = own(world, at, id)?;
    Ok(Reply::json(200, &json!({ "tags": server.tags })))
}

/// `PUT /servers/ID/tags`: replaces all.
pub(super) fn set_tags(world: &mut World, ask: &Ask, at: &At, id: &str) -> Answer {
    let body = ask.json().unwrap_or_default();
    let all = body["tags"].as_array().into_iter().flatten();
    let all: BTreeSet<String> = all.filter_map(Value::as_str).map(str::to_owned).collect();
    own_mut(world, at, id)?.tags = all;
    tags(world, at, id)
}

/// `GET /servers/ID/os-instance-actions`, youngest first.
pub(super) fn log(world: &World, at: &At, id: &str) -> Answer {
    let server = own(world, at, id)?;
    let tenant = &world.site.tenants[server.tenant];
    let look = server.look(world.now());
    let mut all: Vec<Value> = Vec::new();
    if look.fault.as_ref().is_some_and(|(_, fault)| fault.code == 413) {
        // It never got beyond the conductor, which keeps no log of it (as recorded).
        return Ok(Reply::json(200, &json!({ "instanceActions": all })));
    }
    if server.power_off.is_some_and(|off| off <= world.now()) {
        // The hypervisor told of it; no user did it (as recorded).
        let request = format!("req-{}", server.id);
        let off = Action { name: "stop", request, by_user: false, at: look.updated };
        all.push(action(server, tenant, &off, off.at));
    }
    for done in server.actions.iter().rev() {
        let end = if done.name == "create" { look.launched.unwrap_or(done.at) } else { done.at };
        all.push(action(server, tenant, done, end));
    }
    Ok(Reply::json(200, &json!({ "instanceActions": all })))
}

fn action(
    server: &Server,
    tenant: &super::super::site::SiteTenant,
    done: &Action,
    end: Timestamp,
) -> Value {
    json!({
        "action": done.name,
        "instance_uuid": server.id,
        "request_id": done.request,
        "user_id": done.by_user.then_some(&tenant.user_id),
        "project_id": done.by_user.then_some(&tenant.project_id),
        "start_time": micros(done.at),
        "message": null,
        "updated_at": micros(end),
    })
}
