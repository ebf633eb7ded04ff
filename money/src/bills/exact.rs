//! The amounts on bills: exact beyond the billionths of the ledger, since a bill sums up a great many small ones.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::str::FromStr;

use crate::Amount;

/// Parts of a unit: AWS writes ten decimals, and Google writes binary fractions with up to 17 digits.
const DECIMALS: i32 = 18;
/// Parts in a billionth.
const IN_A_NANO: i128 = 1_000_000_000;
/// A million millions: more is on no bill, and the sum of as many lines as could ever be read does not overflow.
const LARGEST: i128 = 10_i128.pow(12 + 18);
/// As many digits as can be multiplied without overflow.
const MOST_DIGITS: usize = 36;

/// An amount with 18 decimals; what has more is rounded there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Exact(i128);

/// A text that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no amount of money")]
pub struct NotExact {
    /// Its beginning.
    pub text: String,
}

impl Exact {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// In billionths, rounded to the nearest.
    pub fn amount(self) -> Amount {
        Amount::fit(rounded(self.0, IN_A_NANO))
    }

    /// Its part, such as the hours of a day in all hours; all of it, where the whole is nothing.
    pub(super) fn share(self, part: u64, whole: u64) -> Self {
        // What is on bills can be multiplied with the milliseconds of a day.
        let product = self.0.checked_mul(i128::from(part));
        product.and_then(|product| product.checked_div(whole.into())).map_or(self, Self)
    }

    /// In another currency, a unit of which is so many of this; `None`: more than is on any bill.
    pub fn converted(self, rate: Amount) -> Option<Self> {
        let product = self.0.checked_mul(i128::from(rate.nanos()))?;
        Some(Self(rounded(product, IN_A_NANO)))
    }
}

/// The nearest quotient, halves away from zero.
fn rounded(value: i128, by: i128) -> i128 {
    let half = by / 2;
    (value + if value < 0 { -half } else { half }) / by
}

impl From<Amount> for Exact {
    fn from(amount: Amount) -> Self {
        Self(i128::from(amount.nanos()) * IN_A_NANO)
    }
}

impl FromStr for Exact {
    type Err = NotExact;

    /// `12`, `-0.0000002500`, `2.5E-7`, `.5`.
    fn from_str(text: &str) -> Result<Self, NotExact> {
        parse(text.as_bytes())
            .ok_or_else(|| NotExact { text: text.chars().take(40).collect() })
            .map(Self)
    }
}

fn parse(text: &[u8]) -> Option<i128> {
    let (negative, text) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let (digits, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&text[..at], std::str::from_utf8(&text[at + 1..]).ok()?.parse().ok()?),
        None => (text, 0_i32),
    };
    let (units, parts) = match digits.iter().position(|byte| *byte == b'.') {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &digits[..0]),
    };
    let all = || units.iter().chain(parts).copied();
    if units.is_empty() && parts.is_empty() || !all().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // The value is MANTISSA * 10^shift in our parts.
    let significant: Vec<u8> = all().skip_while(|byte| *byte == b'0').collect();
    let kept = &significant[..significant.len().min(MOST_DIGITS)];
    let dropped = i32::try_from(significant.len() - kept.len()).ok()?;
    let decimals = i32::try_from(parts.len()).ok()?;
    let shift = exponent.checked_add(DECIMALS + dropped)?.checked_sub(decimals)?;
    let mantissa = kept.iter().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    let value = match u32::try_from(shift) {
        _ if mantissa == 0 => 0,
        Ok(shift) => mantissa.checked_mul(10_i128.checked_pow(shift)?)?,
        // Smaller than half of our parts, however many digits it has.
        Err(_) if shift < -37 => 0,
        Err(_) => rounded(mantissa, 10_i128.pow(shift.unsigned_abs())),
    };
    (value <= LARGEST).then_some(if negative { -value } else { value })
}

impl Add for Exact {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Exact {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Exact {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Exact {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Exact {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::add)
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u128.pow(18);
        let (sign, all) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let decimals = format!("{:018}", all % unit);
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{sign}{}.{}", all / unit, &decimals[..kept])
    }
}

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(text: &str) -> Exact {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_read_as_every_bill_writes_them() {
        for (text, same) in [
            ("0.0000002500", "0.00000025"),
            ("2.5E-7", "0.00000025"),
            ("1e-06", "0.000001"),
            ("+12.", "12.00"),
            (".5", "0.50"),
            ("-0.1e1", "-1.00"),
            ("1.2345678901234567e-06", "0.000001234567890123"),
            ("0.0000000000000000005", "0.000000000000000001"),
            ("1e-99", "0.00"),
            ("0e99", "0.00"),
            ("123456789012.123456789", "123456789012.123456789"),
        ] {
            assert_eq!(exact(text).to_string(), same, "{text}");
        }
        let thirds = format!("0.{}", "3".repeat(200));
        assert_eq!(exact(&thirds).to_string(), format!("0.{}", "3".repeat(18)));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "e5",
            "1e",
            "1,5",
            "NaN",
            "inf",
            "1e13",
            "0x1",
            "1 ",
            "--1",
            "1.2.3",
            "1e99999999999",
        ] {
            assert!(text.parse::<Exact>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_million_small_amounts_add_up_where_billionths_would_not() {
        let line = exact("0.0000000004");
        let sum: Exact = std::iter::repeat_n(line, 1_000_000).sum();
        assert_eq!(sum.amount(), "0.0004".parse().unwrap());
        assert_eq!(line.amount(), Amount::ZERO);
    }

    #[test]
    fn a_rate_of_exchange_keeps_all_digits() {
        let rate: Amount = "0.791234567".parse().unwrap();
        assert_eq!(exact("1000.000000001").converted(rate), Some(exact("791.234567000791234567")));
        assert_eq!(exact("999999999999").converted(Amount::MAX), None);
    }

    proptest! {
        #[test]
        fn every_amount_of_the_ledger_survives(nanos in -i64::MAX..i64::MAX) {
            let amount = Amount::from_nanos(nanos);
            prop_assert_eq!(Exact::from(amount).amount(), amount);
            prop_assert_eq!(exact(&amount.to_string()), Exact::from(amount));
        }

        #[test]
        fn any_text_is_an_amount_or_refused(text in "[-+0-9.eE]{0,60}") {
            if let Ok(read) = text.parse::<Exact>() {
                prop_assert_eq!(exact(&read.to_string()), read);
            }
        }
    }
}
