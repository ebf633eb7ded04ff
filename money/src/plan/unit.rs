//! The machine that a plan thinks in.

use super::Rate;
use crate::{Amount, Tariff};

/// What a machine costs that would be made next. Nothing: none could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Unit {
    /// What it is charged: with this a line is kept.
    pub rate: Rate,
    /// What is reserved for it: this must be there to make it.
    pub reserved: Rate,
}

impl Unit {
    /// A machine by its tariff.
    pub fn of(tariff: &Tariff) -> Self {
        Self { rate: Rate::hourly(tariff.charge()), reserved: Rate::hourly(tariff.hourly) }
    }

    /// One that is reserved at what it is charged.
    pub fn plain(rate: Rate) -> Self {
        Self { rate, reserved: rate }
    }

    /// What is reserved for as much of it as is charged this, rounded up; never less than that.
    #[must_use]
    pub fn reserved_for(self, rate: Rate) -> Rate {
        let [rate_of_one, reserved, wanted] =
            [self.rate, self.reserved, rate].map(|each| i128::from(each.in_an_hour().nanos()));
        if rate_of_one == 0 || reserved <= rate_of_one {
            return rate;
        }
        let product = wanted.saturating_mul(reserved);
        let exact = product / rate_of_one + i128::from(product % rate_of_one != 0);
        Rate::hourly(Amount::from_nanos(i64::try_from(exact).unwrap_or(i64::MAX)))
    }

    /// What is charged for as much of it as is reserved at this, rounded down.
    #[must_use]
    pub(super) fn charged_of(self, rate: Rate) -> Rate {
        let [charged, reserved, wanted] =
            [self.rate, self.reserved, rate].map(|each| i128::from(each.in_an_hour().nanos()));
        if charged == 0 || reserved <= charged {
            return rate;
        }
        let exact = wanted.saturating_mul(charged) / reserved;
        Rate::hourly(Amount::from_nanos(i64::try_from(exact).unwrap_or(i64::MAX)))
    }

    /// So many machines at once that they are charged at least this.
    #[must_use]
    pub(super) fn no_finer_than(self, finest: Rate) -> Self {
        if self.rate == Rate::ZERO || self.rate >= finest {
            return self;
        }
        Self { rate: finest, reserved: self.reserved_for(finest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        Rate::hourly(text.parse().unwrap())
    }

    #[test]
    fn what_is_reserved_for_several_is_as_dear_as_one_and_never_less_than_what_is_charged() {
        let unit = Unit { rate: rate("0.3"), reserved: rate("1") };
        assert_eq!(unit.reserved_for(rate("0.6")), rate("2"));
        assert_eq!(unit.reserved_for(rate("0.1")), rate("0.333333334"));
        assert_eq!(
            unit.no_finer_than(rate("0.9")),
            Unit { rate: rate("0.9"), reserved: rate("3") }
        );
        assert_eq!(unit.no_finer_than(rate("0.2")), unit);
        assert_eq!(Unit::plain(rate("0.3")).reserved_for(rate("7")), rate("7"));
        assert_eq!(unit.charged_of(rate("2")), rate("0.6"));
        assert_eq!(Unit::plain(rate("0.3")).charged_of(rate("7")), rate("7"));
        assert_eq!(Unit::default().reserved_for(rate("7")), rate("7"), "nothing is known");
        assert_eq!(Unit::default().no_finer_than(rate("7")), Unit::default());
    }
}
