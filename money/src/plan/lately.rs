//! How fast money went lately. What was spent in the first hours of a ledger or a budget says nothing of a day in which most
//! of the time nothing could be spent: it is reckoned over the time since it was first spent, and within an hour of that not
//! at all.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use super::{Budget, Rate};
use crate::book::{Book, Changed, Purpose, Span};
use crate::{Amount, Scope};

/// It takes so long until a rate says something: many clouds charge a machine for its first minutes or its first hour at once.
const SOONEST: Duration = Duration::from_secs(3600);

/// A mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lately {
    /// So much in an hour,
    pub rate: Rate,
    /// over so long.
    pub over: Duration,
}

/// When something was first spent: for what is settled the ledger knows it to the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstSpent {
    /// Not before,
    pub from: Timestamp,
    /// and not after.
    pub to: Timestamp,
}

impl Book {
    /// When something was first spent on a scope, since some time. What only a bill knew of does not count: it is booked days
    /// later. `None`: nothing was.
    pub fn first_spent(
        &self,
        scope: &Scope,
        since: Timestamp,
        now: Timestamp,
    ) -> Option<FirstSpent> {
        let mut lines = self.lines(Span { from: since, to: now.max(since) });
        let settled = lines
            .find(|line| line.purpose != Purpose::Corrected && scope.covers(line.account))
            .map(|line| line.hour.span());
        let settled = settled.map(|hour| FirstSpent { from: hour.from.max(since), to: hour.to });
        let open = self.reservations().filter(|open| scope.covers(&open.reservation.account));
        let open = open.map(|open| open.reservation.from.max(since)).min();
        let open = open.map(|from| FirstSpent { from, to: from });
        match (settled, open) {
            (Some(one), Some(other)) => {
                Some(FirstSpent { from: one.from.min(other.from), to: one.to.min(other.to) })
            }
            (one, other) => one.or(other),
        }
    }

    /// What was spent on a scope in an hour, over a time before now, or since something was first spent if that is less.
    /// `None`: it is too early to say.
    pub fn lately(
        &self,
        scope: &Scope,
        (first, now): (FirstSpent, Timestamp),
        over: Duration,
    ) -> Option<Lately> {
        if now.since(first.to) < SOONEST {
            return None;
        }
        let over = over.min(now.since(first.from));
        let within = Span { from: now - over, to: now };
        Some(Lately { rate: Rate::spending(self.spent_on(scope, within), over), over })
    }

    /// What was spent on a scope in a time that ends now.
    pub(super) fn spent_on(&self, scope: &Scope, within: Span) -> Amount {
        let settled = self.lines(within).filter(|line| scope.covers(line.account));
        let settled: Amount = settled.map(|line| line.within(within)).sum();
        let open = self.reservations().filter(|open| scope.covers(&open.reservation.account));
        settled + open.map(|open| open.run_up(within, within.to)).sum()
    }
}

impl Budget {
    /// Since when its line can be held against what is spent: since something was first spent from it. While nothing was, since
    /// it begins, or was written if that was later.
    pub(super) fn began(&self, book: &Book, now: Timestamp) -> Timestamp {
        if let Some(first) = book.first_spent(&self.scope, self.from, now) {
            return first.to;
        }
        let mut changes = book.changes().iter().rev();
        let written = changes.find_map(|change| match change.what {
            Changed::Set { .. } if change.cap == self.name => Some(change.at),
            _ => None,
        });
        written.unwrap_or(self.from).max(self.from)
    }
}
