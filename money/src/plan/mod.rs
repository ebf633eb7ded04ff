//! Spending plans: a budget, a time, communities with shares, backfill; and what follows from them in this cycle.
//!
//! The caps of the ledger hold without this module. It makes that they are not needed: spending goes along a line that
//! lands on the budget, priorities before backfill, without jumps. Whatever is said here is advice that a planner keeps to;
//! it holds no state, so that it is the same for every manager that looks at the same ledger, and after a restart.

mod advice;
mod budget;
mod ceiling;
mod controller;
mod course;
mod decision;
mod fair;
mod lately;
mod ledger;
mod merit;
mod projection;
mod rate;
mod recent;
mod standing;
mod unit;
mod view;

#[cfg(test)]
mod ceiling_tests;
#[cfg(test)]
mod lately_tests;
#[cfg(test)]
mod ledger_tests;
#[cfg(test)]
mod line_tests;
#[cfg(test)]
mod projection_tests;
#[cfg(test)]
mod tests;

pub use advice::{Advice, CommunityAdvice, Forecast, Landing, Pace, Role, Why};
pub use budget::{Budget, InvalidBudget, LANDED, Priority, Term};
pub use ceiling::{Ceiling, Held};
pub use controller::Controller;
pub use lately::{FirstSpent, Lately};
pub(crate) use ledger::STUCK;
pub use ledger::{GUARANTEED, Habit, Next, Orders, Standpoint, TRIED_AGAIN};
pub use merit::{HS23_OF_A_PROCESSOR, Offer, Worth, best, rank};
pub use projection::{Assumed, DayAhead, Outlook, Projection};
pub use rate::Rate;
pub use recent::Recent;
pub use standing::BudgetStanding;
pub use unit::Unit;
pub use view::{CommunityView, Means, PlanView, Work};
