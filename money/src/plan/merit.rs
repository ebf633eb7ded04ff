//! Which offering next: price for delivered work, and how full it is already.
//!
//! HEPCloud's figure of merit (<https://github.com/HEPCloud/decisionengine_modules>), with its spreading as an exponent.

use std::borrow::Borrow;
use std::cmp::Ordering;

use vcycle_api::OfferingId;

use super::Rate;

/// Work of a processor in an hour where nobody measured: about 10 HS23.
pub const HS23_OF_A_PROCESSOR: f64 = 10.0;

/// What a machine of an offering costs, and the work that it does for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// What it costs.
    pub price: Rate,
    /// Its processors.
    pub processors: u32,
    /// What all its processors deliver, where that was measured.
    pub hs23: Option<f64>,
}

impl Worth {
    /// What all its processors deliver, in HS23: as measured, or assumed from their number.
    pub fn work(self) -> f64 {
        let assumed = f64::from(self.processors) * HS23_OF_A_PROCESSOR;
        self.hs23.filter(|hs23| *hs23 > 0.0).unwrap_or(assumed)
    }

    /// Price for a unit of work, in the ledger's currency for an HS23 hour; infinite where no work is done.
    pub fn price_of_work(self) -> f64 {
        let work = self.work();
        let price = self.price.in_an_hour().nanos() as f64 / 1e9;
        if work > 0.0 { price / work } else { f64::INFINITY }
    }

    /// `price of work * filled ^ spreading`: the smaller, the better. `filled` is how full the offering is with one machine
    /// more: a part of the most that it can hold; where that is the same for all that are compared, so many machines.
    pub fn merit(self, filled: f64, spreading: f64) -> f64 {
        self.price_of_work() * filled.powf(spreading)
    }
}

/// An offering that a machine could be made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Which.
    pub offering: OfferingId,
    /// What it costs.
    pub price: Rate,
    /// Its processors.
    pub processors: u32,
    /// What all its processors deliver, where that was measured.
    pub hs23: Option<f64>,
    /// Machines of it that run.
    pub running: u32,
    /// How many may run; `None`: nobody knows, and it is not spread by how full it is.
    pub most: Option<u32>,
}

impl Offer {
    /// What a machine of it costs, and does.
    pub fn worth(&self) -> Worth {
        Worth { price: self.price, processors: self.processors, hs23: self.hs23 }
    }

    /// `price of work * ((running + 1) / most) ^ spreading`: the smaller, the better; infinite when it is full.
    pub fn merit(&self, spreading: f64) -> f64 {
        let Some(most) = self.most else { return self.worth().price_of_work() };
        if self.running >= most {
            return f64::INFINITY;
        }
        let filled = (f64::from(self.running) + 1.0) / f64::from(most);
        self.worth().merit(filled, spreading)
    }
}

/// The best of some offers, by [`rank`], with whatever it is known by.
pub fn best<'a, K>(offers: impl Iterator<Item = (K, &'a Offer)>, spreading: f64) -> Option<K> {
    let merits = offers.map(|(key, offer)| (offer.merit(spreading), offer, key));
    let open = merits.filter(|(merit, ..)| merit.is_finite());
    open.min_by(|(a, one, _), (b, other, _)| order((*a, one), (*b, other))).map(|(.., key)| key)
}

fn order((a, one): (f64, &Offer), (b, other): (f64, &Offer)) -> Ordering {
    let by_price = || one.worth().price_of_work().total_cmp(&other.worth().price_of_work());
    let by_name = || one.offering.cmp(&other.offering);
    a.total_cmp(&b).then_with(by_price).then_with(by_name)
}

/// The places of the offers that are not full, the best first; equal ones by price for the work, then by name.
pub fn rank<O: Borrow<Offer>>(offers: &[O], spreading: f64) -> Vec<usize> {
    let merit = |(place, offer): (usize, &O)| (offer.borrow().merit(spreading), place);
    let mut ranked: Vec<(f64, usize)> = offers.iter().enumerate().map(merit).collect();
    ranked.retain(|(merit, _)| merit.is_finite());
    let offer = |place: usize| offers[place].borrow();
    ranked.sort_by(|(a, one), (b, other)| order((*a, offer(*one)), (*b, offer(*other))));
    ranked.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use vcycle_api::Market;

    use super::*;
    use crate::Amount;

    fn offer(name: &str, price: &str, running: u32) -> Offer {
        let offering =
            OfferingId { flavour: name.into(), zone: String::new(), market: Market::OnDemand };
        let price = Rate::hourly(price.parse::<Amount>().unwrap());
        Offer { offering, price, processors: 8, hs23: Some(80.0), running, most: Some(50) }
    }

    fn names(offers: &[Offer], spreading: f64) -> Vec<&str> {
        let ranked = rank(offers, spreading).into_iter();
        let names: Vec<&str> =
            ranked.map(|place| offers[place].offering.flavour.as_str()).collect();
        let best = best(offers.iter().enumerate(), spreading);
        assert_eq!(
            best.map(|place| offers[place].offering.flavour.as_str()),
            names.first().copied()
        );
        names
    }

    #[test]
    fn spreading_dominates_price_as_in_the_worked_example() {
        let offers = [offer("a", "0.08", 40), offer("b", "0.10", 5)];
        let merits = offers.iter().map(|offer| offer.merit(1.0));
        for (merit, expected) in merits.zip([0.00082, 0.00015]) {
            assert!((merit - expected).abs() < 1e-9, "{merit} is not {expected}");
        }
        assert_eq!(names(&offers, 1.0), ["b", "a"]);
        assert_eq!(names(&offers, 0.0), ["a", "b"], "without spreading the cheapest is first");
    }

    #[test]
    fn what_is_full_is_no_offer_and_measured_work_counts() {
        let full = offer("full", "0.01", 50);
        let none = Offer { most: Some(0), ..offer("none", "0.01", 0) };
        let strong = Offer { hs23: Some(160.0), ..offer("strong", "0.15", 0) };
        let unmeasured = Offer { hs23: None, ..offer("unmeasured", "0.08", 0) };
        let open = Offer { most: None, ..offer("open", "0.07", 5000) };
        let offers = [full, none, strong, unmeasured, open];
        assert_eq!(names(&offers, 0.0), ["open", "strong", "unmeasured"]);
    }
}
