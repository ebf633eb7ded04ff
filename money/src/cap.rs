//! Caps: what may be spent, on what, in which time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use vcycle_api::{MachinetypeName, Market, SpaceName, Timestamp};

use crate::{Account, Amount, CapName, Community, ProviderName};

/// A cap: in each of its windows no more than `limit` is settled and reserved together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// Its name.
    pub name: CapName,
    /// How much, in the ledger's currency.
    pub limit: Amount,
    /// On what.
    pub scope: Scope,
    /// In which time.
    pub window: Window,
    /// What happens on the way to it.
    pub stages: Stages,
}

/// What a cap is on. An empty set chooses everything; several sets must all choose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// Of these providers.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub providers: BTreeSet<ProviderName>,
    /// In these spaces.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub spaces: BTreeSet<SpaceName>,
    /// Of these machinetypes.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub machinetypes: BTreeSet<MachinetypeName>,
    /// For these communities.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub communities: BTreeSet<Community>,
    /// Of these markets.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub markets: BTreeSet<Market>,
}

impl Scope {
    /// Whether what is booked there counts.
    pub fn covers(&self, account: &Account) -> bool {
        fn chooses<T: Ord>(set: &BTreeSet<T>, what: &T) -> bool {
            set.is_empty() || set.contains(what)
        }
        let of_community =
            || account.community.as_ref().is_some_and(|own| self.communities.contains(own));
        chooses(&self.providers, &account.provider)
            && chooses(&self.spaces, &account.space)
            && chooses(&self.machinetypes, &account.machinetype)
            && chooses(&self.markets, &account.market)
            && (self.communities.is_empty() || of_community())
    }
}

/// The time over which a cap counts. Limits of windows are whole hours of UTC, so that sums by the hour suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "each")]
pub enum Window {
    /// Once, from a time to another: a grant, a budget year.
    Grant {
        /// Begins.
        from: Timestamp,
        /// Ends.
        to: Timestamp,
    },
    /// Each hour of UTC.
    Hour,
    /// Each day. `utc_offset_hours`: the day of the bill begins at midnight there.
    Day {
        /// Hours east of UTC.
        utc_offset_hours: i8,
    },
    /// Each week from Monday.
    Week {
        /// Hours east of UTC.
        utc_offset_hours: i8,
    },
    /// Each month of the calendar.
    Month {
        /// Hours east of UTC.
        utc_offset_hours: i8,
    },
}

/// A part of a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permille(pub u16);

/// From which part of the limit something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// Settled and reserved: people are warned.
    pub warn: Permille,
    /// Settled and reserved: nothing more is made.
    pub stop_growing: Permille,
    /// Settled, and what runs has cost until now: what runs is drained. It is drained also when settled and reserved are
    /// more than the limit (it was lowered, or prices rose).
    pub drain: Permille,
}

impl Default for Stages {
    fn default() -> Self {
        Self { warn: Permille(800), stop_growing: Permille(1000), drain: Permille(1000) }
    }
}
