//! The laws that every finished plan must keep. A violation is a bug of the planner: the cycle
//! refuses the whole plan, changes nothing and says so.

use super::{Plan, PlanInput};

/// A law that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan breaks a law ({law}): {detail}; it is refused as a whole, please report this")]
pub struct Violation {
    /// The law, in a few words.
    pub law: &'static str,
    /// What breaks it.
    pub detail: String,
}

/// Checks a plan against the laws.
pub fn check(input: &PlanInput<'_>, plan: &Plan) -> Result<(), Violation> {
    let missing =
        input.policy.machinetypes.keys().find(|m| !plan.report.machinetypes.contains_key(*m));
    match missing {
        Some(machinetype) => Err(Violation {
            law: "every machinetype has exactly one reason",
            detail: format!("{machinetype} has none"),
        }),
        None => Ok(()),
    }
}
