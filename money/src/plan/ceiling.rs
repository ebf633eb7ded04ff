//! Caps that stand in the way of a plan: what of them is left, window by window, while the plan goes on.
//!
//! Below a cap as below a budget a machine is kept to the hard end of its reservation, so that counts as the ledger counts it.
//! Of a window that comes again the present one and the next are looked at: what runs now has no more in a later one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use super::{Projection, Rate, Unit};
use crate::book::{Book, Open, Span};
use crate::{Amount, Cap, CapName, Community, Scope};

/// A cap on all that some communities may make from a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceiling<'a> {
    /// The cap.
    pub cap: &'a Cap,
    /// Whose machines all count below it.
    pub communities: BTreeSet<Community>,
}

/// That a cap lets less be made than a plan would make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which.
    pub cap: CapName,
    /// When it does so for the first time.
    pub since: Timestamp,
    /// In which of its windows,
    pub window: Span,
    /// and how much is left there then.
    pub left: Amount,
}

impl Cap {
    /// How far anything is made below it: to its limit, or to where it stops growing or drains before that.
    fn top(&self) -> Amount {
        let part = self.stages.stop_growing.min(self.stages.drain).0.min(1000);
        self.limit.share(u64::from(part), 1000).unwrap_or(self.limit).min(self.limit)
    }

    /// What is settled in a window, and counts of what may exist as said.
    fn used(&self, book: &Book, window: Span, counts: impl Fn(&Open) -> Amount) -> Amount {
        let lines = book.lines(window).filter(|line| self.scope.covers(line.account));
        let settled: Amount = lines.map(|line| line.amount).sum();
        let open = book.reservations().filter(|open| self.scope.covers(&open.reservation.account));
        settled + open.map(counts).sum()
    }
}

/// A cap on the way of a plan.
#[derive(Debug)]
pub(super) struct Below<'a> {
    ceiling: &'a Ceiling<'a>,
    budget: &'a Scope,
    book: &'a Book,
    begin: Timestamp,
    /// By the beginning of a window: what is spent in it by the plan, and by others with all that they may still spend.
    used: BTreeMap<Timestamp, Amount>,
    pub(super) held: Option<Held>,
}

/// Machines that are kept to a time.
pub(super) type Kept = (Rate, Timestamp);

impl<'a> Below<'a> {
    pub(super) fn new(
        (ceiling, budget): (&'a Ceiling<'a>, &'a Scope),
        (book, begin): (&'a Book, Timestamp),
    ) -> Self {
        Self { ceiling, budget, book, begin, used: BTreeMap::new(), held: None }
    }

    pub(super) fn is_on(&self, community: &Community) -> bool {
        self.ceiling.communities.contains(community)
    }

    /// What was there before the plan went on.
    fn at_first(&self, window: Span) -> Amount {
        let is_own = |open: &Open| {
            let account = &open.reservation.account;
            let community = account.community.as_ref();
            self.budget.covers(account) && community.is_some_and(|own| self.is_on(own))
        };
        self.ceiling.cap.used(self.book, window, |open| {
            if is_own(open) { open.run_up(window, self.begin) } else { open.worst_within(window) }
        })
    }

    fn used(&mut self, window: Span) -> Amount {
        if let Some(used) = self.used.get(&window.from) {
            return *used;
        }
        let used = self.at_first(window);
        self.used.insert(window.from, used);
        used
    }

    /// The plan has spent something.
    pub(super) fn spend(&mut self, now: Timestamp, amount: Amount) {
        if let Some(window) = self.ceiling.cap.window.span_at(now) {
            let used = self.used(window) + amount;
            self.used.insert(window.from, used);
        }
    }

    /// So much more of a sort of machine may be made now that is kept to the end of a life, beside what is kept already. Less
    /// than one of them is none.
    pub(super) fn allows(
        &mut self,
        (wanted, unit): (Rate, Unit),
        life: Span,
        kept: &[Kept],
    ) -> Rate {
        let mut allowed = wanted;
        for window in self.ceiling.cap.window.spans(life).take(2) {
            let Some(part) = life.overlap(window) else { continue };
            let within = |(rate, until): &Kept| {
                let rest = Span { from: life.from, to: life.from.max(*until) };
                rest.overlap(window)
                    .map_or(Amount::ZERO, |rest| rate.over(rest.to.since(rest.from)))
            };
            let left = self.ceiling.cap.top() - self.used(window) - kept.iter().map(within).sum();
            let reserved = Rate::spending(left.max(Amount::ZERO), part.to.since(part.from));
            let charged = unit.charged_of(reserved);
            if charged < allowed {
                allowed = if charged < unit.rate { Rate::ZERO } else { charged };
                let cap = self.ceiling.cap.name.clone();
                self.held.get_or_insert(Held { cap, since: life.from, window, left });
            }
        }
        allowed
    }
}

impl Projection {
    /// Whether a cap may hold the plan back that is on some of what these communities may make, but not on all of it: in
    /// which of its windows less is left than they would spend.
    pub fn may_be_held(
        &self,
        (cap, communities): (&Cap, &BTreeSet<Community>),
        book: &Book,
        now: Timestamp,
    ) -> Option<Held> {
        let ahead = Span { from: now, to: self.stop.max(now) };
        cap.window.spans(ahead).find_map(|window| {
            let used = cap.used(book, window, |open| open.run_up(window, now));
            let left = cap.top() - used;
            let since = window.from.max(now);
            let held = || Held { cap: cap.name.clone(), since, window, left };
            (self.spends(communities, window) > left.max(Amount::ZERO)).then(held)
        })
    }

    /// What communities spend in a time, as far as it is told day by day.
    fn spends(&self, communities: &BTreeSet<Community>, within: Span) -> Amount {
        let days = self.days.iter().filter_map(|day| {
            let whole = Span { from: day.from, to: day.to };
            let part = whole.overlap(within)?;
            let own = self.communities.iter().zip(&day.communities);
            let own = own.filter(|(own, _)| communities.contains(&own.community));
            let spent: Amount = own.map(|(_, amount)| *amount).sum();
            Some(Rate::spending(spent, whole.to.since(whole.from)).over(part.to.since(part.from)))
        });
        days.sum()
    }
}
