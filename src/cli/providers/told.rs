//! What a cloud tells of its prices, in the form of a price list.
#![cfg_attr(
    not(all(feature = "openstack", feature = "aws", feature = "gcp")),
    allow(dead_code, reason = "each cloud uses a part")
)]

use std::time::Duration;

use anyhow::Context as _;
use vcycle_money::bills::Exact;
use vcycle_money::{Amount, Currency};

use crate::model::Market;

/// What is known of prices before anybody is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The currency that prices are wanted in.
    pub(crate) currency: Option<Currency>,
    /// For how long costs of a rating service are.
    pub(crate) period: Option<Duration>,
}

/// The prices of a space.
#[derive(Debug)]
pub(crate) struct ToldPrices {
    /// Who was asked, and for what.
    pub(crate) source: String,
    /// What whoever takes the list over should know; a line each.
    pub(crate) remarks: Vec<String>,
    /// Of all prices.
    pub(crate) currency: Currency,
    /// The shortest time that is charged, in seconds.
    pub(crate) minimum: u64,
    /// Time is charged in whole numbers of it: `1s`, `1m`, `1h`.
    pub(crate) granularity: &'static str,
    /// Of whom the list is.
    pub(crate) reach: Reach,
    /// The prices. Of several of one type and market the dearest counts.
    pub(crate) prices: Vec<ToldPrice>,
    /// What has no certain price, and why; a line each.
    pub(crate) left_out: Vec<String>,
}

/// For which machines prices are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// For all of the region.
    Region,
    /// For this space: another tenancy may pay something else.
    Space,
}

/// One price.
#[derive(Debug)]
pub(crate) struct ToldPrice {
    /// Type.
    pub(crate) flavour: String,
    /// Market.
    pub(crate) market: Market,
    /// For an hour.
    pub(crate) per_hour: Amount,
    /// Where it holds or what it is made of, for people.
    pub(crate) remark: String,
}

impl Wanted {
    /// For clouds that tell prices in this currency alone.
    pub(crate) fn only(self, currency: Currency) -> anyhow::Result<Currency> {
        match self.currency.filter(|wanted| *wanted != currency) {
            None => Ok(currency),
            Some(wanted) => anyhow::bail!(
                "its cloud tells prices in {currency}, not in {wanted}: leave --currency out"
            ),
        }
    }
}

/// A sum and its factors, each a decimal text.
pub(crate) fn product(sums: &[String], factors: &[String]) -> anyhow::Result<Exact> {
    let sums = sums.iter().map(|text| text.parse::<Exact>());
    let dearest = sums.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or_default();
    factors.iter().try_fold(dearest, |product, factor| {
        // Services write factors by way of floating point: 0.2000000000000000111.
        let factor = factor.parse::<Exact>()?.amount();
        product.converted(factor).context("a cost is out of all bounds")
    })
}

/// What costs so much in a period, for an hour.
pub(crate) fn for_an_hour(cost: Exact, period: Duration) -> anyhow::Result<Amount> {
    let seconds = period.as_secs();
    if period.subsec_nanos() != 0 || seconds == 0 || 3600 % seconds != 0 {
        anyhow::bail!(
            "its rating service counts in periods of {} s, which are no whole part of an hour: write its list by hand",
            period.as_secs_f64()
        );
    }
    let times = usize::try_from(3600 / seconds)?;
    Ok(std::iter::repeat_n(cost, times).sum::<Exact>().amount())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn the_dearest_sum_of_a_group_is_multiplied_by_all_its_factors() {
        let cost = product(&texts(&["0.02", "0.1000000000000000055511151231"]), &[]).unwrap();
        assert_eq!(cost.amount(), "0.1".parse().unwrap());
        let factors = texts(&["0.2000000000000000111022302463", "5"]);
        let cost = product(&texts(&["0.1"]), &factors).unwrap();
        assert_eq!(cost.amount(), "0.1".parse().unwrap());
        assert!(product(&texts(&["1e99"]), &[]).is_err());
        assert!(product(&texts(&["0,1"]), &[]).is_err());
    }

    #[test]
    fn costs_of_a_period_are_added_up_to_an_hour_before_they_are_rounded() {
        let cost: Exact = "0.0000000004".parse().unwrap();
        let hour = |seconds| for_an_hour(cost, Duration::from_secs(seconds));
        assert_eq!(hour(3600).unwrap(), Amount::ZERO);
        assert_eq!(hour(300).unwrap(), Amount::from_nanos(5));
        for seconds in [0, 7, 7200] {
            assert!(hour(seconds).is_err(), "{seconds}");
        }
    }
}
