//! All price lists together: which price is in force, and whether it can be used.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vcycle_api::Timestamp;

use super::lack::Lack;
use super::list::{Item, PriceList, PriceRow, Written};
use super::rates::ExchangeRates;
use super::tariff::PriceQuestion;
use crate::{Amount, Money, ProviderName};

/// A confirmation may be of "today" where it is a day later than here.
const DATE_LINE: Duration = Duration::from_secs(86_400);

/// All price lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriceBook {
    lists: Vec<PriceList>,
    /// By provider and item: list, row.
    places: BTreeMap<ProviderName, BTreeMap<Item, Vec<(usize, usize)>>>,
    age: Duration,
}

/// Two prices of the same thing from the same time on: nobody can say which is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twice {
    /// Of what.
    pub item: Item,
    /// Where the first stands.
    pub first: Written,
    /// Where the second stands.
    pub second: Written,
}

/// A price in force, and what it is in the currency of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) quoted: Money,
    pub(super) amount: Amount,
    /// Of the list that has it.
    pub(super) list: usize,
}

impl PriceBook {
    /// A book of these lists. Prices that nobody confirmed for longer than `age` are not used.
    ///
    /// # Errors
    /// Every price that is there twice.
    pub fn new(lists: Vec<PriceList>, age: Duration) -> Result<Self, Vec<Twice>> {
        let mut places: BTreeMap<ProviderName, BTreeMap<Item, Vec<(usize, usize)>>> =
            BTreeMap::new();
        for (at, list) in lists.iter().enumerate() {
            let of_provider = places.entry(list.provider.clone()).or_default();
            for (row, price) in list.rows.iter().enumerate() {
                of_provider.entry(price.item.clone()).or_default().push((at, row));
            }
        }
        let book = Self { lists, places, age };
        let twice = book.twice();
        if twice.is_empty() { Ok(book) } else { Err(twice) }
    }

    fn twice(&self) -> Vec<Twice> {
        let mut twice = Vec::new();
        for rows in self.places.values().flat_map(BTreeMap::values) {
            for (nth, &first) in rows.iter().enumerate() {
                for &second in &rows[nth + 1..] {
                    let lists = (&self.lists[first.0], &self.lists[second.0]);
                    let (first, second) = (self.row(first), self.row(second));
                    let same_time = first.in_force.from == second.in_force.from;
                    if same_time && compete(lists.0, lists.1) {
                        twice.push(Twice {
                            item: first.item.clone(),
                            first: first.written.clone(),
                            second: second.written.clone(),
                        });
                    }
                }
            }
        }
        twice
    }

    fn row(&self, (list, row): (usize, usize)) -> &PriceRow {
        &self.lists[list].rows[row]
    }

    /// The lists.
    pub fn lists(&self) -> &[PriceList] {
        &self.lists
    }

    /// Whether any list is for such a space.
    pub fn serves(
        &self,
        provider: &ProviderName,
        region: &str,
        space: &vcycle_api::SpaceName,
    ) -> bool {
        self.lists
            .iter()
            .any(|list| list.provider == *provider && rank(list, region, space).is_some())
    }

    /// What cannot be used at a time, each with its file: of each list and item the price that is in force then, or that none
    /// is. One for each file and cause, since many prices grow old together.
    pub fn doubts(&self, at: Timestamp) -> Vec<(Written, Lack)> {
        let mut doubts: Vec<(Written, Lack)> = Vec::new();
        for (at_list, list) in self.lists.iter().enumerate() {
            let items: BTreeSet<&Item> = list.rows.iter().map(|row| &row.item).collect();
            for item in items {
                let lack = self.doubt((at_list, list), item, at);
                let is_told = |lack: &Lack| {
                    doubts.iter().any(|(file, told)| *file == list.file && told.has_cause_of(lack))
                };
                if let Some(lack) = lack.filter(|lack| !is_told(lack)) {
                    doubts.push((list.file.clone(), lack));
                }
            }
        }
        doubts
    }

    /// Why the price of an item in a list is not believed. Of one that another list is asked for that is told there.
    fn doubt(
        &self,
        (at_list, list): (usize, &PriceList),
        item: &Item,
        at: Timestamp,
    ) -> Option<Lack> {
        let lists = self.lists.iter().enumerate().filter(|(_, other)| stands_for(other, list));
        let rows = lists.flat_map(|(at, other)| other.rows.iter().map(move |row| (at, row)));
        let in_force = rows.filter(|(_, row)| row.item == *item && row.in_force.covers(at));
        match in_force.max_by_key(|(_, row)| row.in_force.from) {
            Some((used, row)) if used == at_list => self.aged(list, row, at).err(),
            Some(_) => None,
            None => list.rows.iter().find(|row| row.item == *item).map(|row| Lack::NotInForce {
                item: item.clone(),
                at,
                written: row.written.clone(),
            }),
        }
    }

    /// Whether somebody has looked at a price lately.
    fn aged(&self, list: &PriceList, row: &PriceRow, at: Timestamp) -> Result<(), Lack> {
        let limit = list.age.unwrap_or(self.age);
        let (item, confirmed) = (row.item.clone(), row.confirmed);
        let written = row.written.clone();
        if confirmed > at + DATE_LINE {
            return Err(Lack::ConfirmedLater { item, confirmed, written });
        }
        if at.since(confirmed) > limit {
            return Err(Lack::TooOld { item, confirmed, limit, written });
        }
        Ok(())
    }

