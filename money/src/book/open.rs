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

    /// Another tariff holds from a time on.
    pub(super) fn reprice(&mut self, tariff: Tariff, from: Timestamp) -> Result<(), Violation> {
        self.repriced.retain(|(since, _)| *since < from);
        if from <= self.reservation.from {
            self.reservation.tariff = tariff;
        } else {
            self.repriced.push((from, tariff));
        }
        self.check()
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
