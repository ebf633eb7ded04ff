//! Exact amounts. No floating point: a cap is a sum of millions of small roundings.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Parts of a currency unit in an [`Amount`].
const NANOS: i64 = 1_000_000_000;

/// An amount in billionths of a unit of the ledger's currency, up to 9.2 thousand million units. Sums saturate: what
/// does not fit is more than any cap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// More than any cap.
    pub const MAX: Self = Self(i64::MAX);

    /// From billionths of a unit.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole units.
    pub const fn from_units(units: i64) -> Self {
        Self(units.saturating_mul(NANOS))
    }

    /// Billionths of a unit.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whether it is nothing, or less.
    pub const fn is_nothing(self) -> bool {
        self.0 <= 0
    }

    /// A fraction of it, rounded up (away from a cap that is not reached yet). `None`: the whole is zero.
    pub fn share(self, part: u64, whole: u64) -> Option<Self> {
        let whole = i128::from(whole);
        let exact = i128::from(self.0) * i128::from(part);
        (whole != 0)
            .then(|| Self::fit(exact.div_euclid(whole) + i128::from(exact.rem_euclid(whole) != 0)))
    }

    /// In thousandths of a whole, rounded down. 0 of a whole that is nothing, or of less than nothing.
    pub fn permille_of(self, whole: Self) -> u64 {
        let exact = (i128::from(self.0.max(0)) * 1000).checked_div(i128::from(whole.0));
        u64::try_from(exact.unwrap_or(0).max(0)).unwrap_or(u64::MAX)
    }

    pub(crate) fn fit(nanos: i128) -> Self {
        Self(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Amount {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::add)
    }
}

impl fmt::Display for Amount {
    /// At least two decimals, and as many more as it has: what is shown is the amount. A precision rounds (half away
    /// from zero): `{:.2}` is for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(9).min(9);
        let step = 10_i128.pow(9 - u32::try_from(digits).unwrap_or(9));
        let all = i128::from(self.0).abs();
        let rounded = (all + step / 2) / step * step;
        let (units, parts) = (rounded / i128::from(NANOS), rounded % i128::from(NANOS));
        let sign = if self.0 < 0 && rounded != 0 { "-" } else { "" };
        let mut decimals = format!("{parts:09}");
        match f.precision() {
            Some(_) => decimals.truncate(digits),
            None => {
                let kept = decimals.trim_end_matches('0').len().max(2);
                decimals.truncate(kept);
            }
        }
        let point = if decimals.is_empty() { "" } else { "." };
        f.write_str(&format!("{sign}{units}{point}{decimals}"))
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Amount {
    type Err = InvalidMoney;

    /// `50000`, `0.0475`, `-12.5`; at most nine decimals.
    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        let invalid = || InvalidMoney { text: text.to_owned() };
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (units, parts) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(units) || !all_digits(parts) || parts.len() > 9 {
            return Err(invalid());
        }
        let units: i64 = units.parse().map_err(|_| invalid())?;
        let parts: i64 = format!("{parts:0<9}").parse().map_err(|_| invalid())?;
        let nanos = units.checked_mul(NANOS).and_then(|nanos| nanos.checked_add(parts));
        nanos.map(|nanos| Self(sign * nanos)).ok_or_else(invalid)
    }
}

/// A currency: the three capital letters of ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Pounds sterling.
    pub const GBP: Self = Self(*b"GBP");
    /// Euros.
    pub const EUR: Self = Self(*b"EUR");
    /// US dollars.
    pub const USD: Self = Self(*b"USD");
}

impl FromStr for Currency {
    type Err = InvalidMoney;
    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        let letters = <[u8; 3]>::try_from(text.as_bytes()).ok();
        let letters = letters.filter(|letters| letters.iter().all(u8::is_ascii_uppercase));
        letters.map(Self).ok_or_else(|| InvalidMoney { text: text.to_owned() })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An amount of a currency, written `50000 GBP`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
}

impl FromStr for Money {
    type Err = InvalidMoney;
    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        let invalid = |_| InvalidMoney { text: text.to_owned() };
        let (amount, currency) =
            text.split_once(' ').ok_or_else(|| InvalidMoney { text: text.to_owned() })?;
        Ok(Self {
            amount: amount.parse().map_err(invalid)?,
            currency: currency.trim_start().parse().map_err(invalid)?,
        })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.amount, f)?;
        write!(f, " {}", self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is no amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no amount of money: write for example \"12.50 GBP\", with at most nine decimals and a point before them"
)]
pub struct InvalidMoney {
    /// The text.
    pub text: String,
}

/// Written and read as its text: a number of a file format could lose digits.
macro_rules! serialized_as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
serialized_as_text!(Amount, Currency, Money);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_amount_survives_its_text(nanos in -i64::MAX..i64::MAX) {
            let amount = Amount::from_nanos(nanos);
            prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
            let money = Money { amount, currency: Currency::GBP };
            let text = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), money);
        }

        #[test]
        fn a_share_is_never_less_than_exact_and_less_than_a_billionth_more(
            nanos in 0..i64::MAX, part in 0_u64..100_000, whole in 1_u64..100_000,
        ) {
            prop_assume!(part <= whole);
            let share = i128::from(Amount::from_nanos(nanos).share(part, whole).unwrap().nanos());
            let exact = i128::from(nanos) * i128::from(part);
            prop_assert!(share * i128::from(whole) >= exact);
            prop_assert!((share - 1) * i128::from(whole) < exact || share == 0);
        }
    }

    #[test]
    fn people_see_pence_and_files_see_everything() {
        let amount: Amount = "0.0475".parse().unwrap();
        assert_eq!((amount.to_string(), format!("{amount:.2}")), ("0.0475".into(), "0.05".into()));
        assert_eq!(Amount::from_units(-3).to_string(), "-3.00");
        assert_eq!(format!("{:.0}", "999.5".parse::<Amount>().unwrap()), "1000");
        assert_eq!(format!("{:.2}", "-0.004".parse::<Amount>().unwrap()), "0.00");
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in
            ["", ".", "1.", ".5", "1,5", "+1", "1e3", "--1", "1.0000000001", "9223372037", "1 GBP"]
        {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
        for text in ["5", "5 gbp", "5 GB", "5 POUND", "GBP 5"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn sums_do_not_wrap() {
        assert_eq!(Amount::MAX + Amount::from_units(1), Amount::MAX);
        assert_eq!([Amount::MAX, Amount::MAX].into_iter().sum::<Amount>(), Amount::MAX);
    }
}
