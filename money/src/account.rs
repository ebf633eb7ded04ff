//! Who pays for what: the account of a machine, and its reservation.

use serde::{Deserialize, Serialize};
use vcycle_api::{
    Generation, IntentToken, MachineName, MachinetypeName, Market, OfferingId, SpaceName, Timestamp,
};

use crate::{Amount, Community, Money, ProviderName, Tariff};

/// What the cost of a machine is booked under. Caps choose by these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// Which provider bills it: `aws`, `gcp`, `openstack`.
    pub provider: ProviderName,
    /// Its space.
    pub space: SpaceName,
    /// Its machinetype.
    pub machinetype: MachinetypeName,
    /// For whom it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub community: Option<Community>,
    /// How it is paid for.
    pub market: Market,
}

/// The worst that a machine may cost, kept free of every cap before it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The intent of the machine: what the reservation is known by.
    pub intent: IntentToken,
    /// The machine.
    pub machine: MachineName,
    /// The ownership of the space under which it is made.
    pub generation: Generation,
    /// Where it is booked.
    pub account: Account,
    /// What it is made of.
    pub offering: OfferingId,
    /// What it costs in the ledger's currency, with the margin on the rate of exchange.
    pub tariff: Tariff,
    /// The price of an hour as the price book has it, before it was converted.
    pub quoted: Money,
    /// From when it may cost.
    pub from: Timestamp,
    /// Until when it may cost: its hard end and the overstay.
    pub until: Timestamp,
}

impl Reservation {
    /// The whole of it.
    pub fn worst(&self) -> Amount {
        self.tariff.worst_of(self.until.since(self.from))
    }
}
