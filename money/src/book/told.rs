//! What the ends of machines told of the work that there is: nobody is asked, and no manager needs a memory of its own.

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use super::Book;
use crate::{Account, SettleReason};

/// What the ends of the machines of an account told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told {
    /// When the last one ended that found no work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_work: Option<Timestamp>,
    /// When the youngest was made of those that had work and have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Timestamp>,
    /// When the last one ended that never started: nothing younger is known to have started by its age alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never_started: Option<Timestamp>,
}

impl Told {
    /// A machine has ended.
    pub(super) fn of_end(&mut self, (begin, end): (Timestamp, Timestamp), reason: SettleReason) {
        match reason {
            SettleReason::Fizzled => self.no_work = self.no_work.max(Some(end)),
            SettleReason::Worked => self.work = self.work.max(Some(begin)),
            SettleReason::NeverStarted => self.never_started = self.never_started.max(Some(end)),
            // Taken away before anybody knew, or after: it tells nothing.
            SettleReason::Preempted | SettleReason::Killed => {}
        }
    }

    /// What both tell together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            no_work: self.no_work.max(other.no_work),
            work: self.work.max(other.work),
            never_started: self.never_started.max(other.never_started),
        }
    }
}

impl Book {
    /// What the ends of machines told, by account.
    pub fn told(&self) -> impl Iterator<Item = (&Account, Told)> {
        self.told.iter().map(|(number, told)| (self.accounts.get(*number), *told))
    }
}
