//! The billing catalogue: `services.skus.list` of the Cloud Billing API, read only. Forms follow its reference (discovery
//! document, revision 20260901); none were recorded.

use serde_json::{Value, json};

use super::ask::Ask;
use super::reply::{self, Reply};
use super::site::SiteSku;
use super::world::World;

/// Answers a request to the Cloud Billing API.
pub(crate) fn answer(world: &mut World, ask: &Ask) -> Reply {
    if !world.login.knows(&world.site, ask) {
        return reply::unauthorized();
    }
    if ask.method != "GET" {
        return reply::no_such_path();
    }
    if ask.path.first().map(String::as_str) != Some("6F81-5844-456A") {
        return reply::refusal(404, "notFound", "Requested entity was not found.");
    }
    let invalid = || reply::refusal(400, "badRequest", "Request contains an invalid argument.");
    let number = |key: &str, standard: usize| match ask.param(key) {
        Some(text) => text.parse::<usize>().ok(),
        None => Some(standard),
    };
    let (Some(size), Some(from)) = (number("pageSize", 5000), number("pageToken", 0)) else {
        return invalid();
    };
    let currency = ask.param("currencyCode").unwrap_or("USD");
    let size = size.min(world.site.skus_on_a_page).max(1);
    let skus = world.site.skus.iter().skip(from).take(size);
    let skus: Vec<Value> = skus.map(|sku| shown(sku, currency)).collect();
    let next = from + skus.len();
    let token = if next < world.site.skus.len() { next.to_string() } else { String::new() };
    Reply::json(200, &json!({ "skus": skus, "nextPageToken": token }))
}

/// In a currency: a unit of any other than the dollar is worth 1.25 of them.
fn shown(sku: &SiteSku, currency: &str) -> Value {
    let (nanos, rate) = match currency {
        "USD" => (sku.nanos, 1.0),
        _ => (sku.nanos * 4 / 5, 0.8),
    };
    let unit_price = json!({
        "currencyCode": currency,
        "units": (nanos / 1_000_000_000).to_string(),
        "nanos": nanos % 1_000_000_000,
    });
    json!({
        "name": format!("services/6F81-5844-456A/skus/{}", sku.id),
        "skuId": sku.id,
        "description": sku.description,
        "category": {
            "serviceDisplayName": "Compute Engine",
            "resourceFamily": "Compute",
            "resourceGroup": if sku.unit == "h" { "CPU" } else { "RAM" },
            "usageType": sku.usage,
        },
        "serviceRegions": [sku.region],
        "pricingInfo": [{
            "summary": "",
            "pricingExpression": {
                "usageUnit": sku.unit,
                "displayQuantity": 1,
                "tieredRates": [{ "startUsageAmount": 0, "unitPrice": unit_price }],
            },
            "currencyConversionRate": rate,
            "effectiveTime": "2026-11-20T23:28:08.532801Z",
        }],
        "serviceProviderName": "Google",
        "geoTaxonomy": { "type": "REGIONAL", "regions": [sku.region] },
    })
}
