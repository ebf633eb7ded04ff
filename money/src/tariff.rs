//! What a machine costs by the time that it exists.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use crate::Amount;

/// The cost of one machine with everything that is paid for with it (disks, addresses), in the ledger's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    /// For each hour, at the most: what is reserved.
    pub hourly: Amount,
    /// For each hour that has passed, where its list says that less is charged than must be reserved: of what may be taken
    /// back. `None`: as much. Never more than is reserved ([`Self::charge`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged: Option<Amount>,
    /// The shortest time that is charged, however short the machine's life.
    #[serde(with = "seconds")]
    pub minimum: Duration,
    /// What is charged is a whole number of these: a second, a minute, an hour.
    #[serde(with = "seconds")]
    pub granularity: Duration,
}

/// Durations of tariffs are whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(time.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_secs)
    }
}

const MILLIS_AN_HOUR: u64 = 3_600_000;

impl Tariff {
    /// What an hour is charged.
    pub fn charge(&self) -> Amount {
        self.charged.map_or(self.hourly, |charged| charged.min(self.hourly))
    }

    /// The cost of a machine that exists for so long.
    pub fn cost_of(&self, life: Duration) -> Amount {
        self.by_granules(self.charge(), life)
    }

    /// What is reserved for a machine that may exist for so long: never less than its cost.
    pub fn worst_of(&self, life: Duration) -> Amount {
        self.by_granules(self.hourly, life)
    }

    /// This one, with what is dearer of another. `None`: nothing is.
    #[must_use]
    pub fn risen_to(&self, other: &Self) -> Option<Self> {
        let charge = self.charge().max(other.charge());
        let hourly = self.hourly.max(other.hourly);
        let risen = Self {
            hourly,
            charged: (charge < hourly).then_some(charge),
            minimum: self.minimum.max(other.minimum),
            granularity: self.granularity.max(other.granularity),
        };
        let is_as_it_was = (hourly, charge) == (self.hourly, self.charge())
            && (risen.minimum, risen.granularity) == (self.minimum, self.granularity);
        (!is_as_it_was).then_some(risen)
    }

    fn by_granules(&self, hourly: Amount, life: Duration) -> Amount {
        let granule = millis(self.granularity).max(1);
        let counted =
            millis(life).max(millis(self.minimum)).div_ceil(granule).saturating_mul(granule);
        hourly.share(counted, MILLIS_AN_HOUR).expect("an hour is not nothing")
    }

    /// The part of the cost of a machine that existed from `begin` to `end` that was charged before `until`: granules are
    /// charged when they begin, the minimum at the beginning. Parts of adjoining times add up to the whole.
    pub fn charged_until(&self, (begin, end): (Timestamp, Timestamp), until: Timestamp) -> Amount {
        if until <= begin {
            return Amount::ZERO;
        }
        self.cost_of(until.min(end).since(begin)).min(self.cost_of(end.since(begin)))
    }

    /// The part that was charged within a time.
    pub fn charged_within(
        &self,
        life: (Timestamp, Timestamp),
        (from, to): (Timestamp, Timestamp),
    ) -> Amount {
        self.charged_until(life, to) - self.charged_until(life, from)
    }

    /// The most that a machine can be charged within a time, whenever it lives between `begin` and `end`.
    pub fn worst_within(
        &self,
        (begin, end): (Timestamp, Timestamp),
        (from, to): (Timestamp, Timestamp),
    ) -> Amount {
        let (first, last) = (begin.max(from), end.min(to));
        if last <= first { Amount::ZERO } else { self.worst_of(last.since(first)) }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tariffs() -> impl Strategy<Value = Tariff> {
        let times = prop::sample::select(vec![(60, 1), (0, 1), (60, 60), (3600, 3600), (600, 60)]);
        // Also one that says that more is charged than is reserved.
        let charged = prop::option::of(1_i64..200_000_000_000);
        (1_i64..100_000_000_000, charged, times).prop_map(
            |(nanos, charged, (minimum, granularity))| Tariff {
                hourly: Amount::from_nanos(nanos),
                charged: charged.map(Amount::from_nanos),
                minimum: Duration::from_secs(minimum),
                granularity: Duration::from_secs(granularity),
            },
        )
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(
            tariff in tariffs(), begin in 0_i64..10_000, life in 0_i64..100_000, cuts in prop::collection::vec(0_i64..120_000, 0..8),
        ) {
            let life = (at(begin), at(begin + life));
            let mut cuts: Vec<Timestamp> = cuts.into_iter().map(at).chain([at(0), at(200_000)]).collect();
            cuts.sort();
            let parts = cuts.windows(2).map(|cut| tariff.charged_within(life, (cut[0], cut[1])));
            prop_assert_eq!(parts.sum::<Amount>(), tariff.cost_of(life.1.since(life.0)));
        }

        #[test]
        fn a_risen_tariff_is_in_nothing_below_either(one in tariffs(), other in tariffs(), life in 0_u64..100_000) {
            let risen = one.risen_to(&other).unwrap_or(one);
            let life = Duration::from_secs(life);
            prop_assert!(risen.worst_of(life) >= one.worst_of(life).max(other.worst_of(life)));
            prop_assert!(risen.cost_of(life) >= one.cost_of(life).max(other.cost_of(life)));
            prop_assert!(risen.cost_of(life) <= risen.worst_of(life));
            prop_assert_eq!(risen.risen_to(&other), None);
        }

        #[test]
        fn no_life_within_a_reservation_is_charged_more_in_any_time_than_the_worst(
            tariff in tariffs(), begin in 0_i64..10_000, long in 1_i64..100_000, inner in (0.0_f64..1.0, 0.0_f64..1.0),
            from in 0_i64..120_000, to in 0_i64..120_000,
        ) {
            let place = |part: f64| begin + (part * long as f64) as i64;
            let (a, b) = (place(inner.0.min(inner.1)), place(inner.0.max(inner.1)));
            let within = (at(from.min(to)), at(from.max(to)));
            let charged = tariff.charged_within((at(a), at(b)), within);
            prop_assert!(charged <= tariff.worst_within((at(begin), at(begin + long)), within));
        }
    }

    #[test]
    fn a_life_of_ten_seconds_costs_the_minimum() {
        let hourly = Amount::from_units(36);
        let tariff = Tariff {
            hourly,
            charged: None,
            minimum: Duration::from_secs(60),
            granularity: Duration::from_secs(1),
        };
        assert_eq!(tariff.cost_of(Duration::from_secs(10)), "0.6".parse().unwrap());
        assert_eq!(tariff.cost_of(Duration::from_millis(60_001)), "0.61".parse().unwrap());
    }

    #[test]
    fn what_may_be_taken_back_is_charged_by_its_price_and_reserved_at_the_dearest() {
        let tariff = Tariff {
            hourly: Amount::from_units(3),
            charged: Some(Amount::from_units(1)),
            minimum: Duration::ZERO,
            granularity: Duration::from_secs(1),
        };
        let life = (at(0), at(7200));
        assert_eq!(tariff.charged_within(life, (at(0), at(3600))), Amount::from_units(1));
        assert_eq!(tariff.worst_within(life, (at(0), at(3600))), Amount::from_units(3));
        let text = serde_json::to_string(&tariff).unwrap();
        assert_eq!(serde_json::from_str::<Tariff>(&text).unwrap(), tariff);
        assert!(
            !serde_json::to_string(&Tariff { charged: None, ..tariff })
                .unwrap()
                .contains("charged")
        );
    }
}
