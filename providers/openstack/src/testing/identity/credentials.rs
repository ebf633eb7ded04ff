//! Application credentials of a user.

use serde_json::{Value, json};

use super::super::ask::Ask;
use super::super::reply::{self, Answer, Reply};
use super::super::site::SiteCredential;
use super::super::words;
use super::super::world::World;
use super::Caller;

fn own(world: &World, ask: &Ask, user: &str) -> Result<Caller, Reply> {
    let caller = world.caller(ask)?;
    if world.site.tenants[caller.tenant].user_id == user {
        return Ok(caller);
    }
    let message = "You are not authorized to perform the requested action.";
    Err(reply::keystone(403, "Forbidden", message))
}

fn shown(world: &World, caller: &Caller, credential: &SiteCredential) -> Value {
    let tenant = &world.site.tenants[caller.tenant];
    let role = |id: &str, name: &str| {
        json!({
            "id": id,
            "name": name,
            "domain_id": null,
            "description": null,
            "options": { "immutable": true },
        })
    };
    let own = format!("{}/identity/v3/application_credentials/{}", world.base, credential.id);
    json!({
        "id": credential.id,
        "name": credential.name,
        "description": null,
        "user_id": tenant.user_id,
        "project_id": tenant.project_id,
        "system": null,
        "expires_at": credential.expires.map(words::micros),
        "unrestricted": null,
        "roles": [
            role("64d19f22744649b3bf36a2e19d333888", "member"),
            role("cf3b8123ba6144f08a97a0446470bad0", "reader"),
        ],
        "links": { "self": own },
    })
}

pub(super) fn list(world: &mut World, ask: &Ask, user: &str) -> Answer {
    let caller = own(world, ask, user)?;
    let all = &world.identity.credentials[caller.tenant];
    let shown: Vec<Value> = all.iter().map(|one| shown(world, &caller, one)).collect();
    let here = format!("{}/identity/v3/users/{user}/application_credentials", world.base);
    let links = json!({ "next": null, "self": here, "previous": null });
    Ok(Reply::json(200, &json!({ "application_credentials": shown, "links": links })))
}

pub(super) fn show(world: &mut World, ask: &Ask, user: &str, id: &str) -> Answer {
    let caller = own(world, ask, user)?;
    let all = &world.identity.credentials[caller.tenant];
    let one = all.iter().find(|one| one.id == id).ok_or_else(|| not_found(id))?;
    Ok(Reply::json(200, &json!({ "application_credential": shown(world, &caller, one) })))
}

fn not_found(id: &str) -> Reply {
    let message = format!("Could not find Application Credential: {id}.");
    reply::keystone(404, "Not Found", &message)
}

fn not_by_credential(caller: &Caller) -> Result<(), Reply> {
    // A credential that is not `unrestricted` makes and removes no others.
    if !caller.by_credential {
        return Ok(());
    }
    let message = "You are not authorized to perform the requested action: Using method \
                   'application_credential' is not allowed for managing additional application \
                   credentials..";
    Err(reply::keystone(403, "Forbidden", message))
}

pub(super) fn create(world: &mut World, ask: &Ask, user: &str) -> Answer {
    let caller = own(world, ask, user)?;
    not_by_credential(&caller)?;
    let body = ask.json().unwrap_or_default();
    let given = &body["application_credential"];
    let credential = SiteCredential {
        id: world.ids.hex(),
        name: given["name"].as_str().unwrap_or_default().to_owned(),
        secret: format!("{}{}", world.ids.hex(), world.ids.hex()),
        expires: given["expires_at"].as_str().and_then(words::time_of),
    };
    let mut shown = shown(world, &caller, &credential);
    shown["secret"] = json!(credential.secret);
    world.identity.credentials[caller.tenant].push(credential);
    Ok(Reply::json(201, &json!({ "application_credential": shown })))
}

pub(super) fn delete(world: &mut World, ask: &Ask, user: &str, id: &str) -> Answer {
    let caller = own(world, ask, user)?;
    not_by_credential(&caller)?;
    let all = &mut world.identity.credentials[caller.tenant];
    let there = all.iter().position(|one| one.id == id).ok_or_else(|| not_found(id))?;
    all.remove(there);
    world.identity.tokens.retain(|_, token| token.credential.as_deref() != Some(id));
    Ok(Reply::empty(204))
}
