//! Sums for people: by space, community, machinetype, market and purpose, and rates.

use std::collections::BTreeMap;
use std::time::Duration;

use vcycle_api::{MachinetypeName, Market, SpaceName, Timestamp};

use super::sums::AN_HOUR;
use super::windows::Span;
use super::{Book, Hour, Purpose};
use crate::{Account, Amount, Community, ProviderName};

/// What was settled in one hour for one account and purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The hour.
    pub hour: Hour,
    /// The account.
    pub account: &'a Account,
    /// On what.
    pub purpose: Purpose,
    /// How much.
    pub amount: Amount,
}

impl Line<'_> {
    /// What of it belongs to a time. Of an hour that the time begins in, the part by its length; of one that it ends in, all: such
    /// a time ends now, and what is settled has been spent.
    pub fn within(&self, within: Span) -> Amount {
        let hour = self.hour.span();
        let known = Span { from: hour.from, to: hour.to.min(within.to) };
        let length = |span: Span| millis(span.to.since(span.from));
        match known.overlap(within) {
            None => Amount::ZERO,
            Some(part) if part == known => self.amount,
            Some(part) => self.amount.share(length(part), length(known)).unwrap_or_default(),
        }
    }
}

/// Sums of amounts, seen from several sides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Everything.
    pub all: Amount,
    /// By who sends the bill.
    pub providers: BTreeMap<ProviderName, Amount>,
    /// By space.
    pub spaces: BTreeMap<SpaceName, Amount>,
    /// By community; `None`: machinetypes that work for none.
    pub communities: BTreeMap<Option<Community>, Amount>,
    /// By machinetype of a space.
    pub machinetypes: BTreeMap<(SpaceName, MachinetypeName), Amount>,
    /// By market.
    pub markets: BTreeMap<Market, Amount>,
    /// On what; of what is settled only.
    pub purposes: BTreeMap<Purpose, Amount>,
}

impl Totals {
    fn add(&mut self, account: &Account, amount: Amount) {
        fn to<K: Ord>(sums: &mut BTreeMap<K, Amount>, key: K, amount: Amount) {
            let sum = sums.entry(key).or_default();
            *sum = *sum + amount;
        }
        if amount == Amount::ZERO {
            return;
        }
        self.all = self.all + amount;
        to(&mut self.providers, account.provider.clone(), amount);
        to(&mut self.spaces, account.space.clone(), amount);
        to(&mut self.communities, account.community.clone(), amount);
        let machinetype = (account.space.clone(), account.machinetype.clone());
        to(&mut self.machinetypes, machinetype, amount);
        to(&mut self.markets, account.market, amount);
    }

    /// What was of no use: machines that fizzled, never started or were preempted.
    pub fn waste(&self) -> Amount {
        let waste = self.purposes.iter().filter(|(purpose, _)| purpose.is_waste());
        waste.map(|(_, amount)| *amount).sum()
    }
}

impl Book {
    /// What was settled in the hours that a time touches, by hour.
    pub fn lines(&self, within: Span) -> impl Iterator<Item = Line<'_>> {
        let mut hours = Hour::touched_by(within);
        let first = hours.next();
        let last = hours.last().or(first);
        let buckets = first.zip(last).map(|(first, last)| self.settled.between(first, last));
        buckets.into_iter().flatten().map(|(bucket, amount)| Line {
            hour: bucket.hour,
            account: self.accounts.get(bucket.account),
            purpose: bucket.purpose,
            amount,
        })
    }

    /// What was settled within a time that ends with an hour or now ([`Line::within`]): exact but for an hour that it begins in.
    pub fn settled_in(&self, within: Span) -> Totals {
        let mut totals = Totals::default();
        for line in self.lines(within) {
            let amount = line.within(within);
            totals.add(line.account, amount);
            let sum = totals.purposes.entry(line.purpose).or_default();
            *sum = *sum + amount;
        }
        totals
    }

    /// What open reservations cost within a time, if their machines live until they end.
    pub fn open_in(&self, within: Span) -> Totals {
        let mut totals = Totals::default();
        for open in self.reservations() {
            let life = (open.reservation.from, open.reservation.until);
            totals.add(&open.reservation.account, open.charged_within(life, within));
        }
        totals
    }

    /// What is kept free for open reservations, each at its worst.
    pub fn committed(&self) -> Totals {
        let mut totals = Totals::default();
        for open in self.reservations() {
            totals.add(&open.reservation.account, open.worst());
        }
        totals
    }

    /// What was spent in an hour, over the last `over` before a time.
    pub fn rate(&self, now: Timestamp, over: Duration) -> Amount {
        let within = Span { from: now - over, to: now };
        let spent = self.settled_in(within).all + self.open_in(within).all;
        spent.share(millis(AN_HOUR), millis(over)).unwrap_or_default()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
