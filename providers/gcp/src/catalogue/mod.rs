//! What machines cost by Google's billing catalogue (Cloud Billing API, `services.skus.list`): the public prices of Compute Engine.
//!
//! Google sells processors and memory, not machine types: a price here is put together from two of them, and only where
//! nothing is to be guessed. What is left out is told with its reason. Contract prices, discounts and taxes are not in it.

mod pages;
mod series;
mod sku;

use vcycle_api::{Market, Megabytes, Processors, ProviderError};

use crate::site::Site;
use series::Part;
use sku::Sku;

/// Public prices of the machine types of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    /// Those that are certain.
    pub prices: Vec<MachinePrice>,
    /// The others.
    pub left_out: Vec<LeftOut>,
}

/// The price of a machine type in a market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachinePrice {
    /// Type.
    pub machine_type: String,
    /// Market.
    pub market: Market,
    /// For an hour, in billionths of a unit of the currency that was asked for; rounded up.
    pub nanos: i64,
    /// How it is put together, for whoever checks it.
    pub made_of: String,
}

/// A machine type that has no certain price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Type.
    pub machine_type: String,
    /// Market.
    pub market: Market,
    /// Why.
    pub why: String,
}

/// A machine type as its price is put together.
struct Shape<'a> {
    machine_type: &'a str,
    market: Market,
    size: (Processors, Megabytes),
}

/// Asks for the prices of all that the settings offer, in a currency (three letters of ISO 4217).
pub(crate) async fn prices(site: &Site, currency: &str) -> Result<Catalogue, ProviderError> {
    let mut shapes: Vec<(String, Market, (Processors, Megabytes))> = Vec::new();
    for offering in crate::offerings::offerings(site).await? {
        let shape =
            (offering.id.flavour, offering.id.market, (offering.processors, offering.memory));
        // Zones have the same prices.
        if !shapes.contains(&shape) {
            shapes.push(shape);
        }
    }
    let skus = pages::skus(site, currency).await?;
    let mut catalogue = Catalogue::default();
    for (machine_type, market, size) in &shapes {
        let shape = Shape { machine_type, market: *market, size: *size };
        let (machine_type, market) = (machine_type.clone(), *market);
        match price(&shape, &skus, currency) {
            Ok((nanos, made_of)) => {
                catalogue.prices.push(MachinePrice { machine_type, market, nanos, made_of });
            }
            Err(why) => catalogue.left_out.push(LeftOut { machine_type, market, why }),
        }
    }
    for machine_type in &site.settings().machine_types {
        if !shapes.iter().any(|(known, ..)| known == machine_type) {
            let why = "no zone of the space has it".to_owned();
            let market = Market::OnDemand;
            catalogue.left_out.push(LeftOut { machine_type: machine_type.clone(), market, why });
        }
    }
    Ok(catalogue)
}

/// Puts a price together. Pure.
fn price(shape: &Shape<'_>, skus: &[Sku], currency: &str) -> Result<(i64, String), String> {
    let words = series::words_of(shape.machine_type)?;
    let of = |part| sku::the_one(skus, words, shape.market, part, currency);
    let (core, memory) = (of(Part::Core)?, of(Part::Memory)?);
    let (Processors(processors), Megabytes(mib)) = shape.size;
    let cores = i128::from(core.nanos) * i128::from(processors);
    // Memory is sold by the GiB.
    let gib = i128::from(memory.nanos) * i128::from(mib);
    let all = cores + gib.div_euclid(1024) + i128::from(gib.rem_euclid(1024) != 0);
    let nanos = i64::try_from(all).map_err(|_| "its price is out of all bounds".to_owned())?;
    let made_of = format!(
        "{processors} x {} ({}) and {mib} MiB at {} for a GiB ({})",
        decimal(core.nanos),
        core.sku_id,
        decimal(memory.nanos),
        memory.sku_id
    );
    Ok((nanos, made_of))
}

/// Billionths as people write them.
fn decimal(nanos: i64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    let kept = text.trim_end_matches('0').len();
    text[..kept.max(text.find('.').map_or(kept, |point| point + 3))].to_owned()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
