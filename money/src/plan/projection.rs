//! What a plan will do in the days to come, if the work that there is stays as it is.
//!
//! The controller is asked step by step, as managers ask it in each cycle, and what it says is done in the mean: machines
//! are rates here, not single ones. Assumed is, and said to people:
//! - who finds work now, or was never tried, finds as much as it is given; who found none finds none, nor does a community that
//!   no machinetype works for;
//! - all machines cost what the cheapest costs that can be made now, end in the second half of their longest life, and at
//!   once when told to;
//! - nothing is out of stock, no price changes, and besides the budget itself only those caps stand in the way that are given.

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use super::ceiling::Below;
use super::course::Course;
use super::{Advice, Budget, Ceiling, Controller, Held, Rate, Role, Standpoint};
use crate::book::Book;
use crate::{Amount, CapName, Community};

/// What a budget will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// The budget.
    pub budget: CapName,
    /// How much.
    pub amount: Amount,
    /// Less the reserve.
    pub spendable: Amount,
    /// From when,
    pub from: Timestamp,
    /// to when.
    pub to: Timestamp,
    /// From then on nothing of it runs.
    pub stop: Timestamp,
    /// What the cheapest machine costs that could be made. Nothing: none can be.
    pub unit: Rate,
    /// Spent until now.
    pub spent: Amount,
    /// That, and the most that what runs can still cost.
    pub committed: Amount,
    /// What the plan says now.
    pub advice: Advice,
    /// For each community of the advice, in its order.
    pub communities: Vec<Outlook>,
    /// Day by day (of UTC), the first from now on.
    pub days: Vec<DayAhead>,
    /// What is spent when the budget is over.
    pub lands: Amount,
}

/// A community, as it is and as it is taken to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// Which.
    pub community: Community,
    /// What it is in the budget.
    pub role: Role,
    /// What its machines cost now.
    pub running: Rate,
    /// What is taken to be so.
    pub work: Assumed,
}

/// Whether a community is taken to have work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assumed {
    /// It finds work now: it will find as much as it is given.
    FindsWork,
    /// Nobody has tried yet: as if it did.
    NotTried,
    /// The last machine found none: it finds none.
    FoundNone,
    /// No machinetype of the configuration works for it, and no machine of it runs: as if it found none.
    NoMachinetype,
}

impl Assumed {
    /// Whether what it is given is taken to be spent.
    pub(super) fn finds_work(self) -> bool {
        match self {
            Self::FindsWork | Self::NotTried => true,
            Self::FoundNone | Self::NoMachinetype => false,
        }
    }
}

/// One day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayAhead {
    /// From midnight, or from now.
    pub from: Timestamp,
    /// To midnight.
    pub to: Timestamp,
    /// Spent in it.
    pub spent: Amount,
    /// Of it, by each community, in the order of [`Projection::communities`].
    pub communities: Vec<Amount>,
    /// Spent from the beginning to its end.
    pub total: Amount,
    /// That, and the most that what runs then can still cost.
    pub committed: Amount,
    /// What should be spent by its end.
    pub line: Amount,
}

impl Budget {
    /// What it will do in so many days, and where it lands. The time and the prices are those of a standpoint; without a
    /// machine that could be made nothing grows.
    pub fn project(&self, book: &Book, from: &Standpoint<'_>, days: u16) -> Projection {
        self.project_below(&[], book, from, days).0
    }

    /// The same below caps, and which of them hold it back.
    pub fn project_below(
        &self,
        ceilings: &[Ceiling<'_>],
        book: &Book,
        from: &Standpoint<'_>,
        days: u16,
    ) -> (Projection, Vec<Held>) {
        let view = self.view(book, from);
        let controller = Controller::new(self.clone());
        let advice = controller.advise(&view);
        let below = ceilings.iter().map(|ceiling| (ceiling, &self.scope));
        let below = below.map(|ceiling| Below::new(ceiling, (book, view.now))).collect();
        let mut course = Course::new((controller, below), book, (&view, &advice), from);
        let communities = course.outlooks(&view);
        let committed = course.committed();
        let days = course.days(days);
        let (lands, held) = course.land();
        let projection = Projection {
            budget: self.name.clone(),
            amount: self.amount,
            spendable: self.spendable(),
            from: self.from,
            to: self.to,
            stop: self.stop(),
            unit: view.unit.rate,
            spent: view.spent(),
            committed,
            advice,
            communities,
            days,
            lands,
        };
        (projection, held)
    }
}
