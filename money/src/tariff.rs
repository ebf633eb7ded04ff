//! What a machine costs by the time that it exists.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use crate::Amount;

/// The cost of one machine with everything that is paid for with it (disks, addresses), in the ledger's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    /// For each hour.
    pub hourly: Amount,
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
    /// The cost of a machine that exists for so long.
    pub fn cost_of(&self, life: Duration) -> Amount {
        let granule = millis(self.granularity).max(1);
        let charged =
            millis(life).max(millis(self.minimum)).div_ceil(granule).saturating_mul(granule);
        self.hourly.share(charged, MILLIS_AN_HOUR).expect("an hour is not nothing")
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
        if last <= first { Amount::ZERO } else { self.cost_of(last.since(first)) }
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
        (1_i64..100_000_000_000, times).prop_map(|(nanos, (minimum, granularity))| Tariff {
            hourly: Amount::from_nanos(nanos),
            minimum: Duration::from_secs(minimum),
            granularity: Duration::from_secs(granularity),
        })
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
            minimum: Duration::from_secs(60),
            granularity: Duration::from_secs(1),
        };
        assert_eq!(tariff.cost_of(Duration::from_secs(10)), "0.6".parse().unwrap());
        assert_eq!(tariff.cost_of(Duration::from_millis(60_001)), "0.61".parse().unwrap());
    }
}