    pub(super) fn list(&self, at: usize) -> &PriceList {
        &self.lists[at]
    }

    /// The rows of the nearest lists that have the item: those that name the space, else those that name the region.
    fn rows(&self, item: &Item, what: &PriceQuestion<'_>) -> Vec<(usize, &PriceRow)> {
        let rows = self.places.get(what.provider).and_then(|of_provider| of_provider.get(item));
        let ranked = rows.into_iter().flatten().filter_map(|&(list, row)| {
            let rank = rank(&self.lists[list], what.region, what.space)?;
            Some((rank, list, self.row((list, row))))
        });
        let ranked: Vec<_> = ranked.collect();
        let nearest = ranked.iter().map(|(rank, ..)| *rank).max();
        let of_nearest = ranked.into_iter().filter(|(rank, ..)| Some(*rank) == nearest);
        of_nearest.map(|(_, list, row)| (list, row)).collect()
    }

    pub(super) fn has(&self, item: &Item, what: &PriceQuestion<'_>) -> bool {
        !self.rows(item, what).is_empty()
    }

    /// The nearest list for it.
    pub(super) fn nearest(&self, what: &PriceQuestion<'_>) -> Option<usize> {
        let lists =
            self.lists.iter().enumerate().filter(|(_, list)| list.provider == *what.provider);
        let ranked =
            lists.filter_map(|(at, list)| Some((rank(list, what.region, what.space)?, at)));
        ranked.max().map(|(_, at)| at)
    }

    fn missing(&self, item: Item, what: &PriceQuestion<'_>) -> Lack {
        let lists = self.lists.iter().filter(|list| {
            list.provider == *what.provider && rank(list, what.region, what.space).is_some()
        });
        let lists: BTreeSet<Written> = lists.map(|list| list.file.clone()).collect();
        Lack::Missing {
            item,
            provider: what.provider.clone(),
            region: what.region.to_owned(),
            lists: lists.into_iter().collect(),
        }
    }

    /// The dearest of the prices that are in force at any time of the machine's life.
    pub(super) fn dearest(
        &self,
        item: &Item,
        what: &PriceQuestion<'_>,
        rates: &ExchangeRates,
    ) -> Result<Found, Lack> {
        let rows = self.rows(item, what);
        let Some((_, first)) = rows.first() else { return Err(self.missing(item.clone(), what)) };
        let mut dearest: Option<Found> = None;
        for at in turning_points(&rows, (what.at, what.until)) {
            let in_force = rows.iter().filter(|(_, row)| row.in_force.covers(at));
            let Some((list, row)) = in_force.max_by_key(|(_, row)| row.in_force.from) else {
                let (item, written) = (item.clone(), first.written.clone());
                return Err(Lack::NotInForce { item, at, written });
            };
            let amount = self.usable((*list, row), what.at, rates)?;
            if dearest.is_none_or(|before| before.amount < amount) {
                dearest = Some(Found { quoted: row.price, amount, list: *list });
            }
        }
        Ok(dearest.expect("a life has a beginning"))
    }

    fn usable(
        &self,
        (list, row): (usize, &PriceRow),
        at: Timestamp,
        rates: &ExchangeRates,
    ) -> Result<Amount, Lack> {
        if row.price.amount.is_nothing() {
            let (item, written) = (row.item.clone(), row.written.clone());
            return Err(Lack::NotPositive { item, written });
        }
        self.aged(self.list(list), row, at)?;
        rates.convert(row.price, at)
    }
}

/// How near a list is to a machine; `None`: it is not for it.
fn rank(list: &PriceList, region: &str, space: &vcycle_api::SpaceName) -> Option<(bool, bool)> {
    let region_fits = list.region.as_deref().is_none_or(|own| own == region);
    let space_fits = list.spaces.is_empty() || list.spaces.contains(space);
    (region_fits && space_fits).then(|| (!list.spaces.is_empty(), list.region.is_some()))
}

/// Whether two lists can be equally near to one machine.
fn compete(first: &PriceList, second: &PriceList) -> bool {
    let spaces = match (first.spaces.is_empty(), second.spaces.is_empty()) {
        (true, true) => true,
        (false, false) => !first.spaces.is_disjoint(&second.spaces),
        (true, false) | (false, true) => false,
    };
    spaces && first.region == second.region
}

/// Whether a list is as near as another one to all machines that this is for.
fn stands_for(list: &PriceList, other: &PriceList) -> bool {
    let is_same = list.provider == other.provider && list.region == other.region;
    is_same
        && list.spaces.is_empty() == other.spaces.is_empty()
        && other.spaces.is_subset(&list.spaces)
}

/// The times at which another price may come into force: the beginning of a life, and all changes until its end.
fn turning_points(
    rows: &[(usize, &PriceRow)],
    (at, until): (Timestamp, Timestamp),
) -> BTreeSet<Timestamp> {
    let changes = rows.iter().flat_map(|(_, row)| [Some(row.in_force.from), row.in_force.until]);
    let within = changes.flatten().filter(|change| *change > at && *change <= until);
    within.chain([at]).collect()
}
