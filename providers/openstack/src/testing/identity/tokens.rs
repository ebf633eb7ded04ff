//! Tokens: given for a password, an application credential or another token; shown; revoked.

use serde_json::{Value, json};

use super::super::ask::Ask;
use super::super::reply::{self, Answer, Reply};
use super::super::words;
use super::super::world::World;
use super::{Token, catalog};

/// Who proved to be who, and how.
struct Proven {
    tenant: usize,
    method: &'static str,
    credential: Option<String>,
}

/// Issues a token.
pub(super) fn issue(world: &mut World, ask: &Ask) -> Answer {
    let Some(body) = ask.json() else {
        let message = "Expecting to find valid JSON in request body. The server could not comply \
                       with the request since it is either malformed or otherwise incorrect. The \
                       client is assumed to be in error.";
        return Err(reply::keystone(400, "Bad Request", message));
    };
    let identity = &body["auth"]["identity"];
    if identity.is_null() {
        let message = "'identity' is a required property";
        return Err(reply::keystone(400, "Bad Request", message));
    }
    let scope = &body["auth"]["scope"];
    let proven = prove(world, identity, scope)?;
    let scoped = proven.credential.is_some() || in_scope(world, &proven, scope)?;
    let now = world.now();
    let ends = proven.credential.as_deref().and_then(|id| {
        let mine = world.identity.credentials[proven.tenant].iter().find(|c| c.id == id);
        mine.and_then(|credential| credential.expires)
    });
    let life = now + world.site.token_life;
    let token = Token {
        tenant: proven.tenant,
        scoped,
        method: proven.method,
        credential: proven.credential,
        audit: world.ids.hex()[..22].to_owned(),
        issued: now,
        // Keystone caps a token at the end of its application credential.
        expires: ends.map_or(life, |ends| ends.min(life)),
    };
    let id = world.ids.token();
    let shown = shown(world, &token);
    world.identity.tokens.insert(id.clone(), token);
    Ok(Reply::json(201, &shown).with("X-Subject-Token", id).with("Vary", "X-Auth-Token"))
}

fn prove(world: &World, identity: &Value, scope: &Value) -> Result<Proven, Reply> {
    let refused = || reply::unauthorized(&world.base).with("Vary", "X-Auth-Token");
    if world.identity.closed {
        return Err(refused());
    }
    match identity["methods"][0].as_str() {
        Some("password") => {
            let user = &identity["password"]["user"];
            let tenant = tenant_of(world, user).ok_or_else(refused)?;
            let there = &world.site.tenants[tenant];
            let good = user["password"] == there.password.as_str()
                && !world.identity.refused.contains(&there.user);
            let proven = Proven { tenant, method: "password", credential: None };
            if good { Ok(proven) } else { Err(refused()) }
        }
        Some("application_credential") => {
            by_credential(world, &identity["application_credential"], scope)
        }
        Some("token") => {
            let id = identity["token"]["id"].as_str().unwrap_or_default();
            let token = world.token(id).ok_or_else(refused)?;
            let credential = token.credential.clone();
            Ok(Proven { tenant: token.tenant, method: "token", credential })
        }
        _ => Err(refused()),
    }
}

/// The user that a part of a request names, by id, or by name and domain.
fn tenant_of(world: &World, user: &Value) -> Option<usize> {
    world.site.tenants.iter().position(|tenant| match user["id"].as_str() {
        Some(id) => id == tenant.user_id,
        None => user["name"] == tenant.user.as_str() && is_default(&user["domain"]),
    })
}

fn is_default(domain: &Value) -> bool {
    domain["id"] == "default" || domain["name"] == "Default"
}

