//! Bills in other currencies than the ledger's.

use std::collections::BTreeMap;

use vcycle_api::Timestamp;

use super::{Day, Exact, RateUsed};
use crate::{Amount, Currency, ExchangeRates};

/// The currency of the ledger, and what a unit of others is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The currency of the ledger.
    pub currency: Currency,
    /// For other currencies, the price of a unit. These are before the dated ones, for all days.
    pub rates: BTreeMap<Currency, Amount>,
    /// Rates by days, as the ledger itself is reckoned: with their margin.
    pub dated: Option<ExchangeRates>,
}

/// A bill is in a currency that has no rate, or its sum is absurd.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the bill has amounts in {from}, and the ledger is in {to}: what is a unit of {from} in {to}?"
)]
pub struct NoRate {
    /// That of the bill.
    pub from: Currency,
    /// That of the ledger.
    pub to: Currency,
    /// What the dated rates say of it.
    pub why: Option<String>,
}

/// What was used of an exchange.
pub(super) type RatesUsed = BTreeMap<Currency, RateUsed>;

impl Exchange {
    /// An amount of that time in the currency of the ledger.
    pub(super) fn convert(
        &self,
        cost: Exact,
        from: Currency,
        at: Timestamp,
        used: &mut RatesUsed,
    ) -> Result<Exact, NoRate> {
        let to = self.currency;
        if from == to {
            return Ok(cost);
        }
        let absurd = || NoRate { from, to, why: None };
        let said = self.rates.get(&from);
        let worth = match (said, self.dated()) {
            (Some(said), _) => *said,
            (None, Some(dated)) => dated.worth(from, at).map_err(|lack| NoRate {
                from,
                to,
                why: Some(lack.to_string()),
            })?,
            (None, None) => return Err(absurd()),
        };
        let used = used.entry(from).or_insert_with(|| RateUsed::new(worth, said.is_some()));
        used.take(worth, Day::of(at), || self.dated()?.about(from, at));
        cost.converted(worth).ok_or_else(absurd)
    }

    /// Rates into another currency tell nothing.
    fn dated(&self) -> Option<&ExchangeRates> {
        self.dated.as_ref().filter(|dated| ExchangeRates::into(dated) == self.currency)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::day::moment;
    use super::*;
    use crate::{Permille, Rate};

    fn exchange(said: &[(Currency, &str)]) -> Exchange {
        let rate = |on: &str, worth: &str| Rate {
            currency: Currency::USD,
            worth: worth.parse().unwrap(),
            on: moment(on).unwrap(),
            written: "rates.toml:1".into(),
        };
        let rates = vec![rate("2026-11-10 00:00:00", "0.8"), rate("2026-11-12 00:00:00", "0.6")];
        let age = Duration::from_secs(10 * 86_400);
        Exchange {
            currency: Currency::GBP,
            rates: said.iter().map(|(of, worth)| (*of, worth.parse().unwrap())).collect(),
            dated: Some(ExchangeRates::new(Currency::GBP, rates, Permille(50), age)),
        }
    }

    fn ten(exchange: &Exchange, from: Currency, on: &str) -> Result<String, NoRate> {
        let at = moment(&format!("{on} 12:00:00")).unwrap();
        let cost = exchange.convert("10".parse().unwrap(), from, at, &mut RatesUsed::new());
        cost.map(|cost| cost.to_string())
    }

    /// The ledger has reserved and settled with the margin. Without it the bill would make room for which nobody knows yet
    /// whether the rate of the day of payment leaves it.
    #[test]
    fn the_rate_of_the_day_counts_with_its_margin_as_in_the_ledger() {
        let dated = exchange(&[]);
        assert_eq!(ten(&dated, Currency::USD, "2026-11-11").unwrap(), "8.40");
        assert_eq!(ten(&dated, Currency::USD, "2026-11-12").unwrap(), "6.30");
        assert_eq!(ten(&dated, Currency::GBP, "2026-11-12").unwrap(), "10.00");
    }

    #[test]
    fn a_rate_that_is_said_is_before_all_others_and_exact() {
        let said = exchange(&[(Currency::USD, "0.75"), (Currency::EUR, "0.9")]);
        assert_eq!(ten(&said, Currency::USD, "2026-11-12").unwrap(), "7.50");
        assert_eq!(ten(&said, Currency::EUR, "2026-11-12").unwrap(), "9.00");
    }

    #[test]
    fn without_a_rate_of_the_day_it_is_said_what_there_is() {
        let dated = exchange(&[]);
        for (currency, day, words) in [
            (Currency::USD, "2026-11-09", "for 2026-11-09: the oldest is of 2026-11-10"),
            (Currency::USD, "2026-12-24", "2026-11-12"),
            (Currency::EUR, "2026-11-12", "EUR"),
        ] {
            let why = ten(&dated, currency, day).unwrap_err().why.expect("a reason");
            assert!(why.contains(words), "{why}");
        }
        let into_euros = Exchange { currency: Currency::EUR, ..dated };
        assert_eq!(ten(&into_euros, Currency::USD, "2026-11-12").unwrap_err().why, None);
    }
}
