//! A reservation that is open, with what became of its price.

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use super::{Span, Violation};
use crate::{Amount, Reservation, Tariff};

/// A reservation that is neither settled nor released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// It, with its end as it was last extended, and the tariff that it began with.
    #[serde(flatten)]
    pub reservation: Reservation,
    /// The entry that opened it.
    pub entry: u64,
    /// Later tariffs, each from a time on, in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repriced: Vec<(Timestamp, Tariff)>,
}

impl Open {
    /// As it was made.
    pub fn new(reservation: Reservation, entry: u64) -> Self {
        Self { reservation, entry, repriced: Vec::new() }
    }

    /// From when to when it may cost.
    pub fn span(&self) -> Span {
        Span { from: self.reservation.from, to: self.reservation.until }
    }

    /// The most that it can cost within a time, whenever its machine lives.
    pub fn worst_within(&self, span: Span) -> Amount {
        let life = (self.reservation.from, self.reservation.until);
        self.by_tariff(span)
            .map(|(tariff, part)| tariff.worst_within(life, (part.from, part.to)))
            .sum()
    }

    /// The most that it can cost.
    pub fn worst(&self) -> Amount {
        self.worst_within(self.span())
    }

    /// What a life costs within a time. Parts of adjoining times add up to the whole.
    pub fn charged_within(&self, life: (Timestamp, Timestamp), span: Span) -> Amount {
        self.by_tariff(span)
            .map(|(tariff, part)| tariff.charged_within(life, (part.from, part.to)))
            .sum()
    }

    /// What it has cost until now within a time, if its machine lives since the reservation begins.
    pub fn run_up(&self, span: Span, now: Timestamp) -> Amount {
        let past = Span { from: span.from, to: span.to.min(now) };
        let life = (self.reservation.from, self.reservation.until);
        if past.from < past.to { self.charged_within(life, past) } else { Amount::ZERO }
    }

    /// What it costs at a time.
    pub fn tariff_at(&self, at: Timestamp) -> &Tariff {
        let later = self.repriced.iter().rev().find(|(since, _)| *since <= at);
        later.map_or(&self.reservation.tariff, |(_, tariff)| tariff)
    }

    /// The end is later now.
    pub(super) fn extend(&mut self, until: Timestamp) -> Result<(), Violation> {
        if until <= self.reservation.until {
            return Err(Violation::NotLonger { intent: self.reservation.intent });
        }
        self.reservation.until = until;
        self.check()
    }

    /// Another tariff holds from a time on. If more is charged at the least by it, or in coarser steps, the dearest of all holds for
    /// the whole life: parts that are charged in different ways cannot be put together, and one whose steps are not its own would be
    /// charged in advance at the price of another, or not at all.
    pub(super) fn reprice(&mut self, mut tariff: Tariff, from: Timestamp) -> Result<(), Violation> {
        let known = *self.tariff_at(from);
        tariff.minimum = tariff.minimum.max(known.minimum);
        tariff.granularity = tariff.granularity.max(known.granularity);
        let is_coarser = (tariff.minimum, tariff.granularity) != (known.minimum, known.granularity);
        if is_coarser || from <= self.reservation.from {
            self.reservation.tariff = if is_coarser { self.dearest(tariff) } else { tariff };
            self.repriced.clear();
        } else {
            self.repriced.retain(|(since, _)| *since < from);
            self.repriced.push((from, tariff));
        }
        self.check()
    }

    /// What is dearest of a tariff and all that have held.
    fn dearest(&self, tariff: Tariff) -> Tariff {
        let all = self.repriced.iter().map(|(_, later)| later).chain([&self.reservation.tariff]);
        all.fold(tariff, |dearest, other| dearest.risen_to(other).unwrap_or(dearest))
    }

    /// Whether anything can be reckoned with it: a nonsense from outside must not fill the memory or the sums.
    pub(super) fn check(&self) -> Result<(), Violation> {
        let Reservation { intent, from, until, .. } = self.reservation;
        let mut tariffs =
            self.repriced.iter().map(|(_, later)| later).chain([&self.reservation.tariff]);
        let problems = [
            (!is_sane(from) || !is_sane(until), "its time is not in this century"),
            (from >= until, "it ends before it begins"),
            (until.since(from) > LONGEST, "it lasts for more than ten years"),
            (tariffs.any(|tariff| tariff.charge().is_nothing()), "its price is nothing or less"),
            (self.repriced.len() > MOST_PRICES, "its price changes too often"),
            (self.worst() > LARGEST, "it costs more than ten millions"),
        ];
        match problems.into_iter().find(|(is_so, _)| *is_so) {
            Some((_, what)) => Err(Violation::Absurd { intent, what }),
            None => Ok(()),
        }
    }

    /// The tariffs that hold within a time, each with its part of it.
    fn by_tariff(&self, span: Span) -> impl Iterator<Item = (&Tariff, Span)> {
        let begins = [(BEGINNING, &self.reservation.tariff)].into_iter();
        let begins = begins.chain(self.repriced.iter().map(|(since, tariff)| (*since, tariff)));
        let ends = self.repriced.iter().map(|(since, _)| *since).chain([END]);
        begins.zip(ends).filter_map(move |((from, tariff), to)| {
            Some((tariff, Span { from, to }.overlap(span)?))
        })
    }
}

