//! What people write into a price list.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use vcycle_api::{SpaceName, Timestamp};

use crate::{Money, ProviderName};

/// Where something was written, for people: `prices/aws.toml:12`.
pub type Written = Arc<str>;

/// The prices of one provider, as one file has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceList {
    /// The file.
    pub file: Written,
    /// Who sends the bill.
    pub provider: ProviderName,
    /// For which region. `None`: for all of the provider; the list of a region is before it.
    pub region: Option<String>,
    /// For which spaces. Empty: for all; a list that names the space is before all others (a discount of its own, a site).
    pub spaces: BTreeSet<SpaceName>,
    /// The shortest time that is charged.
    pub minimum: Duration,
    /// Time is charged in whole numbers of it.
    pub granularity: Granularity,
    /// Whether disks are in the price of the machine.
    pub disks: Charged,
    /// Whether public addresses are.
    pub addresses: Charged,
    /// After which time a price of it that nobody confirmed is not used. `None`: as all.
    pub age: Option<Duration>,
    /// What its machines that may be taken back are charged.
    pub spot: SpotCharge,
    /// The prices.
    pub rows: Vec<PriceRow>,
}

/// What a machine that may be taken back is charged, once its time has passed. Reserved is the same for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpotCharge {
    /// As much as was reserved: the price on demand, or the ceiling. A bill says less.
    #[default]
    Reserved,
    /// Its usual price in this list: whoever writes that keeps the list up to date.
    Listed,
}

/// Whether something has a price of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Charged {
    /// It has.
    #[default]
    Apart,
    /// It is in the price of the machine, or free.
    Included,
}

/// Each is a whole number of the one before it, so that the larger one is never the cheaper one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granularity {
    /// By the second.
    Second,
    /// By the minute.
    Minute,
    /// By the hour.
    Hour,
}

impl Granularity {
    /// As a time.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }
}

/// One price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceRow {
    /// Of what.
    pub item: Item,
    /// For an hour; of disks, for a GiB and a month.
    pub price: Money,
    /// When.
    pub in_force: InForce,
    /// When somebody last looked whether it is right: its age counts from here.
    pub confirmed: Timestamp,
    /// Where it stands.
    pub written: Written,
}

/// The time in which a price is in force. Of several at one time the one that began last is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InForce {
    /// From this time on.
    pub from: Timestamp,
    /// Before this time. `None`: until another takes its place.
    pub until: Option<Timestamp>,
}

impl InForce {
    /// Whether it is in force then.
    pub fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// What has a price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// An hour of a machine that is ours until we end it. What may be taken back is reserved at this price, too.
    OnDemand(String),
    /// An hour of a machine that may be taken back, as it usually is: for choosing and forecasts, and, where its list
    /// says so, for what has passed.
    Spot(String),
    /// The most that the cloud may ask for an hour of a machine that may be taken back: reserved in place of the price
    /// on demand.
    SpotCeiling(String),
    /// A GiB of a disk of a type for a month. `None`: of all types that have no price of their own, and of those that
    /// nobody told.
    Disk(Option<String>),
    /// A public address for an hour.
    Address,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnDemand(flavour) => write!(f, "the on-demand price of {flavour}"),
            Self::Spot(flavour) => write!(f, "the spot price of {flavour}"),
            Self::SpotCeiling(flavour) => write!(f, "the spot ceiling of {flavour}"),
            Self::Disk(Some(kind)) => write!(f, "the price of {kind} disks"),
            Self::Disk(None) => f.write_str("the price of disks of any type"),
            Self::Address => f.write_str("the price of a public address"),
        }
    }
}
