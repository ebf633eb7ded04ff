//! What the ledger consists of. An entry is written once, in order, and never changed.

use serde::{Deserialize, Serialize};
use vcycle_api::{Generation, IntentToken, ManagerName, SpaceName, Timestamp};

use crate::book::Stage;
use crate::{Account, Amount, Cap, CapName, Currency, Reservation, Tariff};

/// One entry: some events that hold together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of this format.
    pub format: u32,
    /// 1, 2, 3, ...
    pub number: u64,
    /// SHA-256 (hex) of the entry before this one as it stands in its file; of the first: empty.
    pub previous: String,
    /// When, by its author's clock.
    pub at: Timestamp,
    /// Who wrote it.
    pub by: Author,
    /// Random: whoever finds an entry with its own `attempt` has written it, whatever reply was lost.
    pub attempt: String,
    /// What happened.
    pub events: Vec<Event>,
}

/// Who writes an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "author")]
pub enum Author {
    /// The owner of a space, for its machines.
    Owner {
        /// The manager.
        manager: ManagerName,
        /// The space.
        space: SpaceName,
        /// Its ownership.
        generation: Generation,
    },
    /// A manager that found other caps in the files.
    Manager {
        /// The manager.
        manager: ManagerName,
    },
    /// A person, by the command line.
    Person {
        /// As the system knows them.
        who: String,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// The worst cost of a machine is kept free. Refused where a cap would be passed.
    Reserved(Reservation),
    /// A machine of ours was found that has no reservation: booked at once, whatever the caps say.
    Found {
        /// What it may cost.
        reservation: Reservation,
        /// How it was found.
        how: Found,
    },
    /// A machine has ended: it cost what it cost, and the rest is free again.
    Settled {
        /// Its intent.
        intent: IntentToken,
        /// From when it cost.
        begin: Timestamp,
        /// Until when it cost: its observed end.
        end: Timestamp,
        /// How that is known, and whether it was of use.
        reason: SettleReason,
    },
    /// It is proven that no machine was made.
    Released {
        /// Its intent.
        intent: IntentToken,
        /// How that is known.
        reason: ReleaseReason,
    },
    /// A machine still exists after the time that was reserved. Booked whatever the caps say: the world is not hidden.
    Extended {
        /// Its intent.
        intent: IntentToken,
        /// The new end of its reservation.
        until: Timestamp,
    },
    /// What runs has become dearer (or cheaper) from a time on. Booked whatever the caps say.
    Repriced {
        /// Its intent.
        intent: IntentToken,
        /// What it costs from then on.
        tariff: Tariff,
        /// From when.
        from: Timestamp,
    },
    /// The currency of every amount in the ledger, once and for all.
    CurrencySet {
        /// Which.
        currency: Currency,
    },
    /// The caps in force from now on: all of them.
    CapsSet {
        /// All of them.
        caps: Vec<Cap>,
        /// Where they were read, for people: the files, whose they are, when they were changed.
        #[serde(default)]
        source: String,
    },
    /// A bill differs from the ledger.
    Corrected {
        /// Where the difference belongs.
        account: Account,
        /// When it was spent: noon of UTC on the day of the bill.
        at: Timestamp,
        /// What the bill says more (less, when negative).
        amount: Amount,
        /// Which bill.
        source: String,
    },
    /// A cap has come to another stage. For people: the stage follows from the sums.
    StageChanged {
        /// Which.
        cap: CapName,
        /// The stage.
        stage: Stage,
    },
}

/// How a machine without a reservation was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// It was adopted from the cloud.
    Adopted,
    /// It was made before spending was watched, or its price was not known then.
    OlderThanLedger,
}

/// How the end of a machine is known, and whether it was of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettleReason {
    /// It worked, and ended.
    Worked,
    /// It ended without having worked: at once without a word, or with one that says so, as "300 No work" does.
    Fizzled,
    /// It never started, though the cloud took it.
    NeverStarted,
    /// It was taken back by the provider.
    Preempted,
    /// It was deleted while it ran: silent, too long, by a person.
    Killed,
}

/// How it is known that no machine was made. That nothing is there now is no such reason: a machine whose create got no answer may
/// have been there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseReason {
    /// It was never asked for: the step was not carried out.
    NotAsked,
    /// The cloud refused it.
    Refused,
}
