//! What the ledger has, in the form in which bills are compared with it.

use std::collections::BTreeMap;

use vcycle_api::Timestamp;

use super::{Day, LedgerLine};
use crate::{Account, Amount, Book, Span};

/// By day and account, both days inside: what was settled or corrected, and what open reservations have cost until now,
/// if their machines live. A machine that runs is on the bill of the day, so it must be in the ledger's day as well.
pub fn ledger_lines(book: &Book, (first, last): (Day, Day), now: Timestamp) -> Vec<LedgerLine> {
    let days = std::iter::successors(Some(first), |day| day.next());
    days.take_while(|day| *day <= last).flat_map(|day| of_day(book, day, now)).collect()
}

fn of_day(book: &Book, day: Day, now: Timestamp) -> impl Iterator<Item = LedgerLine> + use<> {
    let span = Span { from: day.begin(), to: day.next().unwrap_or(day).begin() };
    let mut sums: BTreeMap<Account, Amount> = BTreeMap::new();
    let mut add = |account: &Account, amount: Amount| {
        if amount == Amount::ZERO {
            return;
        }
        match sums.get_mut(account) {
            Some(sum) => *sum = *sum + amount,
            None => _ = sums.insert(account.clone(), amount),
        }
    };
    for line in book.lines(span) {
        add(line.account, line.amount);
    }
    for open in book.reservations() {
        add(&open.reservation.account, open.run_up(span, now));
    }
    sums.into_iter().map(move |(account, amount)| LedgerLine { day, account, amount })
}
