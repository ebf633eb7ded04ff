//! CloudKitty: rules of the module `hashmap` (v1) and charges (v2), read only. Forms follow its data models and its own tests
//! (`cloudkitty/rating/hash/datamodels`, `tests/gabbi`, 2026-06); none were recorded.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use vcycle_api::Timestamp;

use super::ask::Ask;
use super::reply::{Answer, Reply};
use super::site::{SiteCharge, SiteRating, SiteRule};
use super::words::micros;
use super::world::World;

/// Answers a request to CloudKitty.
pub(crate) fn answer(world: &mut World, ask: &Ask) -> Answer {
    let caller = world.caller(ask)?;
    let project = world.site.tenants[caller.tenant].project_id.clone();
    let now = world.now();
    let Some(rating) = &world.site.rating else { return Err(World::nowhere()) };
    let (method, path) = ask.route();
    match (method, path.as_slice()) {
        ("GET", ["v2", "dataframes"]) => dataframes(rating, ask, &project, now),
        ("GET", ["v1", "rating", ..]) if !rating.open => {
            Err(refusal(403, "Policy doesn't allow rating:module_config to be performed."))
        }
        ("GET", ["v1", "rating", "modules"]) => Ok(modules(rating)),
        ("GET", ["v1", "rating", "module_config", "hashmap", what]) => hashmap(rating, ask, what),
        _ => Err(refusal(404, "Not Found")),
    }
}

/// As pecan and WSME refuse.
fn refusal(status: u16, why: &str) -> Reply {
    let body = json!({ "faultcode": "Client", "faultstring": why, "debuginfo": null });
    Reply::json(status, &body)
}

fn modules(rating: &SiteRating) -> Reply {
    let all = ["noop", "hashmap", "pyscripts"].map(|name| {
        json!({
            "module_id": name,
            "description": format!("{name} rating module."),
            "enabled": rating.modules.iter().any(|enabled| enabled == name),
            "hot-config": name != "noop",
            "priority": 1,
        })
    });
    Reply::json(200, &json!({ "modules": all }))
}

/// An id that follows from a name.
fn id(name: &str) -> String {
    let sum = name.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    format!("b19d801d-e7d4-46f9-970b-{:012x}", sum & 0xffff_ffff_ffff)
}

fn hashmap(rating: &SiteRating, ask: &Ask, what: &str) -> Answer {
    let first = rating.services.first().map(String::as_str).unwrap_or_default();
    let of_first = ask.param("service_id") == Some(id(first).as_str());
    let mut fields: Vec<&str> = rating.rules.iter().map(|rule| rule.field.as_str()).collect();
    fields.extend(rating.thresholds.iter().map(String::as_str));
    fields.sort_unstable();
    fields.dedup();
    let is_asked = |field: &str| match field {
        "" => of_first,
        _ => ask.param("field_id") == Some(id(field).as_str()),
    };
    let all: Vec<Value> = match what {
        "services" => {
            let services = rating.services.iter();
            services.map(|name| json!({ "service_id": id(name), "name": name })).collect()
        }
        "fields" if of_first => {
            let named = fields.iter().filter(|name| !name.is_empty());
            let shown = |name: &&str| json!({ "field_id": id(name), "name": name, "service_id": id(first) });
            named.map(shown).collect()
        }
        "fields" => Vec::new(),
        "mappings" => {
            let rules = rating.rules.iter().filter(|rule| is_asked(&rule.field));
            rules.map(|rule| mapping(rule, first)).collect()
        }
        "thresholds" => {
            let fields = rating.thresholds.iter().filter(|field| is_asked(field));
            fields.map(|field| json!({ "field_id": id(field), "level": "4.00000000", "type": "rate", "cost": "0.9" })).collect()
        }
        _ => return Err(refusal(404, "Not Found")),
    };
    Ok(Reply::json(200, &json!({ what: all })))
}

fn mapping(rule: &SiteRule, service: &str) -> Value {
    let is_of_field = !rule.field.is_empty();
    json!({
        "mapping_id": id(&format!("{}={}", rule.field, rule.value)),
        "value": is_of_field.then_some(&rule.value),
        "type": rule.kind,
        "cost": rule.cost,
        "field_id": is_of_field.then(|| id(&rule.field)),
        "service_id": (!is_of_field).then(|| id(service)),
        "group_id": rule.group.as_deref().map(id),
        "tenant_id": rule.project_id,
        "start": rule.times.0.map(micros),
        "end": rule.times.1.map(micros),
        "deleted": null,
        "name": null,
        "description": null,
    })
}

fn dataframes(rating: &SiteRating, ask: &Ask, project: &str, now: Timestamp) -> Answer {
    let number =
        |key: &str, standard| ask.param(key).and_then(|it| it.parse().ok()).unwrap_or(standard);
    let (offset, limit): (usize, usize) = (number("offset", 0), number("limit", 100));
    if ask.param("filters") != Some("type:instance") || rating.charges.is_empty() {
        return Err(Reply::json(
            404,
            &json!({ "message": "No resource found for provided filters." }),
        ));
    }
    let begin = now - rating.period - rating.period;
    let page = rating.charges.iter().skip(offset).take(limit);
    let page: Vec<Value> = page.map(|it| charge(it, project)).collect();
    let frame = json!({
        "period": { "begin": micros(begin), "end": micros(begin + rating.period) },
        "usage": { "instance": page },
    });
    let body = json!({ "total": rating.charges.len(), "dataframes": [frame] });
    // Numbers as the site wrote them.
    let mut text = body.to_string();
    for charge in rating.charges.iter().skip(offset).take(limit) {
        text = text.replacen("\"as written\"", &charge.price, 1);
    }
    let mut reply = Reply::json(200, &Value::Null);
    reply.body = RawValue::from_string(text).expect("a test writes numbers of JSON").get().into();
    Ok(reply)
}

fn charge(charge: &SiteCharge, project: &str) -> Value {
    json!({
        "vol": { "unit": "instance", "qty": charge.quantity },
        "rating": { "price": "as written" },
        "groupby": { "id": "6f3a", "project_id": project },
        "metadata": { "flavor_name": charge.flavor, "flavor_id": id(&charge.flavor), "vcpus": "1" },
    })
}
