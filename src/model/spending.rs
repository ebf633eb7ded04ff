//! What a manager shows of the money of the deployment.

use serde::{Deserialize, Serialize};
use vcycle_money::bills::Day;
use vcycle_money::book::Stage;
use vcycle_money::plan::{Budget, BudgetStanding, Forecast, Pace, Term};
use vcycle_money::{Amount, Book, CapName, Currency, Span, Standing};

use super::Timestamp;
use super::sums::{Both, Sides};

/// Caps and rates, as one manager last read the ledger: of all managers of the deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpendingBoard {
    /// Version of this format.
    pub format: u32,
    /// When it was looked at.
    pub at: Timestamp,
    /// Of every amount here.
    pub currency: Currency,
    /// Why nothing can be reserved, or why newer caps are not taken up; `None`: all is well.
    pub problem: Option<String>,
    /// The last entry of the ledger.
    pub entry: u64,
    /// Machines that something is reserved for.
    pub reservations: usize,
    /// Since when `spent` and `waste` are counted: the beginning of this month (of UTC).
    pub since: Timestamp,
    /// Spent since then, by machines that have ended and by those that may exist.
    pub spent: Amount,
    /// What of it was of no use: machines that fizzled, never started or were taken back.
    pub waste: Amount,
    /// The worst that all open reservations may cost, from their begin.
    pub committed: Amount,
    /// The same by space, community, machinetype and market.
    #[serde(flatten)]
    pub sides: Sides,
    /// Spent in an hour, by the last hour.
    pub rate_1h: Amount,
    /// By the last six hours.
    pub rate_6h: Amount,
    /// By the last day.
    pub rate_24h: Amount,
    /// Every cap in force, by name.
    pub caps: Vec<CapRow>,
    /// Every budget, each of which is among the caps, too.
    #[serde(default)]
    pub budgets: Vec<BudgetRow>,
}

/// A cap in its present window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapRow {
    /// Its name.
    pub cap: CapName,
    /// Its present window; `None`: the grant has not begun, or is over.
    pub window: Option<Span>,
    /// The limit.
    pub limit: Amount,
    /// Spent by machines that have ended.
    pub settled: Amount,
    /// Kept free for machines that may exist.
    pub reserved: Amount,
    /// What these have cost until now.
    pub running: Amount,
    /// What may still be reserved; less than nothing when it is passed.
    pub left: Amount,
    /// What follows.
    pub stage: Stage,
    /// Where it leads if what runs now goes on to the end of the window.
    #[serde(default)]
    pub forecast: Option<Forecast>,
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// Its name.
    pub budget: CapName,
    /// Where in its time it is.
    pub term: Term,
    /// How much is to be spent, its reserve included.
    pub amount: Amount,
    /// Spent until now, by machines that have ended and by those that may exist.
    pub spent: Amount,
    /// The most that those may still cost.
    pub committed: Amount,
    /// The rate in an hour that lands on the budget.
    pub target: Amount,
    /// What runs now costs in an hour.
    pub rate: Amount,
    /// Where it lands if what runs now runs to the end; no cap is thought of.
    pub lands: Amount,
    /// The same by the mean of the last six hours; `None`: it is younger.
    pub lands_6h: Option<Amount>,
    /// The same by the mean of the last day.
    pub lands_24h: Option<Amount>,
    /// When the amount is reached by what runs now, if that is before the end.
    pub exhausted: Option<Timestamp>,
    /// Whether it is on its line.
    pub pace: Pace,
    /// When nothing of it runs any more.
    pub stop: Timestamp,
    /// Days until then.
    pub days_left: f64,
}

impl SpendingBoard {
    /// As the ledger shows it at a time.
    pub fn of(
        (book, budgets): (&Book, &[Budget]),
        currency: Currency,
        at: Timestamp,
        problem: Option<String>,
    ) -> Self {
        let hour = std::time::Duration::from_secs(3600);
        let since = Day::of(at).first_of_month().begin();
        let month = Span { from: since, to: at };
        let spent = Both::of(book, month);
        Self {
            format: 1,
            at,
            currency,
            problem,
            entry: book.head().number,
            reservations: book.reservations_len(),
            since,
            spent: spent.all(),
            waste: spent.settled.waste(),
            committed: book.committed().all,
            sides: Sides::of(book, month, at),
            rate_1h: book.rate(at, hour),
            rate_6h: book.rate(at, 6 * hour),
            rate_24h: book.rate(at, 24 * hour),
            caps: book.standings(at).iter().map(|cap| CapRow::of(cap, at)).collect(),
            budgets: budgets
                .iter()
                .map(|budget| BudgetRow::of(budget.standing(book, at), at))
                .collect(),
        }
    }

    /// Whether it says nothing that another one does not, but for the time that passes.
    pub fn is_old_news(&self, before: &Self) -> bool {
        let state = |row: &CapRow| (row.cap.clone(), row.window, row.limit, row.stage);
        let of_budget = |row: &BudgetRow| (row.budget.clone(), row.term, row.stop);
        let same = |a: &Self, b: &Self| {
            a.caps.iter().map(state).eq(b.caps.iter().map(state))
                && a.budgets.iter().map(of_budget).eq(b.budgets.iter().map(of_budget))
        };
        let is_young = self.at.since(before.at) < std::time::Duration::from_secs(60);
        is_young
            && self.entry == before.entry
            && self.problem == before.problem
            && same(self, before)
    }
}

impl CapRow {
    fn of(standing: &Standing, at: Timestamp) -> Self {
        Self {
            cap: standing.cap.name.clone(),
            window: standing.window,
            limit: standing.cap.limit,
            settled: standing.sum.settled(),
            reserved: standing.sum.reserved(),
            running: standing.run_up,
            left: standing.left(),
            stage: standing.stage,
            forecast: standing.forecast(at),
        }
    }
}

impl BudgetRow {
    fn of(standing: BudgetStanding, at: Timestamp) -> Self {
        let BudgetStanding { budget, term, amount, spent, committed, .. } = standing;
        let BudgetStanding { target, burn, landing, pace, stop, .. } = standing;
        Self {
            budget,
            term,
            amount,
            spent,
            committed,
            target: target.in_an_hour(),
            rate: burn.in_an_hour(),
            lands: landing.now.lands,
            lands_6h: landing.six_hours.map(|forecast| forecast.lands),
            lands_24h: landing.day.map(|forecast| forecast.lands),
            exhausted: landing.now.exhausted,
            pace,
            stop,
            days_left: stop.since(at).as_secs_f64() / 86_400.0,
        }
    }
}
