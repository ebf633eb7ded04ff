//! What machines of a space cost, for the plan and for the books: those that are offered, and those that exist although
//! nobody offers them any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle_money::Amount;

use crate::config::OfferingPrice;
use crate::library::{Setup, SpaceSetup};
use crate::model::{Offering, OfferingId, Timestamp};
use crate::plan::Costs;

/// What is known of the machines of a space by a configuration without `[spending]`: not what they cost.
pub fn costs_unknown(setup: &Setup, space: &SpaceSetup) -> Option<Costs> {
    let config = setup.config.spaces.get(&space.policy.space)?;
    Some(Costs {
        metering: config.metering(),
        provider: config.biller(),
        communities: BTreeMap::new(),
        prices: BTreeMap::new(),
        gone: BTreeMap::new(),
        overstay: Duration::ZERO,
    })
}

/// What machines of a space cost now, by the price lists; `None`: spending is not watched there.
pub fn costs(
    setup: &Setup,
    space: &SpaceSetup,
    (offerings, now): (&[Offering], Timestamp),
) -> Option<Costs> {
    let spending = setup.config.spending.as_ref()?;
    let config = setup.config.spaces.get(&space.policy.space)?;
    let overstay = spending.overstay(config);
    let span = span(space, now, overstay);
    let price = |offering: &Offering| (offering.id.clone(), spending.price(config, offering, span));
    let communities = config
        .machinetypes
        .iter()
        .filter_map(|(name, machinetype)| Some((name.clone(), machinetype.community.clone()?)));
    Some(Costs {
        metering: config.metering(),
        provider: config.biller(),
        communities: communities.collect(),
        prices: offerings.iter().map(price).collect(),
        gone: BTreeMap::new(),
        overstay,
    })
}

/// Adds what machines cost that exist, or may, of what nobody offers any more: their type is not in the configuration now, or the
/// cloud sells it no more. They cost what they cost all the same. What disks and addresses they have is taken from what is offered: the
/// dearest. When nothing is offered at all, as when a cloud did not tell, nothing is known.
pub(super) fn price_what_is_gone<'a>(
    costs: &mut Costs,
    (setup, space): (&Setup, &SpaceSetup),
    offerings: (&[Offering], Timestamp),
    existing: impl Iterator<Item = &'a OfferingId>,
) {
    let Some(spending) = setup.config.spending.as_ref() else { return };
    let Some(config) = setup.config.spaces.get(&space.policy.space) else { return };
    let (offerings, now) = offerings;
    let span = span(space, now, costs.overstay);
    let existing: BTreeSet<&OfferingId> = existing.collect();
    for id in existing.into_iter().filter(|id| !costs.prices.contains_key(*id)) {
        let with = |offering: &Offering| {
            spending.price(config, &Offering { id: id.clone(), ..offering.clone() }, span)
        };
        let rank = |price: &OfferingPrice| match price {
            OfferingPrice::Unmetered => None,
            OfferingPrice::Unpriced(_) => Some(Amount::ZERO),
            OfferingPrice::Priced(priced) => Some(priced.tariff.hourly),
        };
        let prices = offerings.iter().map(with).filter(|price| rank(price).is_some());
        if let Some(dearest) = prices.max_by_key(rank) {
            costs.gone.insert(id.clone(), dearest);
        }
    }
}

/// From now until the last machine of the space that is made now is gone at the latest: prices of all this time count.
fn span(space: &SpaceSetup, now: Timestamp, overstay: Duration) -> (Timestamp, Timestamp) {
    let policies = space.policy.machinetypes.values();
    let longest = policies.map(|policy| policy.deadline(now)).max().unwrap_or(now);
    (now, longest + overstay)
}
