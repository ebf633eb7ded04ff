//! What communities got lately: means with decay, by which shares are made even over months.

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle_api::Timestamp;

use super::Rate;
use crate::{Amount, Community};

/// Mean rates with exponential decay. A quantity of control, not of accounts: the sums of money are the ledger's.
#[derive(Debug, Clone, PartialEq)]
pub struct Recent {
    half_life: Duration,
    at: Timestamp,
    decayed: BTreeMap<Community, f64>,
}

impl Recent {
    /// Nothing was spent yet.
    pub fn new(half_life: Duration, at: Timestamp) -> Self {
        Self { half_life, at, decayed: BTreeMap::new() }
    }

    /// From what was spent in each hour (or any other time), in any order.
    pub fn from_hours<'a>(
        half_life: Duration,
        now: Timestamp,
        hours: impl Iterator<Item = (Timestamp, &'a Community, Amount)>,
    ) -> Self {
        let mut recent = Self::new(half_life, now);
        for (hour, community, amount) in hours {
            let weight = recent.weight(now.since(hour));
            recent.add(community, amount, weight);
        }
        recent
    }

    /// Books what was spent until `now`, which does not go back.
    pub fn spend<'a>(
        &mut self,
        now: Timestamp,
        spent: impl Iterator<Item = (&'a Community, Amount)>,
    ) {
        let fade = self.weight(now.since(self.at));
        self.decayed.values_mut().for_each(|sum| *sum *= fade);
        self.at = self.at.max(now);
        spent.for_each(|(community, amount)| self.add(community, amount, 1.0));
    }

    /// The mean rate of a community: what spends steadily comes to its own rate after some half-lives.
    pub fn rate(&self, community: &Community) -> Rate {
        let hours = self.half_life.as_secs_f64() / 3600.0 / std::f64::consts::LN_2;
        let nanos = self.decayed.get(community).map_or(0.0, |sum| sum / hours);
        // A float that does not fit saturates.
        Rate::hourly(Amount::from_nanos(nanos as i64))
    }

    fn weight(&self, age: Duration) -> f64 {
        (-age.as_secs_f64() / self.half_life.as_secs_f64()).exp2()
    }

    fn add(&mut self, community: &Community, amount: Amount, weight: f64) {
        *self.decayed.entry(community.clone()).or_default() += amount.nanos() as f64 * weight;
    }
}
