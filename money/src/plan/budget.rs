//! A budget: how much, from when to when, for whom first.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use super::Rate;
use crate::{Amount, Cap, CapName, Community, Permille, Scope, Stages, Window};

/// A sum that is to be spent within a time, no more and not much less.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Its name.
    pub name: CapName,
    /// How much, in the ledger's currency.
    pub amount: Amount,
    /// Nothing is made before.
    pub from: Timestamp,
    /// The money is lost, or forbidden, from then on.
    pub to: Timestamp,
    /// On what it may be spent.
    #[serde(default)]
    pub scope: Scope,
    /// Who comes first, with shares.
    pub priorities: Vec<Priority>,
    /// Who fills what the priorities leave, in equal parts, and gives way to them.
    pub backfill: Vec<Community>,
    /// Whether priorities, too, keep to the line. If not, they may run ahead of it while they have work; backfill never does.
    pub hold_rate: bool,
    /// The part that is kept back for what comes late: corrections by bills, traffic.
    pub reserve: Permille,
    /// Nothing runs in this time before `to`.
    pub stop_margin: Duration,
    /// Never more in an hour than this.
    pub maximum_rate: Option<Rate>,
    /// How strongly machines are spread over offerings: 0: the cheapest first; 1: in proportion to how full each is.
    pub spreading: f64,
    /// After this time what a community got counts half when shares are made even.
    pub half_life: Duration,
}

/// A community that comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priority {
    /// The community.
    pub community: Community,
    /// Its part, in proportion to the others'.
    pub share: u32,
}

/// Where in its time a budget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Term {
    /// Before `from`.
    NotBegun,
    /// It is to be spent.
    Open,
    /// Within the stop margin: nothing more is made, nothing should run.
    Stopped,
    /// After `to`.
    Over,
}

impl Term {
    /// Whether it decides what is made, if only that it is nothing: within the stop margin, too.
    pub fn is_its_time(self) -> bool {
        match self {
            Self::Open | Self::Stopped => true,
            Self::NotBegun | Self::Over => false,
        }
    }
}

/// A budget has landed that spends so many thousandths of its amount, or more.
pub const LANDED: u64 = 980;

/// Why a budget cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBudget {
    /// Nothing to spend.
    #[error("the amount must be more than nothing")]
    NoAmount,
    /// It ends before it begins.
    #[error("`to` less `stop_margin` must be after `from`")]
    NoTime,
    /// Nothing of it may be spent.
    #[error("`reserve` must be less than the whole")]
    AllReserved,
    /// Nobody to spend it.
    #[error("neither priorities nor backfill")]
    Nobody,
    /// A share of nothing.
    #[error("the share of {0} must be more than 0")]
    NoShare(Community),
    /// A community stands twice.
    #[error("{0} is named twice")]
    Twice(Community),
    /// No exponent.
    #[error("`spreading` must be from 0 to 10")]
    Spreading,
    /// Nothing would ever count.
    #[error("`half_life` must be an hour or more")]
    HalfLife,
}

impl Budget {
    /// All communities that it names, priorities first.
    pub fn named(&self) -> impl Iterator<Item = &Community> {
        self.priorities.iter().map(|priority| &priority.community).chain(&self.backfill)
    }

    /// A budget is a cap, too.
    pub fn cap(&self) -> Cap {
        Cap {
            name: self.name.clone(),
            limit: self.amount,
            scope: self.scope.clone(),
            window: Window::Grant { from: self.from, to: self.to },
            stages: Stages::default(),
        }
    }

    /// When nothing of it runs any more: `to` less the margin.
    pub fn stop(&self) -> Timestamp {
        self.to - self.stop_margin
    }

    /// What is to be spent: the amount less the reserve (which is rounded up).
    pub fn spendable(&self) -> Amount {
        let reserve = self.amount.share(u64::from(self.reserve.0), 1000);
        self.amount - reserve.expect("a thousand is not nothing")
    }

    /// Where in its time it is.
    pub fn term(&self, now: Timestamp) -> Term {
        if now < self.from {
            Term::NotBegun
        } else if now < self.stop() {
            Term::Open
        } else if now < self.to {
            Term::Stopped
        } else {
            Term::Over
        }
    }

    /// What should be spent by a time: the straight line from `from` to the stop.
    pub fn line(&self, at: Timestamp) -> Amount {
        let whole = self.stop().since(self.from).as_millis();
        let part = at.min(self.stop()).since(self.from).as_millis();
        let millis = |time: u128| u64::try_from(time).unwrap_or(u64::MAX);
        self.spendable().share(millis(part), millis(whole)).unwrap_or(Amount::ZERO)
    }

    /// Whether it can be.
    ///
    /// # Errors
    /// With the first thing that is wrong.
    pub fn check(&self) -> Result<(), InvalidBudget> {
        let mut named: Vec<&Community> = Vec::new();
        for community in self.named() {
            if named.contains(&community) {
                return Err(InvalidBudget::Twice(community.clone()));
            }
            named.push(community);
        }
        if let Some(none) = self.priorities.iter().find(|priority| priority.share == 0) {
            return Err(InvalidBudget::NoShare(none.community.clone()));
        }
        let wrong = [
            (self.amount.is_nothing(), InvalidBudget::NoAmount),
            (self.stop() <= self.from, InvalidBudget::NoTime),
            (self.reserve.0 >= 1000, InvalidBudget::AllReserved),
            (named.is_empty(), InvalidBudget::Nobody),
            (!(0.0..=10.0).contains(&self.spreading), InvalidBudget::Spreading),
            (self.half_life < Duration::from_secs(3600), InvalidBudget::HalfLife),
        ];
        wrong.into_iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, why)| Err(why))
    }
}
