//! What there is not enough of: capacity and limits by type, zone and market; and what becomes of the next launches.

use std::collections::VecDeque;

use super::machine::Reason;
use super::reply::Refusal;
use super::site::Guest;
use super::words::fits;

/// Which launches a shortage is of. Each part is a pattern with `*` and `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Instance type.
    pub flavour: String,
    /// Zone.
    pub zone: String,
    /// `on-demand` or `spot`.
    pub market: String,
}

impl Pool {
    /// Launches of a type in a zone, on a market.
    pub fn new(flavour: &str, zone: &str, market: &str) -> Self {
        Self { flavour: flavour.to_owned(), zone: zone.to_owned(), market: market.to_owned() }
    }

    /// All launches.
    pub fn all() -> Self {
        Self::new("*", "*", "*")
    }

    pub(crate) fn has(&self, flavour: &str, zone: &str, spot: bool) -> bool {
        let market = if spot { "spot" } else { "on-demand" };
        fits(&self.flavour, flavour) && fits(&self.zone, zone) && fits(&self.market, market)
    }
}

#[derive(Debug)]
struct Shortage {
    pool: Pool,
    /// Machines that may still be made.
    left: u32,
    refusal: Option<Refusal>,
}

/// All shortages: the first that fits counts.
#[derive(Debug, Default)]
pub(crate) struct Short {
    shortages: Vec<Shortage>,
    /// Launches that are accepted, and fail to start for want of capacity.
    pub(crate) late: Vec<Pool>,
    /// How the next machines fail to start.
    pub(crate) failures: VecDeque<Reason>,
    /// What the guests of the next machines do.
    pub(crate) guests: VecDeque<Guest>,
}

impl Short {
    pub(crate) fn order(&mut self, pool: Pool, left: u32, refusal: Option<Refusal>) {
        self.shortages.push(Shortage { pool, left, refusal });
    }

    pub(crate) fn restock(&mut self, pool: &Pool) {
        self.shortages.retain(|shortage| shortage.pool != *pool);
    }

    pub(crate) fn restock_all(&mut self) {
        self.shortages.clear();
        self.late.clear();
    }

    /// How many of these machines may still be made, and what is said to more.
    pub(crate) fn room(&self, flavour: &str, zone: &str, spot: bool) -> (u32, Option<Refusal>) {
        let of_it = self.shortages.iter().find(|shortage| shortage.pool.has(flavour, zone, spot));
        of_it.map_or((u32::MAX, None), |shortage| {
            let refusal = shortage.refusal.clone();
            (shortage.left, Some(refusal.unwrap_or_else(|| usual(flavour, zone, spot))))
        })
    }

    /// How the machine that is made now fails to start; `None`: it does not.
    pub(crate) fn next_failure(&mut self, flavour: &str, zone: &str, spot: bool) -> Option<Reason> {
        let late = self.late.iter().any(|pool| pool.has(flavour, zone, spot));
        self.failures.pop_front().or_else(|| late.then(Reason::no_capacity))
    }

    /// What the guest of the machine that is made now does; `None`: what all do.
    pub(crate) fn next_guest(&mut self) -> Option<Guest> {
        self.guests.pop_front()
    }

    /// So many were made.
    pub(crate) fn made(&mut self, flavour: &str, zone: &str, spot: bool, count: u32) {
        let of_it =
            self.shortages.iter_mut().find(|shortage| shortage.pool.has(flavour, zone, spot));
        if let Some(shortage) = of_it {
            shortage.left = shortage.left.saturating_sub(count);
        }
    }
}

fn usual(flavour: &str, zone: &str, spot: bool) -> Refusal {
    if spot {
        let message = "There is no Spot capacity available that matches your request.";
        return Refusal::new(500, "InsufficientInstanceCapacity", message);
    }
    Refusal::no_capacity(flavour, zone)
}
