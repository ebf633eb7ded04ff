//! Rates of exchange to the currency of the ledger.

use std::time::Duration;

use vcycle_api::Timestamp;

use super::lack::Lack;
use super::list::Written;
use crate::{Amount, Currency, Money, Permille};

/// What one unit of a currency is worth on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// The currency.
    pub currency: Currency,
    /// Its worth in the currency of the ledger.
    pub worth: Amount,
    /// When it was.
    pub on: Timestamp,
    /// Where it stands.
    pub written: Written,
}

/// All rates to the currency of the ledger. The newest counts; none of the future does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRates {
    into: Currency,
    rates: Vec<Rate>,
    margin: Permille,
    age: Duration,
}

/// Parts of a unit in the worth of another.
const PARTS: u64 = 1_000_000_000;

impl ExchangeRates {
    /// To the currency `into`. What is converted is dearer by `margin`, because the bill is of another day. Rates older
    /// than `age` are not used.
    pub fn new(into: Currency, rates: Vec<Rate>, margin: Permille, age: Duration) -> Self {
        Self { into, rates, margin, age }
    }

    /// The currency of the ledger.
    pub fn into(&self) -> Currency {
        self.into
    }

    /// The currencies that there are rates of.
    pub fn currencies(&self) -> impl Iterator<Item = Currency> {
        self.rates.iter().map(|rate| rate.currency)
    }

    /// An amount that is not negative, in the currency of the ledger, by the rate of that time, with the margin, rounded
    /// up.
    ///
    /// # Errors
    /// When there is no rate that can be used.
    pub fn convert(&self, money: Money, at: Timestamp) -> Result<Amount, Lack> {
        if money.currency == self.into {
            return Ok(money.amount);
        }
        let rate = self.at(money.currency, at)?;
        let worth = u64::try_from(rate.worth.nanos()).expect("a worth above zero");
        let exact = money.amount.share(worth, PARTS).expect("parts are not zero");
        Ok(self.with_margin(exact))
    }

    /// What a unit of another currency is worth by the rate of that time, with the margin, rounded up.
    ///
    /// # Errors
    /// When there is no rate that can be used.
    pub fn worth(&self, from: Currency, at: Timestamp) -> Result<Amount, Lack> {
        self.at(from, at).map(|rate| self.with_margin(rate.worth))
    }

    /// What a unit of another currency was worth about that time, as it stands there: the newest rate before, else the
    /// oldest after. Only to compare with: it may be years away.
    pub fn about(&self, from: Currency, at: Timestamp) -> Option<Amount> {
        let oldest = || self.of(from).min_by_key(|rate| rate.on);
        let rate = self.newest(from, at).or_else(oldest)?;
        Some(rate.worth).filter(|worth| !worth.is_nothing())
    }

    fn of(&self, from: Currency) -> impl Iterator<Item = &Rate> {
        self.rates.iter().filter(move |rate| rate.currency == from)
    }

    fn newest(&self, from: Currency, at: Timestamp) -> Option<&Rate> {
        self.of(from).filter(|rate| rate.on <= at).max_by_key(|rate| rate.on)
    }

    fn with_margin(&self, amount: Amount) -> Amount {
        amount.share(1000 + u64::from(self.margin.0), 1000).expect("a thousand is not zero")
    }

    /// The newest rate at that time.
    fn at(&self, from: Currency, at: Timestamp) -> Result<&Rate, Lack> {
        let into = self.into;
        let Some(rate) = self.newest(from, at) else {
            let oldest = self.of(from).min_by_key(|rate| rate.on);
            return Err(oldest.map_or(Lack::NoRate { from, into }, |rate| Lack::RateOnlyLater {
                from,
                into,
                at,
                oldest: rate.on,
                written: rate.written.clone(),
            }));
        };
        let (on, limit) = (rate.on, self.age);
        let written = || rate.written.clone();
        if rate.worth.is_nothing() {
            return Err(Lack::RateNotPositive { from, into, written: written() });
        }
        if at.since(on) > limit {
            return Err(Lack::RateTooOld { from, into, on, limit, written: written() });
        }
        Ok(rate)
    }
}
