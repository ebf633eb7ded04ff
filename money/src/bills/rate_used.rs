//! At what rates a bill was converted, and whether one that was said can be right.

use std::collections::BTreeSet;
use std::fmt;

use super::Day;
use crate::Amount;

/// What a unit of another currency on a bill was taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateUsed {
    /// Whether it was said, for all days; else these are the dated ones, with their margin.
    pub said: bool,
    /// The lowest of all days.
    pub lowest: Amount,
    /// The highest of all days.
    pub highest: Amount,
    /// Of one that was said: that of the dated ones about the days of the bill from which it is furthest.
    pub known: Option<Amount>,
    /// On which days it was used.
    days: BTreeSet<Day>,
}

/// How far a rate that was said is from the dated ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// More than a quarter.
    Doubtful,
    /// More than three times as much, or less than a third: pence for pounds, or the other way round.
    Absurd,
}

impl RateUsed {
    pub(super) fn new(worth: Amount, said: bool) -> Self {
        Self { said, lowest: worth, highest: worth, known: None, days: BTreeSet::new() }
    }

    /// It was used on a day. `known`: what the dated ones say about it.
    pub(super) fn take(&mut self, worth: Amount, day: Day, known: impl FnOnce() -> Option<Amount>) {
        self.lowest = self.lowest.min(worth);
        self.highest = self.highest.max(worth);
        if !self.said || !self.days.insert(day) {
            return;
        }
        let Some(known) = known() else { return };
        if self.known.is_none_or(|other| times(worth, known) > times(worth, other)) {
            self.known = Some(known);
        }
    }

    /// Whether it can be right.
    pub fn doubt(&self) -> Option<Doubt> {
        let (said, known) = (self.highest.nanos().into(), self.known?.nanos().into());
        let (said, known): (i128, i128) = (said, known);
        if said > 3 * known || known > 3 * said {
            return Some(Doubt::Absurd);
        }
        (4 * (said - known).abs() > known).then_some(Doubt::Doubtful)
    }
}

/// How many times the larger of two is the smaller, in thousandths.
fn times(one: Amount, other: Amount) -> i128 {
    let (less, more) = (one.min(other).nanos(), one.max(other).nanos());
    i128::from(more) * 1000 / i128::from(less.max(1))
}

impl fmt::Display for RateUsed {
    /// `0.80`, or `0.66 to 0.88`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lowest == self.highest {
            return write!(f, "{}", self.lowest);
        }
        write!(f, "{} to {}", self.lowest, self.highest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare_tests::day;
    use super::*;

    fn said(worth: &str, known: &[&str]) -> RateUsed {
        let worth = worth.parse().unwrap();
        let mut used = RateUsed::new(worth, true);
        for (number, known) in (1..).zip(known) {
            used.take(worth, day(number), || known.parse().ok());
        }
        used
    }

    #[test]
    fn a_rate_is_doubted_by_a_quarter_and_absurd_by_three_times() {
        for (worth, doubt) in [
            ("0.80", None),
            ("1", None),
            ("0.6", None),
            ("1.000000001", Some(Doubt::Doubtful)),
            ("0.599999999", Some(Doubt::Doubtful)),
            ("1.25", Some(Doubt::Doubtful)),
            ("2.4", Some(Doubt::Doubtful)),
            ("2.400000001", Some(Doubt::Absurd)),
            ("79", Some(Doubt::Absurd)),
            ("0.0079", Some(Doubt::Absurd)),
        ] {
            assert_eq!(said(worth, &["0.8"]).doubt(), doubt, "{worth}");
        }
        assert_eq!(said("79", &[]).doubt(), None, "nothing is known");
    }

    #[test]
    fn the_known_rate_that_is_furthest_counts() {
        let used = said("0.8", &["0.8", "0.2", "0.9"]);
        assert_eq!((used.known, used.doubt()), ("0.2".parse().ok(), Some(Doubt::Absurd)));
    }

    #[test]
    fn dated_rates_are_told_from_the_lowest_to_the_highest() {
        let mut used = RateUsed::new("0.8".parse().unwrap(), false);
        used.take("0.7".parse().unwrap(), day(1), || None);
        assert_eq!((used.to_string().as_str(), used.doubt()), ("0.70 to 0.80", None));
        assert_eq!(said("0.8", &[]).to_string(), "0.80");
    }
}
