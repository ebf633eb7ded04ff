//! The brain: `plan(&PlanInput) -> Plan`. Pure, deterministic, explains itself: no IO, no clock,
//! no unseeded randomness, not async. Time and seed are fields of the input.

mod check;
mod input;
mod snapshot;
mod step;
mod words;

pub use check::{Violation, check};
pub use input::{Orphan, PlanInput, QuotaStop};
pub use snapshot::{SnapshotFrame, snapshot};
pub use step::{Fact, NewMachine, Plan, Reason, Report, Step};
pub use words::{duration_words, listing_words};

/// What to do in this cycle, and why; also why not.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let mut report = Report::default();
    for name in input.policy.machinetypes.keys() {
        let reason = Reason::NoOfferings { why: "the planner is not finished".to_owned() };
        report.machinetypes.insert(name.clone(), reason);
    }
    Plan { steps: Vec::new(), report }
}

/// Processors in use in the whole tenancy, as limits count them: machines of ours that hold a
/// place, foreign ones, and whatever else the cloud counts. The measure of [`QuotaStop::used`].
pub fn processors_in_use(input: &PlanInput<'_>) -> crate::model::Processors {
    input.strangers.processors
}