const BEGINNING: Timestamp = Timestamp::from_millis(i64::MIN);
const END: Timestamp = Timestamp::from_millis(i64::MAX);
/// 2000-01-01 and 2100-01-01.
const EARLIEST: Timestamp = Timestamp::from_secs(946_684_800);
const LATEST: Timestamp = Timestamp::from_secs(4_102_444_800);
const LONGEST: std::time::Duration = std::time::Duration::from_secs(3653 * 86_400);
/// Sums of all machines that could ever be made do not overflow.
const LARGEST: Amount = Amount::from_units(10_000_000);
const MOST_PRICES: usize = 10_000;

/// Whether a time can be reckoned with.
pub(super) fn is_sane(at: Timestamp) -> bool {
    (EARLIEST..=LATEST).contains(&at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::book::tests::{account, reservation};
    use proptest::prelude::*;

    fn at(minutes: u32) -> Timestamp {
        Timestamp::from_secs(1_800_000_000) + Duration::from_secs(60) * minutes
    }

    fn tariff(hourly: i64, minimum: u64, granularity: u64) -> Tariff {
        Tariff {
            hourly: Amount::from_units(hourly),
            charged: None,
            minimum: Duration::from_secs(minimum),
            granularity: Duration::from_secs(granularity),
        }
    }

    /// For ten hours.
    fn open(tariff: Tariff) -> Open {
        let reservation = reservation(1, &account(0), tariff, (at(0), at(600)));
        Open::new(reservation, 1)
    }

    fn cost(open: &Open, end: u32) -> Amount {
        let life = (at(0), at(end));
        open.charged_within(life, Span { from: life.0, to: life.1 })
    }

    /// At 12:30 it is learned that an hour is charged as it begins; at 12:50 it is gone.
    #[test]
    fn a_coarser_step_is_charged_for_the_whole_life() {
        let mut open = open(tariff(60, 0, 1));
        assert_eq!(cost(&open, 50), Amount::from_units(50));
        open.reprice(tariff(60, 0, 3600), at(30)).unwrap();
        assert_eq!(cost(&open, 50), Amount::from_units(60));
        assert_eq!(cost(&open, 61), Amount::from_units(120));
    }

    /// A second, a minute, an hour.
    fn step() -> impl Strategy<Value = u64> {
        prop::sample::select(vec![1, 60, 3600])
    }

    fn any_tariff() -> impl Strategy<Value = Tariff> {
        (1_i64..100, 0_u64..4000, step())
            .prop_map(|(hourly, minimum, step)| tariff(hourly, minimum, step))
    }

    /// Dearer at 12:30, by the second still; at 12:40 it is learned that an hour is charged as it begins; at 12:50 it is gone.
    #[test]
    fn a_coarser_step_after_a_rise_is_charged_at_the_risen_price() {
        let mut open = open(tariff(6, 0, 1));
        open.reprice(tariff(60, 0, 1), at(30)).unwrap();
        assert_eq!(cost(&open, 50), Amount::from_units(3 + 20));
        open.reprice(tariff(60, 0, 3600), at(40)).unwrap();
        assert_eq!(cost(&open, 50), Amount::from_units(60));
        assert_eq!(open.worst(), Amount::from_units(600), "and no part is rounded up by itself");
    }

    /// Repriced by each of these in turn, at its minute.
    fn never_cheaper(
        first: Tariff,
        rises: Vec<(u32, Tariff)>,
        end: u32,
    ) -> Result<(), TestCaseError> {
        let mut open = open(first);
        let mut rises = rises;
        rises.sort_by_key(|(minute, _)| *minute);
        for (minute, other) in rises {
            let Some(risen) = open.tariff_at(at(minute)).risen_to(&other) else { continue };
            let before = cost(&open, end);
            open.reprice(risen, at(minute)).unwrap();
            prop_assert!(cost(&open, end) >= before, "{} after {before}", cost(&open, end));
            for hour in 0..10 {
                let span = Span { from: at(60 * hour), to: at(60 * (hour + 1)) };
                let (worst, charged) =
                    (open.worst_within(span), open.charged_within((at(0), at(end)), span));
                prop_assert!(worst >= charged, "{charged} of {worst} in hour {hour}");
            }
            prop_assert!(open.worst() >= cost(&open, end));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_higher_price_never_makes_a_life_cheaper(
            (minimum, step) in (0_u64..4000, step()),
            first in 1_i64..100,
            rises in prop::collection::vec((0_u32..600, 1_i64..100), 1..6),
            end in 1_u32..600,
        ) {
            let of = |hourly| tariff(hourly, minimum, step);
            let rises = rises.into_iter().map(|(minute, hourly)| (minute, of(hourly)));
            never_cheaper(of(first), rises.collect(), end)?;
        }

        #[test]
        fn nothing_that_becomes_dearer_in_any_way_makes_a_life_cheaper(
            first in any_tariff(),
            rises in prop::collection::vec((0_u32..600, any_tariff()), 1..6),
            end in 1_u32..600,
        ) {
            never_cheaper(first, rises, end)?;
        }
    }
}
