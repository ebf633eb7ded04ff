//! What a controller looks at: a budget's part of the ledger, and what runs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use super::{Rate, Unit};
use crate::{Amount, Community};

/// A budget now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanView {
    /// The time.
    pub now: Timestamp,
    /// What ended machines cost.
    pub settled: Amount,
    /// What the machines that run have cost until now: a part of `reserved`.
    pub accrued: Amount,
    /// The worst that open reservations may cost, from their begin.
    pub reserved: Amount,
    /// The communities of the budget, and others that spend from it.
    pub communities: BTreeMap<Community, CommunityView>,
    /// What machines of no community cost.
    pub other: Rate,
    /// What a machine costs that would be made next: of several, the cheapest. Nothing: none could be made.
    pub unit: Unit,
    /// How long a machine may live that is made now, of those that live longest.
    pub longest: Duration,
    /// How much longer its reservation goes than its hard end.
    pub overstay: Duration,
    /// What was spent lately.
    pub means: Means,
    /// How many spaces act on the advice at once without knowing of each other; 0 counts as 1.
    pub planners: u32,
    /// Whether its space is the first of them by name: it alone takes what is too little for a part of each.
    pub is_first: bool,
}

/// A community now. `guaranteed` and `leaving` are parts of `running` without overlap; so is `unproven`, which most of the
/// time is a part of `guaranteed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommunityView {
    /// What its machines cost, those that were asked for included.
    pub running: Rate,
    /// Of machines that are within the time that they were promised.
    pub guaranteed: Rate,
    /// Of machines that were told to end.
    pub leaving: Rate,
    /// Of machines that are so young that nobody knows whether they found work.
    pub unproven: Rate,
    /// Of machines that found work and were made after the last that found none: twice as much is tried at once.
    pub proven: Rate,
    /// Of machines that were made in the last half hour, or in twice the time that shows whether they found work, if that is longer: so
    /// much can be made for it.
    pub lately: Rate,
    /// What the cheapest machine of it costs that can be made next. Nothing: none can be made for it.
    pub unit: Unit,
    /// How long a machine of it may live that is made now.
    pub longest: Duration,
    /// Whether one was tried minutes ago, and none came of it: a cap of its own, a quota, a limit. Where a step is one machine, it is
    /// for others then, who would wait for ever.
    pub in_vain: bool,
    /// Whether it has work.
    pub work: Work,
    /// What it got lately, on the mean, with decay: [`super::Recent`].
    pub recent: Rate,
}

/// Whether a community has work. Nobody is asked: it follows from how its machines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// A machine ended lately because there was none.
    #[default]
    No,
    /// A machine that was made since then, or the first one, is seeing whether there is some.
    Trying,
    /// That was a while ago, or none was ever made: worth a try with one machine.
    Perhaps,
    /// No machine of it ended lately for want of work.
    Yes,
    /// It has, but no machine could be made for it lately: out of stock, quota, limits. Room is not kept free for it.
    Stuck,
}

/// Mean rates of all that was spent from the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Means {
    /// Over the last 6 hours; `None`: something was first spent later.
    pub six_hours: Option<Rate>,
    /// Over the last 24 hours.
    pub day: Option<Rate>,
}

impl PlanView {
    /// Spent until now.
    pub fn spent(&self) -> Amount {
        self.settled + self.accrued
    }

    /// What all machines cost in an hour.
    pub fn burn(&self) -> Rate {
        self.communities.values().map(|view| view.running).sum::<Rate>() + self.other
    }

    /// What will be left of it when all that were told to have ended.
    pub fn staying(&self) -> Rate {
        self.burn().above(self.communities.values().map(|view| view.leaving).sum())
    }
}
