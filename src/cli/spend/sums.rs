//! Sums of the ledger side by side: what was spent, lately, and what is reserved, seen from several sides.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;
use vcycle_money::book::Totals;
use vcycle_money::{Amount, Book, Span};

use crate::model::Timestamp;

/// What belongs to one space, community, machinetype or market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Sums {
    /// In the days that were asked for, until now.
    pub(super) spent: Amount,
    /// In the last 24 hours.
    pub(super) last_day: Amount,
    /// For machines that have not ended: the whole of their reservations.
    pub(super) reserved: Amount,
}

/// Of everything, from each side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Sides {
    pub(super) spaces: BTreeMap<String, Sums>,
    pub(super) communities: BTreeMap<String, Sums>,
    pub(super) machinetypes: BTreeMap<String, Sums>,
    pub(super) markets: BTreeMap<String, Sums>,
}

impl Sides {
    pub(super) fn of(book: &Book, days: Span, now: Timestamp) -> Self {
        let spent = Both::of(book, until(days, now));
        let last = Both::of(book, Span { from: now - A_DAY, to: now });
        let reserved = book.committed();
        let all = [
            (Column::Spent, &spent.settled),
            (Column::Spent, &spent.open),
            (Column::LastDay, &last.settled),
            (Column::LastDay, &last.open),
            (Column::Reserved, &reserved),
        ];
        let mut sides = Self {
            spaces: BTreeMap::new(),
            communities: BTreeMap::new(),
            machinetypes: BTreeMap::new(),
            markets: BTreeMap::new(),
        };
        for (column, totals) in all {
            add(&mut sides.spaces, column, &totals.spaces, ToString::to_string);
            add(&mut sides.communities, column, &totals.communities, |community| {
                community.as_ref().map_or("-".to_owned(), ToString::to_string)
            });
            add(&mut sides.machinetypes, column, &totals.machinetypes, |(space, machinetype)| {
                format!("{space}/{machinetype}")
            });
            add(&mut sides.markets, column, &totals.markets, display);
        }
        sides
    }
}

fn display(value: &impl Display) -> String {
    value.to_string()
}

/// What was settled, and what open reservations have cost.
pub(super) struct Both {
    pub(super) settled: Totals,
    pub(super) open: Totals,
}

impl Both {
    pub(super) fn of(book: &Book, within: Span) -> Self {
        Self { settled: book.settled_in(within), open: book.open_in(within) }
    }

    pub(super) fn all(&self) -> Amount {
        self.settled.all + self.open.all
    }
}

/// The past part of a time.
pub(super) fn until(span: Span, now: Timestamp) -> Span {
    Span { from: span.from.min(now), to: span.to.min(now) }
}

const A_DAY: Duration = Duration::from_secs(86_400);

#[derive(Clone, Copy)]
enum Column {
    Spent,
    LastDay,
    Reserved,
}

fn add<K>(
    into: &mut BTreeMap<String, Sums>,
    column: Column,
    from: &BTreeMap<K, Amount>,
    name: impl Fn(&K) -> String,
) {
    for (key, amount) in from {
        let sums = into.entry(name(key)).or_default();
        let sum = match column {
            Column::Spent => &mut sums.spent,
            Column::LastDay => &mut sums.last_day,
            Column::Reserved => &mut sums.reserved,
        };
        *sum = *sum + *amount;
    }
}
