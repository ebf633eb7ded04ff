//! The brain: `plan(&PlanInput) -> Plan`. Pure, deterministic, explains itself: no IO, no clock,
//! no unseeded randomness, not async. Time and seed are fields of the input.

mod input;
mod step;

pub use input::{Orphan, PlanInput, QuotaStop};
pub use step::{Fact, NewMachine, Plan, Reason, Report, Step};
