//! Money by the hour, exact.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Amount;

const MILLIS_AN_HOUR: i128 = 3_600_000;

/// An amount in each hour; never less than nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(Amount);

impl Rate {
    /// Nothing.
    pub const ZERO: Self = Self(Amount::ZERO);

    /// So much in each hour.
    pub fn hourly(amount: Amount) -> Self {
        Self(amount.max(Amount::ZERO))
    }

    /// The amount in each hour.
    pub const fn in_an_hour(self) -> Amount {
        self.0
    }

    /// The rate that spends an amount within a time, rounded down.
    pub fn spending(amount: Amount, within: Duration) -> Self {
        let exact = i128::from(amount.nanos().max(0)) * MILLIS_AN_HOUR / millis(within).max(1);
        Self(Amount::from_nanos(i64::try_from(exact).unwrap_or(i64::MAX)))
    }

    /// What it comes to in a time, rounded up.
    pub fn over(self, time: Duration) -> Amount {
        let product = i128::from(self.0.nanos()) * millis(time);
        let exact = product / MILLIS_AN_HOUR + i128::from(product % MILLIS_AN_HOUR != 0);
        Amount::from_nanos(i64::try_from(exact).unwrap_or(i64::MAX))
    }

    /// So many thousandths of it, rounded down.
    pub fn permille(self, part: u32) -> Self {
        let exact = i128::from(self.0.nanos()) * i128::from(part) / 1000;
        Self(Amount::from_nanos(i64::try_from(exact).unwrap_or(i64::MAX)))
    }

    /// How much it is more than another; nothing when it is less.
    #[must_use]
    pub fn above(self, other: Self) -> Self {
        Self::hourly(self.0 - other.0)
    }

    /// So many of it.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self(Amount::from_nanos(self.0.nanos().saturating_mul(i64::from(count))))
    }

    /// How many whole ones of `unit` it is; none of nothing.
    pub fn holds(self, unit: Self) -> u32 {
        let count = self.0.nanos().checked_div(unit.0.nanos()).unwrap_or(0);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// How many whole ones of `unit` it is, to the nearest.
    pub(super) fn nearest(self, unit: Self) -> u32 {
        (self + unit.permille(500)).holds(unit)
    }
}

impl Add for Rate {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Rate {
    fn sum<I: Iterator<Item = Self>>(rates: I) -> Self {
        rates.fold(Self::ZERO, Self::add)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)?;
        f.write_str("/h")
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn millis(time: Duration) -> i128 {
    i128::try_from(time.as_millis()).unwrap_or(i128::from(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_rate_that_spends_an_amount_spends_no_more(
            nanos in 0_i64..1_000_000_000_000_000, secs in 1_u64..40_000_000,
        ) {
            let (amount, time) = (Amount::from_nanos(nanos), Duration::from_secs(secs));
            let spent = Rate::spending(amount, time).over(time);
            prop_assert!(spent <= amount);
            // Rounded down by less than a billionth in an hour.
            let lost = Amount::from_nanos(i64::try_from(secs / 3600 + 1).unwrap());
            prop_assert!(amount - spent <= lost);
        }
    }

    #[test]
    fn rates_are_never_negative() {
        let (one, two) = (Rate::hourly(Amount::from_units(1)), Rate::hourly(Amount::from_units(2)));
        assert_eq!((one.above(two), two.above(one)), (Rate::ZERO, one));
        assert_eq!(Rate::hourly(Amount::from_units(-1)), Rate::ZERO);
        assert_eq!((two.holds(one), one.holds(two), one.holds(Rate::ZERO)), (2, 0, 0));
        assert_eq!(two.permille(1100).to_string(), "2.20/h");
    }
}
