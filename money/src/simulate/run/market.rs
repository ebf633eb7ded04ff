//! What machines can be made of at a time, and which of it is best.

use std::time::Duration;

use vcycle_api::Timestamp;

use super::World;
use crate::Tariff;
use crate::plan::{Rate, Unit, best};
use crate::simulate::scenario::Stock;

/// For so long an offering that was out of stock is not tried again.
const REMEMBERED: Duration = Duration::from_secs(30 * 60);

impl World<'_> {
    /// Asks for the prices of now; they hold for the cycle.
    pub(super) fn ask_prices(&mut self, now: Timestamp) {
        let models = self.scenario.offerings.iter().zip(&self.weather);
        for (offer, (model, weather)) in self.offers.iter_mut().zip(models) {
            let factor = u64::from(weather.price(now));
            let hourly = model.tariff.charge().share(factor, 1000);
            offer.price = Rate::hourly(hourly.expect("a thousand is not nothing"));
        }
    }

    /// What the cheapest machine of a community costs that could be made.
    pub(super) fn unit(&self, community: usize, now: Timestamp) -> Unit {
        let open = self.open_to(community, now);
        open.map(|number| Unit::of(&self.tariff(number))).min().unwrap_or_default()
    }

    fn best(&self, community: usize, now: Timestamp) -> Option<usize> {
        let open = self.open_to(community, now);
        best(open.map(|number| (number, &self.offers[number])), self.scenario.budget.spreading)
    }

    fn open_to(&self, community: usize, now: Timestamp) -> impl Iterator<Item = usize> {
        let providers = &self.crowds[community].model.providers;
        (0..self.offers.len()).filter(move |number| {
            let provider = &self.scenario.offerings[*number].provider;
            (providers.is_empty() || providers.contains(provider))
                && self.may_be_tried(*number, now)
        })
    }

    /// What the next machine of a community is made of: the best that is in stock now. It counts as running.
    pub(super) fn in_stock(&mut self, community: usize, now: Timestamp) -> Option<usize> {
        loop {
            let number = self.best(community, now)?;
            if self.weather[number].stock(now) == Stock::Available {
                self.offers[number].running += 1;
                return Some(number);
            }
            self.missing[number] = Some(now + REMEMBERED);
            self.watch.out_of_stock();
        }
    }

    fn may_be_tried(&self, number: usize, now: Timestamp) -> bool {
        let offer = &self.offers[number];
        offer.most.is_none_or(|most| offer.running < most)
            && self.missing[number].is_none_or(|until| until <= now)
    }

    /// What a machine costs that is made of it now.
    pub(super) fn tariff(&self, number: usize) -> Tariff {
        let now = self.offers[number].price.in_an_hour();
        let usual = self.scenario.offerings[number].tariff;
        match usual.charged {
            // In a wave more is charged, and where it is more than that, more is reserved, too.
            Some(_) => Tariff { charged: Some(now), hourly: usual.hourly.max(now), ..usual },
            None => Tariff { hourly: now, ..usual },
        }
    }
}
