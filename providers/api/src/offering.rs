//! What a cloud sells: offerings, prices, quota.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Megabytes, Processors, Timestamp};

/// How a machine is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Market {
    /// Ours until we end it.
    OnDemand,
    /// Cheaper; the provider may take it back (spot, preemptible).
    Preemptible,
}

impl fmt::Display for Market {
    /// As people write it in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OnDemand => "on-demand",
            Self::Preemptible => "spot",
        })
    }
}

/// Flavour, zone and market: the key under which stock-outs are remembered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OfferingId {
    /// Flavour, instance type or machine type.
    pub flavour: String,
    /// Availability zone; empty where the cloud has none.
    pub zone: String,
    /// Market.
    pub market: Market,
}

impl fmt::Display for OfferingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.flavour)?;
        if !self.zone.is_empty() {
            write!(f, "/{}", self.zone)?;
        }
        match self.market {
            Market::OnDemand => Ok(()),
            Market::Preemptible => f.write_str("/preemptible"),
        }
    }
}

/// An exact amount: millionths of a currency unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Millionths of the unit.
    pub micros: i64,
    /// ISO 4217 code, for example `GBP`.
    pub currency: String,
}

/// The price of an offering. `Unknown` is never free: it fails closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Price {
    /// Per hour of the whole machine.
    PerHour(Money),
    /// Not paid for by the hour (own hardware, a grant of hours).
    Unmetered,
    /// Nobody told us.
    Unknown,
}

/// Whether an offering can be had now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Availability {
    /// Nothing says that it cannot be had.
    Available,
    /// Out of stock; worth another try at this time.
    NotUntil(Timestamp),
}

/// A disk or volume that exists, and is paid for, as long as its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Size in GiB. `None`: as the image says, which nobody told us.
    pub gb: Option<u64>,
    /// Type in the cloud's words. `None`: as the cloud or the image chooses.
    pub kind: Option<String>,
}

/// What a machine has that is paid for beside its processors and memory. Disks that belong to the flavour are not here:
/// they are in its price.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attached {
    /// Disks and volumes.
    pub disks: Vec<Disk>,
    /// Public addresses, at most.
    pub public_addresses: u32,
}

/// One thing that a machine can be made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offering {
    /// What it is.
    pub id: OfferingId,
    /// Processors of a machine.
    pub processors: Processors,
    /// Memory of a machine.
    pub memory: Megabytes,
    /// What else a machine of it has.
    #[serde(default)]
    pub attached: Attached,
    /// Price.
    pub price: Price,
    /// Availability as the provider itself knows it (the planner adds its own memory).
    pub availability: Availability,
}

/// Limits and use of the whole tenancy, foreign machines included. `None`: not limited, or not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quota {
    /// Most machines.
    pub machines: Option<u32>,
    /// Most processors.
    pub processors: Option<Processors>,
    /// Most memory.
    pub memory: Option<Megabytes>,
    /// Machines that exist now.
    pub machines_used: Option<u32>,
    /// Processors in use now.
    pub processors_used: Option<Processors>,
    /// Memory in use now.
    pub memory_used: Option<Megabytes>,
}
