//! The state of the ledger after some of its entries, and the rules by which an entry may follow.
//!
//! A [`Book`] is made from entries alone, in their order: whoever applies the same entries has the same book. Nothing
//! here reads a clock. [`Book::apply`] takes an entry as a whole or not at all; [`Book::admit`] tells beforehand which
//! reservations would pass. For every cap and window `settled + reserved <= limit` holds after every entry, unless the
//! world itself passed the cap (a machine was found, lives longer or became dearer, a bill says more) or the cap was set below
//! what stands; then nothing more is reserved there.

mod accounts;
mod admit;
mod apply;
mod changes;
mod checkpoint;
mod open;
mod settled;
mod shards;
mod stage;
mod sums;
mod thrift;
mod told;
mod totals;
pub mod verify;
mod windows;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use vcycle_api::{Generation, IntentToken, SpaceName, Timestamp};

pub use admit::{Admission, Refusal};
pub use apply::Violation;
pub use changes::{Change, Changed};
pub use open::Open;
pub use settled::{Hour, Purpose};
pub use stage::{Recorded, Stage, Standing};
pub use sums::Sum;
pub use thrift::ToEnd;
pub use told::Told;
pub use totals::{Line, Totals};
pub use verify::{Damage, Head, Sealed};
#[cfg(test)]
pub(crate) use windows::HOUR as HOUR_FOR_TESTS;
pub use windows::Span;

use accounts::{AccountNumber, Accounts};
use settled::Settled;
use shards::{Sharded, Shards};
use sums::Sums;

use crate::{Account, Cap, CapName, Currency};

/// The state after some entries. Copies share what they have in common and are cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    head: Head,
    /// When the last entry was written, by its author's clock.
    at: Timestamp,
    /// Of every amount; `None`: it was not written yet.
    currency: Option<Currency>,
    accounts: Accounts,
    caps: Arc<Vec<Cap>>,
    /// Where the caps come from, for people.
    caps_source: String,
    open: Shards<IntentToken, Arc<Open>>,
    settled: Settled,
    /// Of each cap, in the order of `caps`. Follows from the rest.
    sums: Vec<Sums>,
    /// The highest ownership of each space that has written.
    generations: BTreeMap<SpaceName, Generation>,
    /// What ends of machines told.
    told: BTreeMap<AccountNumber, Told>,
    /// What stages were recorded for people.
    stages: BTreeMap<CapName, Recorded>,
    /// Who changed what of the caps, for people: the newest.
    changes: Arc<Vec<Change>>,
}

impl Sharded for IntentToken {
    fn shard(&self) -> i64 {
        i64::try_from(self.bits() >> 120).expect("eight bits")
    }
}

impl Book {
    /// The last entry that is in it.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// When the last entry was written, by its author's clock.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The currency of every amount in it; `None`: nobody has written it yet.
    pub fn currency(&self) -> Option<Currency> {
        self.currency
    }

    /// The caps in force, as they were last set.
    pub fn caps(&self) -> &[Cap] {
        &self.caps
    }

    /// Where they come from, for people.
    pub fn caps_source(&self) -> &str {
        &self.caps_source
    }

    /// One of them.
    pub fn cap(&self, name: &CapName) -> Option<&Cap> {
        self.caps.iter().find(|cap| cap.name == *name)
    }

    /// Whether any cap is on an account.
    pub fn is_capped(&self, account: &Account) -> bool {
        self.caps.iter().any(|cap| cap.scope.covers(account))
    }

    /// A reservation that is neither settled nor released.
    pub fn reservation(&self, intent: &IntentToken) -> Option<&Open> {
        self.open.get(intent).map(Arc::as_ref)
    }

    /// All of them, by intent.
    pub fn reservations(&self) -> impl Iterator<Item = &Open> {
        self.open.iter().map(|(_, open)| open.as_ref())
    }

    /// How many there are.
    pub fn reservations_len(&self) -> usize {
        self.open.len()
    }

    /// All accounts that ever had a booking.
    pub fn accounts(&self) -> &[Account] {
        self.accounts.all()
    }

    /// The highest ownership of a space that has written here.
    pub fn generation(&self, space: &SpaceName) -> Option<Generation> {
        self.generations.get(space).copied()
    }

    /// What a cap has settled and reserved in the window that begins at a time.
    fn sum(&self, place: usize, window: Span) -> Sum {
        self.sums[place].of(window)
    }

    /// The sums of all windows of a cap that have something in them, by their beginnings.
    pub fn sums(&self, name: &CapName) -> Vec<(Timestamp, Sum)> {
        let place = self.caps.iter().position(|cap| cap.name == *name);
        place.map_or_else(Vec::new, |place| self.sums[place].iter().collect())
    }
}
