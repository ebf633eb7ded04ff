//! Sums of the ledger side by side: what was spent, lately, and what is reserved, seen from several sides.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vcycle_money::book::Totals;
use vcycle_money::{Amount, Book, Span};

use super::Timestamp;

/// What belongs to one space, community, machinetype or market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// In the days that were asked for, until now.
    pub spent: Amount,
    /// In the last 24 hours.
    pub last_day: Amount,
    /// For machines that have not ended: the whole of their reservations.
    pub reserved: Amount,
}

/// Of everything, from each side.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sides {
    /// By who sends the bill.
    #[serde(default)]
    pub providers: BTreeMap<String, Sums>,
    /// By space.
    pub spaces: BTreeMap<String, Sums>,
    /// By community; `-`: of none.
    pub communities: BTreeMap<String, Sums>,
    /// By machinetype: `SPACE/MACHINETYPE`.
    pub machinetypes: BTreeMap<String, Sums>,
    /// By market.
    pub markets: BTreeMap<String, Sums>,
}

impl Sides {
    /// Of some days, until now.
    pub fn of(book: &Book, days: Span, now: Timestamp) -> Self {
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
        let mut sides = Self::default();
        for (column, totals) in all {
            add(&mut sides.providers, column, &totals.providers, ToString::to_string);
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
pub(crate) struct Both {
    pub(crate) settled: Totals,
    pub(crate) open: Totals,
}

impl Both {
    pub(crate) fn of(book: &Book, within: Span) -> Self {
        Self { settled: book.settled_in(within), open: book.open_in(within) }
    }

    pub(crate) fn all(&self) -> Amount {
        self.settled.all + self.open.all
    }
}

/// The past part of a time.
pub(crate) fn until(span: Span, now: Timestamp) -> Span {
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
