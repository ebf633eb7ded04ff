//! What came of a simulation.

use serde::Serialize;
use vcycle_api::Timestamp;

use crate::plan::{Rate, Role};
use crate::{Amount, Community, Currency, ProviderName};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// In what is reckoned.
    pub currency: Currency,
    /// The budget.
    pub amount: Amount,
    /// Of it, what was to be spent.
    pub spendable: Amount,
    /// Its begin.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// When nothing was to run any more.
    pub stop: Timestamp,
    /// What was spent.
    pub spent: Amount,
    /// The same by a meter that knows nothing of the book.
    pub metered: Amount,
    /// In thousandths of the budget, rounded down; what was spent more is more than a thousand.
    pub landing_permille: u64,
    /// The most that was spent or could still have been spent by what ran, in any cycle; by the same meter.
    pub most_committed: Amount,
    /// What the dearest hour cost.
    pub dearest_hour: Amount,
    /// Reservations that a cap refused.
    pub refused: u64,
    /// Times that an offering was out of stock when it was tried.
    pub out_of_stock: u64,
    /// Cycles.
    pub cycles: u64,
    /// When the last machine had ended.
    pub last_end: Timestamp,
    /// What backfill cost in the place of machines that priorities had work for, whether anybody could know of it or not.
    pub backfill_before_priorities: Amount,
    /// The most that was added in a cycle, in thousandths of the target.
    pub largest_step_permille: u64,
    /// By community, in the order of the budget.
    pub communities: Vec<CommunityResult>,
    /// By provider.
    pub providers: Vec<ProviderResult>,
    /// On the way, a few hundred.
    pub samples: Vec<Sample>,
}

/// What came of a community.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CommunityResult {
    /// Its name.
    pub community: Community,
    /// What it is in the budget.
    pub role: Role,
    /// What its machines cost.
    pub spent: Amount,
    /// Of it, what was of no use: never started, no work, taken back.
    pub waste: Amount,
    /// Machines that were made.
    pub machines: u64,
    /// Work that was delivered, in HS23 hours.
    pub work: f64,
    /// Of what the priorities are to get, its part by the budget.
    pub share_wanted: Option<f64>,
    /// The same when each is due no more than its work would take, in every cycle.
    pub share_due: Option<f64>,
    /// Of what the priorities got, its part.
    pub share_got: Option<f64>,
    /// Of the work that it had, the part that found machines.
    pub served: f64,
}

/// What came of a provider.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProviderResult {
    /// Its name.
    pub provider: ProviderName,
    /// What its machines cost.
    pub spent: Amount,
    /// Of it, what was of no use.
    pub waste: Amount,
    /// Machines that were made.
    pub machines: u64,
    /// Machines that it took back.
    pub taken_back: u64,
}

/// How it stood at a time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Spent until then.
    pub spent: Amount,
    /// The target rate, on the mean since the sample before.
    pub target: Rate,
    /// The rate of each community, likewise, in the order of the result.
    pub rates: Vec<Rate>,
    /// Machines.
    pub machines: u32,
}
