//! What money adds to the language: prices of offerings, and machinetypes that look at them.

use vcycle::model::*;
use vcycle_money::Amount;

use super::{Outcome, decimal, key_value};
use crate::plan_support::{Purse, World, usually};

/// Parts the settings of an offering that are about its price from the others.
pub(super) fn split<'w>(settings: &[&'w str]) -> (Vec<&'w str>, Vec<&'w str>) {
    let is_price = |setting: &&str| matches!(key_value(setting).0, "price" | "usual" | "hs23");
    settings.iter().copied().partition(is_price)
}

/// `price=0.40 usual=0.12 hs23=86`: what an hour is reserved at, what it usually costs, what the machine delivers.
pub(super) fn set_price(world: &mut World, id: &OfferingId, settings: &[&str]) -> Outcome {
    let (mut price, mut usual) = (None, None);
    for (key, value) in settings.iter().map(|setting| key_value(setting)) {
        match key {
            "price" => price = Some(amount(value)?),
            "usual" => usual = Some(amount(value)?),
            _ => {
                world.policy.hs23.insert(id.flavour.clone(), decimal(value)?);
            }
        }
    }
    if let Some(price) = price {
        let purse = world.purse.get_or_insert_with(Purse::open);
        purse.costs.prices.insert(id.clone(), usually((price, usual.unwrap_or(price))));
    }
    Ok(())
}

fn amount(word: &str) -> Result<Amount, String> {
    word.parse().map_err(|_| format!("not an amount: {word}"))
}

pub(super) fn market(word: &str) -> Result<Market, String> {
    match word {
        "on-demand" => Ok(Market::OnDemand),
        "spot" => Ok(Market::Preemptible),
        _ => Err(format!("not a market: {word}")),
    }
}

pub(super) fn ranking(word: &str) -> Result<Ranking, String> {
    match word {
        "listed" => Ok(Ranking::Listed),
        "price" => Ok(Ranking::Price { spreading: 0.0 }),
        _ => Err(format!("not an order: {word}")),
    }
}

/// Whether this offering is meant: by its flavour, or by all of it as people read it.
pub(super) fn is(id: &OfferingId, what: &str) -> bool {
    id.flavour == what || id.to_string() == what
}
