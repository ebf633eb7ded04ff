//! What the catalogue sells, as far as it may be a part of a machine.
//! Source: reference of the Cloud Billing API, v1, `Sku` (discovery document, revision 20260901).

use serde::Deserialize;
use vcycle_api::Market;

use super::series::Part;

/// Something on sale in our region, in our markets, that may be a part of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sku {
    pub(super) sku_id: String,
    description: String,
    market: Market,
    /// The newest price; else why it cannot be used.
    price: Result<Price, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Price {
    nanos: i64,
    currency: String,
    unit: String,
}

/// The price of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartPrice {
    pub(super) sku_id: String,
    /// Billionths for an hour.
    pub(super) nanos: i64,
}

/// One of `skus` in an answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    #[serde(default)]
    sku_id: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    category: Category,
    #[serde(default)]
    service_regions: Vec<String>,
    #[serde(default)]
    pricing_info: Vec<PricingInfo>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Category {
    resource_family: String,
    usage_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PricingInfo {
    #[serde(default)]
    pricing_expression: Expression,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Expression {
    usage_unit: String,
    tiered_rates: Vec<Tier>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tier {
    #[serde(default)]
    unit_price: Money,
}

/// Whole units as a text, since they are an int64, and billionths.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Money {
    currency_code: String,
    units: Option<String>,
    nanos: Option<i64>,
}

impl Listed {
    /// What is of use to a region.
    pub(super) fn taken(self, region: &str) -> Option<Sku> {
        let market = match self.category.usage_type.as_str() {
            "OnDemand" => Market::OnDemand,
            "Preemptible" => Market::Preemptible,
            // Commitments: other ways to pay for the same.
            _ => return None,
        };
        let is_here = self.service_regions.iter().any(|there| there == region);
        if self.category.resource_family != "Compute" || !is_here {
            return None;
        }
        // In the order of time.
        let newest = self.pricing_info.into_iter().last();
        let price = newest.map(|info| info.pricing_expression);
        let price = price.map_or_else(|| Err("has no price".to_owned()), Expression::price);
        Some(Sku { sku_id: self.sku_id, description: self.description, market, price })
    }
}

impl Expression {
    fn price(self) -> Result<Price, String> {
        let [tier] = self.tiered_rates.as_slice() else {
            return Err(format!("has {} prices, by use", self.tiered_rates.len()));
        };
        let Money { currency_code, units, nanos } = &tier.unit_price;
        let units = units.as_deref().map_or(Some(0), |units| units.parse::<i64>().ok());
        let all = units.and_then(|units| units.checked_mul(1_000_000_000));
        let all = all.and_then(|units| units.checked_add(nanos.unwrap_or_default()));
        // Zero is what a price looks like that is not told.
        match all.filter(|nanos| *nanos > 0) {
            Some(nanos) => {
                Ok(Price { nanos, currency: currency_code.clone(), unit: self.usage_unit })
            }
            None => Err("has a price that is not above zero".to_owned()),
        }
    }
}

/// The price of a part of a series in a market; several are one only if they are the same.
pub(super) fn the_one(
    skus: &[Sku],
    series: &str,
    market: Market,
    part: Part,
    currency: &str,
) -> Result<PartPrice, String> {
    let spot = match market {
        Market::OnDemand => "",
        Market::Preemptible => "Spot Preemptible ",
    };
    let begin = format!("{spot}{series} {} running in ", part.word());
    let fits = |sku: &&Sku| sku.market == market && sku.description.starts_with(&begin);
    let mut fitting = skus.iter().filter(fits);
    let Some(first) = fitting.next() else {
        return Err(format!("the catalogue has no \"{begin}...\" for the region"));
    };
    let Sku { sku_id, description, price, .. } = first;
    let price = price.as_ref().map_err(|why| format!("\"{description}\" ({sku_id}) {why}"))?;
    if let Some(other) = fitting.find(|other| other.price.as_ref() != Ok(price)) {
        return Err(format!(
            "\"{description}\" has several prices in the region ({sku_id}, {})",
            other.sku_id
        ));
    }
    if price.currency != currency {
        let other = &price.currency;
        return Err(format!("\"{description}\" ({sku_id}) is in {other}, not in {currency}"));
    }
    if price.unit != part.unit() {
        let (unit, wanted) = (&price.unit, part.unit());
        return Err(format!("\"{description}\" ({sku_id}) is sold by {unit}, not by {wanted}"));
    }
    Ok(PartPrice { sku_id: sku_id.clone(), nanos: price.nanos })
}
