//! Requests per minute: counted by group, and begun anew at each full minute of the clock.

use vcycle_api::Timestamp;

use crate::testing::reply::{self, Reply};
use crate::testing::site::Rates;

/// The minute under way.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    minute: i64,
    mutations: u32,
    reads: u32,
    lists: u32,
    /// Requests that were refused, in all.
    pub(crate) refused: u64,
}

impl Rate {
    /// Counts a call, or refuses it.
    pub(crate) fn count(
        &mut self,
        rates: Rates,
        method: &str,
        now: Timestamp,
    ) -> Result<(), Reply> {
        let minute = now.as_secs().div_euclid(60);
        if self.minute != minute {
            let refused = self.refused;
            *self = Self { minute, refused, ..Self::default() };
        }
        let verb = method.rsplit('.').next().unwrap_or_default();
        let (count, limit, group) = match verb {
            "list" | "aggregatedList" => (&mut self.lists, rates.lists, "List requests"),
            "get" | "getFromFamily" | "wait" => (&mut self.reads, rates.reads, "Read requests"),
            _ => (&mut self.mutations, rates.mutations, "Queries"),
        };
        if *count >= limit {
            self.refused += 1;
            return Err(reply::too_many(group));
        }
        *count += 1;
        Ok(())
    }
}
