//! What bills say more or less than the ledger, by day and space, and the corrections that follow.
//!
//! A correction must not make room under a cap that is not there. So what a bill says is booked only where the bill knows
//! of the space on that day at all, of days that are old enough for their bills to be complete, and that the bill has whole.
//! And no account of a day comes below nothing: a refund of more than was spent on it would be room for something else.

use std::collections::{BTreeMap, BTreeSet};

use vcycle_api::{MachinetypeName, Market, SpaceName};

use super::spread::spread;
use super::{
    Bill, Comparison, Correction, Day, DayCompared, DaySums, Exact, Finality, HeldBack, What, Why,
};
use crate::{Account, Amount, Cap, Community};

/// What the ledger has for one account on one day: settled with corrections, and what open reservations cost until now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerLine {
    /// The day.
    pub day: Day,
    /// The account.
    pub account: Account,
    /// How much.
    pub amount: Amount,
}

/// What is known besides the bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms<'a> {
    /// The days before this one are complete on bills.
    pub complete_before: Day,
    /// Whether days that the bill may have in part count as whole.
    pub whole: WholeDays,
    /// The accounts that the ledger knows, for what it has nothing of on a day.
    pub accounts: &'a [Account],
    /// The caps in force.
    pub caps: &'a [Cap],
    /// For whom machines work that the ledger does not know yet.
    pub communities: &'a [CommunityOf],
}

/// For whom a machinetype works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommunityOf {
    /// Of this space.
    pub space: SpaceName,
    /// This one.
    pub machinetype: MachinetypeName,
    /// For them.
    pub community: Community,
}

/// How it is known that a bill has a day whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholeDays {
    /// Its lines show it: it goes on before and after.
    Shown,
    /// A person says so, of all days.
    Said,
}

/// What the ledger has, by day and space, of the accounts that can be on the bill.
type Ledger<'a> = BTreeMap<(Day, SpaceName), BTreeMap<&'a Account, Amount>>;

impl Bill {
    /// Compares it with the ledger: with those of its lines that are of the days and the providers of the bill.
    pub fn compare(&self, ledger: &[LedgerLine], terms: &Terms<'_>) -> Comparison {
        let named: BTreeSet<&SpaceName> = self.ours.keys().map(|(_, space)| space).collect();
        let mut known = Ledger::new();
        let mut not_named = BTreeMap::<SpaceName, Amount>::new();
        for line in ledger.iter().filter(|line| self.is_about(line)) {
            let space = &line.account.space;
            if named.contains(space) {
                let accounts = known.entry((line.day, space.clone())).or_default();
                let sum = accounts.entry(&line.account).or_default();
                *sum = *sum + line.amount;
            } else {
                let sum = not_named.entry(space.clone()).or_default();
                *sum = *sum + line.amount;
            }
        }
        not_named.retain(|_, amount| *amount != Amount::ZERO);
        let mut comparison = Comparison {
            days: self.by_day(&known, terms),
            all: DaySums::default(),
            others: self.dearest(),
            credits: self.credits.amount(),
            taxes: self.taxes.amount(),
            not_named,
            corrections: Vec::new(),
            held_back: Vec::new(),
        };
        comparison.all = comparison.days.iter().fold(DaySums::default(), |all, day| DaySums {
            billed: all.billed + day.sums.billed,
            ledger: all.ledger + day.sums.ledger,
            others: all.others + day.sums.others,
        });
        let places: BTreeSet<&(Day, SpaceName)> = self.ours.keys().chain(known.keys()).collect();
        for place in places {
            self.correct(place, &known, terms, &mut comparison);
        }
        comparison
    }

    fn is_about(&self, line: &LedgerLine) -> bool {
        self.providers.contains(&line.account.provider)
            && self.days().is_some_and(|(first, last)| (first..=last).contains(&line.day))
    }

    fn by_day(&self, known: &Ledger<'_>, terms: &Terms<'_>) -> Vec<DayCompared> {
        let mut exact = BTreeMap::<Day, (Exact, Exact, Exact)>::new();
        for ((day, _), machinetypes) in &self.ours {
            exact.entry(*day).or_default().0 += machinetypes.values().copied().sum();
        }
        for ((day, _), accounts) in known {
            let all: Amount = accounts.values().copied().sum();
            exact.entry(*day).or_default().1 += all.into();
        }
        for (day, amount) in &self.others {
            exact.entry(*day).or_default().2 += *amount;
        }
        let compared =
            |(day, (billed, ledger, others)): (Day, (Exact, Exact, Exact))| DayCompared {
                day,
                sums: DaySums {
                    billed: billed.amount(),
                    ledger: ledger.amount(),
                    others: others.amount(),
                },
                finality: self.finality(day, terms),
            };
        exact.into_iter().map(compared).collect()
    }

    fn dearest(&self) -> Vec<(What, Amount)> {
        let all = self.resources.iter().map(|(what, cost)| (what.clone(), cost.amount()));
        let mut others: Vec<(What, Amount)> =
            all.filter(|(_, amount)| *amount != Amount::ZERO).collect();
        others.sort_by_key(|(_, amount)| std::cmp::Reverse(*amount));
        others
    }

