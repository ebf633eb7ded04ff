//! Where a budget stands: its part of the ledger, and what people see of it. Nothing here is of one space.

use std::time::Duration;

use vcycle_api::Timestamp;

use super::{Budget, Controller, Landing, Means, Pace, PlanView, Rate, Term, Unit};
use crate::book::{Book, Open, Span};
use crate::{Amount, CapName};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A budget now, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetStanding {
    /// Which.
    pub budget: CapName,
    /// Where in its time it is.
    pub term: Term,
    /// How much is to be spent, its reserve included.
    pub amount: Amount,
    /// What ended machines cost, and what running ones have cost until now.
    pub spent: Amount,
    /// The most that running ones may still cost.
    pub committed: Amount,
    /// The rate that lands on the budget.
    pub target: Rate,
    /// What runs now costs in an hour.
    pub burn: Rate,
    /// Where it would land.
    pub landing: Landing,
    /// Whether it is on the line.
    pub pace: Pace,
    /// When nothing of it runs any more.
    pub stop: Timestamp,
}

impl Budget {
    /// Where it stands, by the ledger.
    pub fn standing(&self, book: &Book, now: Timestamp) -> BudgetStanding {
        let part = Part { budget: self, book, now };
        let (settled, reserved) = part.sums();
        // Who spends, and what could be made, is no matter here: neither the target nor the landing asks for it.
        let view = PlanView {
            now,
            settled,
            accrued: part.accrued(),
            reserved,
            communities: Default::default(),
            other: part.open().map(|open| part.rate(open)).sum(),
            unit: Unit::default(),
            longest: Duration::ZERO,
            overstay: Duration::ZERO,
            means: part.means(),
            planners: 1,
            is_first: true,
        };
        let advice = Controller::new(self.clone()).advise(&view);
        BudgetStanding {
            budget: self.name.clone(),
            term: advice.term,
            amount: self.amount,
            spent: view.spent(),
            committed: (view.reserved - view.accrued).max(Amount::ZERO),
            target: advice.target,
            burn: advice.burn,
            landing: advice.landing,
            pace: advice.pace,
            stop: self.stop(),
        }
    }
}

/// The part of the ledger that a budget pays for.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) budget: &'a Budget,
    pub(super) book: &'a Book,
    pub(super) now: Timestamp,
}

impl<'a> Part<'a> {
    /// Machines that may exist and spend from the budget.
    pub(super) fn open(&self) -> impl Iterator<Item = &'a Open> + use<'a> {
        let (scope, book) = (&self.budget.scope, self.book);
        book.reservations().filter(move |open| scope.covers(&open.reservation.account))
    }

    pub(super) fn rate(&self, open: &Open) -> Rate {
        Rate::hourly(open.tariff_at(self.now).charge())
    }

    fn whole(&self) -> Span {
        Span { from: self.budget.from, to: self.budget.to }
    }

    /// What is settled and reserved of it. The book keeps that for the budgets in force; of others it is reckoned.
    pub(super) fn sums(&self) -> (Amount, Amount) {
        let Self { budget, book, .. } = self;
        if book.cap(&budget.name) == Some(&budget.cap()) {
            let sum = book.sums(&budget.name).first().map(|(_, sum)| *sum).unwrap_or_default();
            return (sum.settled(), sum.reserved());
        }
        let whole = self.whole();
        let lines = book.lines(whole).filter(|line| budget.scope.covers(line.account));
        let settled = lines.map(|line| line.within(whole)).sum();
        (settled, self.open().map(|open| open.worst_within(whole)).sum())
    }

    /// What the machines that may exist have cost until now.
    pub(super) fn accrued(&self) -> Amount {
        let whole = self.whole();
        self.open().map(|open| open.run_up(whole, self.now)).sum()
    }

    /// Of a time in which nothing could be spent yet there is none.
    pub(super) fn means(&self) -> Means {
        let (now, began) = (self.now, self.budget.began(self.book, self.now));
        let mean = |over: Duration| {
            let from = now - over;
            let spent = || self.book.spent_on(&self.budget.scope, Span { from, to: now });
            (from >= began).then(|| Rate::spending(spent(), over))
        };
        Means { six_hours: mean(6 * HOUR), day: mean(DAY) }
    }
}