fn by_credential(world: &World, given: &Value, scope: &Value) -> Result<Proven, Reply> {
    let refused = || reply::unauthorized(&world.base).with("Vary", "X-Auth-Token");
    let tenant = given.get("user").map(|user| tenant_of(world, user).ok_or_else(refused));
    let tenant = tenant.transpose()?;
    let everybody = world.identity.credentials.iter().enumerate();
    let mut all = everybody.flat_map(|(tenant, own)| own.iter().map(move |own| (tenant, own)));
    let found = all.find(|(owner, own)| match (given["id"].as_str(), tenant) {
        (Some(id), _) => own.id == id,
        (None, Some(tenant)) => *owner == tenant && given["name"] == own.name.as_str(),
        (None, None) => false,
    });
    let Some((tenant, own)) = found else {
        let named = given["id"].as_str().or(given["name"].as_str()).unwrap_or_default();
        let message = format!("Could not find Application Credential: {named}.");
        return Err(reply::keystone(404, "Not Found", &message));
    };
    let ended = own.expires.is_some_and(|expires| expires <= world.now());
    if given["secret"] != own.secret.as_str() || ended || world.identity.refused.contains(&own.id) {
        return Err(refused());
    }
    if !scope.is_null() {
        let message = "Error authenticating with application credential: Application credentials \
                       cannot request a scope.";
        let error = json!({
            "error": { "code": 401, "identity": {}, "message": message, "title": "Unauthorized" }
        });
        let challenge = format!("Keystone uri=\"{}/identity/v3\"", world.base);
        return Err(Reply::json(401, &error).with("WWW-Authenticate", challenge));
    }
    Ok(Proven { tenant, method: "application_credential", credential: Some(own.id.clone()) })
}

/// Whether a project is asked for; 401 for one that is not there or not the user's.
fn in_scope(world: &World, proven: &Proven, scope: &Value) -> Result<bool, Reply> {
    if scope.is_null() {
        return Ok(false);
    }
    let own = &world.site.tenants[proven.tenant];
    let project = &scope["project"];
    let good = match project["id"].as_str() {
        Some(id) => id == own.project_id,
        None => project["name"] == own.project.as_str() && is_default(&project["domain"]),
    };
    if good { Ok(true) } else { Err(reply::unauthorized(&world.base).with("Vary", "X-Auth-Token")) }
}

/// Shows the token of `X-Subject-Token`.
pub(super) fn show(world: &mut World, ask: &Ask) -> Answer {
    world.caller(ask)?;
    let subject = ask.header("X-Subject-Token").unwrap_or_default();
    let token = world.token(subject).ok_or_else(|| reply::unauthorized(&world.base))?;
    let reply = Reply::json(200, &shown(world, token));
    Ok(reply.with("X-Subject-Token", subject).with("Vary", "X-Auth-Token"))
}

/// Ends the token of `X-Subject-Token`.
pub(super) fn revoke(world: &mut World, ask: &Ask) -> Answer {
    world.caller(ask)?;
    let subject = ask.header("X-Subject-Token").unwrap_or_default();
    world.identity.tokens.remove(subject);
    Ok(Reply::empty(204).with("Vary", "X-Auth-Token"))
}

fn shown(world: &World, token: &Token) -> Value {
    let tenant = &world.site.tenants[token.tenant];
    let domain = json!({ "id": "default", "name": "Default" });
    let mut shown = json!({
        "methods": [token.method],
        "user": {
            "domain": domain,
            "id": tenant.user_id,
            "name": tenant.user,
            "password_expires_at": null,
        },
        "audit_ids": [token.audit],
        "expires_at": words::micros_zulu(token.expires),
        "issued_at": words::micros_zulu(token.issued),
    });
    if token.scoped {
        shown["project"] =
            json!({ "domain": domain, "id": tenant.project_id, "name": tenant.project });
        shown["is_domain"] = json!(false);
        shown["roles"] = json!([
            { "id": "cf3b8123ba6144f08a97a0446470bad0", "name": "reader" },
            { "id": "64d19f22744649b3bf36a2e19d333888", "name": "member" },
        ]);
        shown["catalog"] = catalog::catalog(world);
    }
    let own = &world.identity.credentials[token.tenant];
    let credential = own.iter().find(|own| token.credential.as_ref() == Some(&own.id));
    if let Some(own) = credential {
        shown["application_credential"] =
            json!({ "id": own.id, "name": own.name, "restricted": true });
    }
    json!({ "token": shown })
}
