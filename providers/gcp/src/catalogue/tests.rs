//! Prices put together from answers in the form of the reference.

use serde_json::{Value, json};

use super::sku::Listed;
use super::*;

/// As the reference describes a `Sku`; names and prices of London in March 2025.
fn listed(id: &str, description: &str, usage: &str, (unit, nanos): (&str, i64)) -> Value {
    json!({
        "name": format!("services/6F81-5844-456A/skus/{id}"),
        "skuId": id,
        "description": description,
        "category": {
            "serviceDisplayName": "Compute Engine",
            "resourceFamily": "Compute",
            "resourceGroup": if unit == "h" { "CPU" } else { "RAM" },
            "usageType": usage,
        },
        "serviceRegions": ["europe-west2"],
        "pricingInfo": [{
            "summary": "",
            "pricingExpression": {
                "usageUnit": unit,
                "displayQuantity": 1,
                "tieredRates": [{
                    "startUsageAmount": 0,
                    "unitPrice": { "currencyCode": "USD", "units": "0", "nanos": nanos },
                }],
                "usageUnitDescription": "hour",
                "baseUnit": "s",
                "baseUnitDescription": "second",
                "baseUnitConversionFactor": 3600,
            },
            "currencyConversionRate": 1,
            "effectiveTime": "2025-03-02T03:28:08.532801Z",
        }],
        "serviceProviderName": "Google",
        "geoTaxonomy": { "type": "REGIONAL", "regions": ["europe-west2"] },
    })
}

fn london() -> Vec<Value> {
    vec![
        listed("A-1", "N2 Instance Core running in London", "OnDemand", ("h", 40_730_000)),
        listed("A-2", "N2 Instance Ram running in London", "OnDemand", ("GiBy.h", 5_458_000)),
        listed(
            "A-3",
            "Spot Preemptible N2 Instance Core running in London",
            "Preemptible",
            ("h", 9_368_000),
        ),
        listed(
            "A-4",
            "Spot Preemptible N2 Instance Ram running in London",
            "Preemptible",
            ("GiBy.h", 1_253_000),
        ),
        // Other ways to be sold the same.
        listed("B-1", "N2 Custom Instance Core running in London", "OnDemand", ("h", 42_770_000)),
        listed("B-2", "N2 Sole Tenancy Instance Core running in London", "OnDemand", ("h", 4)),
        listed("B-3", "Commitment v1: N2 Cpu in London for 1 Year", "Commit1Yr", ("h", 3)),
        listed("B-4", "N2D AMD Instance Core running in London", "OnDemand", ("h", 35_000_000)),
    ]
}

fn taken(skus: &[Value]) -> Vec<Sku> {
    let listed = skus.iter().map(|sku| serde_json::from_value::<Listed>(sku.clone()).unwrap());
    listed.filter_map(|listed| listed.taken("europe-west2")).collect()
}

fn of(machine_type: &str, market: Market, skus: &[Value]) -> Result<i64, String> {
    let shape = Shape { machine_type, market, size: (Processors(8), Megabytes(32_768)) };
    price(&shape, &taken(skus), "USD").map(|(nanos, _)| nanos)
}

#[test]
fn a_price_is_that_of_its_vcpus_and_memory() {
    let shape = Shape {
        machine_type: "n2-standard-8",
        market: Market::OnDemand,
        size: (Processors(8), Megabytes(32_768)),
    };
    let (nanos, made_of) = price(&shape, &taken(&london()), "USD").unwrap();
    assert_eq!(nanos, 500_496_000);
    assert_eq!(made_of, "8 x 0.04073 (A-1) and 32768 MiB at 0.005458 for a GiB (A-2)");
    assert_eq!(of("n2-standard-8", Market::Preemptible, &london()), Ok(115_040_000));
    // A part of a billionth is a whole one.
    let odd = Shape { size: (Processors(1), Megabytes(1)), ..shape };
    assert_eq!(price(&odd, &taken(&london()), "USD").unwrap().0, 40_730_000 + 5331);
}

#[test]
fn what_is_not_certain_has_no_price_and_a_reason() {
    let why = |machine_type: &str, change: &dyn Fn(&mut Vec<Value>)| {
        let mut skus = london();
        change(&mut skus);
        of(machine_type, Market::OnDemand, &skus).unwrap_err()
    };
    let as_it_is: &dyn Fn(&mut Vec<Value>) = &|_| {};
    for (machine_type, said) in [
        ("g2-standard-8", "series g2 is not known"),
        ("n2-custom-8-32768", "no standard, highmem or highcpu"),
        ("c3-standard-8-lssd", "no standard, highmem or highcpu"),
        ("e2-medium", "no standard, highmem or highcpu"),
        ("a2-megagpu-16g", "no standard, highmem or highcpu"),
        ("c3-standard-8", "no \"C3 Instance Core running in ...\""),
        ("n2d-standard-8", "no \"N2D AMD Instance Ram running in ...\""),
    ] {
        let why = why(machine_type, as_it_is);
        assert!(why.contains(said), "{machine_type}: {why}");
    }
    let at = "/pricingInfo/0/pricingExpression";
    let changed = |path: &str, value: Value| {
        let path = format!("{at}{path}");
        why("n2-standard-8", &|skus| *skus[1].pointer_mut(&path).unwrap() = value.clone())
    };
    assert!(changed("/usageUnit", json!("GBy.h")).contains("by GBy.h, not by GiBy.h"));
    let tier = |start: i64| json!({ "startUsageAmount": start, "unitPrice": { "currencyCode": "USD", "nanos": 1 } });
    assert!(changed("/tieredRates", json!([tier(0), tier(9)])).contains("has 2 prices"));
    assert!(changed("/tieredRates", json!([])).contains("has 0 prices"));
    assert!(changed("/tieredRates/0/unitPrice/nanos", json!(0)).contains("not above zero"));
    assert!(changed("/tieredRates/0/unitPrice/units", json!("x")).contains("not above zero"));
    let currency = "/tieredRates/0/unitPrice/currencyCode";
    assert!(changed(currency, json!("EUR")).contains("is in EUR, not in USD"));
    let elsewhere = why("n2-standard-8", &|skus| skus[0]["serviceRegions"] = json!(["us-east1"]));
    assert!(elsewhere.contains("no \"N2 Instance Core running in ...\""), "{elsewhere}");
}

#[test]
fn several_that_fit_are_one_only_if_they_cost_the_same() {
    let with = |nanos| {
        let mut skus = london();
        let again = ("h", nanos);
        skus.push(listed("A-9", "N2 Instance Core running in London", "OnDemand", again));
        of("n2-standard-8", Market::OnDemand, &skus)
    };
    assert_eq!(with(40_730_000), Ok(500_496_000));
    assert!(with(40_730_001).unwrap_err().contains("several prices in the region (A-1, A-9)"));
}

#[test]
fn the_newest_of_several_prices_in_time_counts() {
    let mut skus = london();
    let mut later = skus[0]["pricingInfo"][0].clone();
    later["pricingExpression"]["tieredRates"][0]["unitPrice"] =
        json!({ "currencyCode": "USD", "units": "1", "nanos": 40_730_000 });
    skus[0]["pricingInfo"].as_array_mut().unwrap().push(later);
    assert_eq!(of("n2-standard-8", Market::OnDemand, &skus), Ok(8_500_496_000));
}