    /// The corrections of a space on a day.
    fn correct(
        &self,
        place: &(Day, SpaceName),
        known: &Ledger<'_>,
        terms: &Terms<'_>,
        into: &mut Comparison,
    ) {
        let (day, space) = place;
        let accounts = known.get(place).cloned().unwrap_or_default();
        let of_ledger: Amount = accounts.values().copied().sum();
        let mut hold = |amount: Amount, why: Why| {
            if amount != Amount::ZERO {
                let space = space.clone();
                into.held_back.push(HeldBack { day: *day, space, amount, why });
            }
        };
        let Some(billed) = self.ours.get(place) else {
            return hold(-of_ledger, Why::NotOnBill);
        };
        if !self.charged.contains(place) {
            let refunds: Exact = billed.values().copied().sum();
            hold(refunds.amount(), Why::LessThanNothing);
            return hold(-of_ledger, Why::NotOnBill);
        }
        if let Some(why) = self.why_not(place, known, terms) {
            let billed: Exact = billed.values().copied().sum();
            return hold(billed.amount() - of_ledger, why);
        }
        for (machinetype, billed) in by_machinetype(billed, accounts.keys().copied()) {
            let is_of_it = |account: &Account| {
                machinetype.as_ref().is_none_or(|only| *only == account.machinetype)
            };
            let of_it: Vec<(&Account, Amount)> = accounts
                .iter()
                .map(|(account, amount)| (*account, *amount))
                .filter(|(account, _)| is_of_it(account))
                .collect();
            let has: Amount = of_it.iter().map(|(_, amount)| *amount).sum();
            let target = billed.amount().max(Amount::ZERO);
            hold(billed.amount() - target, Why::LessThanNothing);
            let difference = target - has;
            if difference < Amount::ZERO && !are_under_the_same(*day, &of_it, terms.caps) {
                hold(difference, Why::CapsApart);
                continue;
            }
            let parts = spread(difference, &of_it)
                .or_else(|| self.elsewhere(space, machinetype.as_ref(), terms, difference));
            match parts {
                None => hold(difference, Why::NoAccount),
                Some(parts) => {
                    into.corrections.extend(parts.into_iter().map(|(account, amount)| Correction {
                        day: *day,
                        account,
                        amount,
                    }))
                }
            }
        }
    }

    /// Why nothing is booked of a space on a day, whatever the difference.
    fn why_not(
        &self,
        place: &(Day, SpaceName),
        known: &Ledger<'_>,
        terms: &Terms<'_>,
    ) -> Option<Why> {
        match self.finality(place.0, terms) {
            Finality::Estimated => Some(Why::Estimated),
            Finality::Partial => Some(Why::Partial),
            Finality::Complete if terms.whole == WholeDays::Said => None,
            Finality::Complete => self.is_beside_a_gap(place, known).then_some(Why::SpacePartial),
        }
    }

    /// Whether on the day before or after the ledger has something for the space and the bill does not name it.
    fn is_beside_a_gap(&self, (day, space): &(Day, SpaceName), known: &Ledger<'_>) -> bool {
        let is_gap = |day: Day| {
            let place = (day, space.clone());
            known.get(&place).is_some_and(|accounts| accounts.values().any(|has| !has.is_nothing()))
                && !self.charged.contains(&place)
        };
        [Some(day.before(1)), day.next()].into_iter().flatten().any(is_gap)
    }

    fn finality(&self, day: Day, terms: &Terms<'_>) -> Finality {
        if day >= terms.complete_before {
            return Finality::Estimated;
        }
        match terms.whole {
            WholeDays::Shown if !self.cover.has_whole(day) => Finality::Partial,
            WholeDays::Shown | WholeDays::Said => Finality::Complete,
        }
    }

    /// Where it is booked that a bill says more, of which the ledger has nothing on the day: where it has on others, or a
    /// new account.
    fn elsewhere(
        &self,
        space: &SpaceName,
        machinetype: Option<&MachinetypeName>,
        terms: &Terms<'_>,
        difference: Amount,
    ) -> Option<Vec<(Account, Amount)>> {
        let mut known = terms.accounts.iter().filter(|account| {
            self.providers.contains(&account.provider)
                && account.space == *space
                && machinetype.is_none_or(|only| *only == account.machinetype)
        });
        let new = || {
            let machinetype = machinetype?;
            let is_it = |of: &&CommunityOf| of.space == *space && of.machinetype == *machinetype;
            let community = terms.communities.iter().find(is_it);
            Some(Account {
                provider: self.providers.first()?.clone(),
                space: space.clone(),
                machinetype: machinetype.clone(),
                community: community.map(|of| of.community.clone()),
                market: Market::OnDemand,
            })
        };
        let account = known.next().cloned().or_else(new)?;
        Some(
            [(account, difference)].into_iter().filter(|(_, part)| *part != Amount::ZERO).collect(),
        )
    }
}

/// Whether each cap that counts a correction of the day is on all of these accounts, as far as the ledger has something on
/// them, or on none.
fn are_under_the_same(day: Day, accounts: &[(&Account, Amount)], caps: &[Cap]) -> bool {
    let counts = |cap: &&Cap| cap.window.span_at(day.noon()).is_some();
    let with_money = || accounts.iter().filter(|(_, has)| !has.is_nothing());
    let covers = |cap: &Cap| with_money().filter(|(account, _)| cap.scope.covers(account)).count();
    let all = with_money().count();
    caps.iter().filter(counts).map(covers).all(|covered| covered == 0 || covered == all)
}

/// What is billed, by machinetype where the bill tells it of everything, else together; and nothing for the
/// machinetypes that only the ledger has.
fn by_machinetype<'a>(
    billed: &BTreeMap<Option<MachinetypeName>, Exact>,
    accounts: impl Iterator<Item = &'a Account>,
) -> BTreeMap<Option<MachinetypeName>, Exact> {
    if billed.contains_key(&None) {
        return BTreeMap::from([(None, billed.values().copied().sum())]);
    }
    let mut all = billed.clone();
    for account in accounts {
        all.entry(Some(account.machinetype.clone())).or_default();
    }
    all
}
