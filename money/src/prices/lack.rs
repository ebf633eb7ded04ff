//! Why there is no price, and what to write in which file.

use std::fmt;
use std::time::Duration;

use vcycle_api::Timestamp;

use super::list::{Item, Written};
use crate::bills::Day;
use crate::{Currency, ProviderName};

/// A machine that has no price: everything that is missing. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpriced(Vec<Lack>);

impl Unpriced {
    /// All that is missing; `None`: nothing is.
    pub(crate) fn of(lacks: Vec<Lack>) -> Option<Self> {
        (!lacks.is_empty()).then_some(Self(lacks))
    }

    /// All that is missing.
    pub fn lacks(&self) -> &[Lack] {
        &self.0
    }
}

impl fmt::Display for Unpriced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, lack) in self.0.iter().enumerate() {
            write!(f, "{}{lack}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Unpriced {}

/// One price that is missing, or cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// Nobody wrote one.
    #[error("{item} at {provider}{} is not in the price lists", of_region(region))]
    Missing {
        /// Of what.
        item: Item,
        /// Who sends the bill.
        provider: ProviderName,
        /// Where; empty: not known.
        region: String,
        /// The lists that there are for it.
        lists: Vec<Written>,
    },
    /// There are some, and none is in force at a time of the machine's life.
    #[error("{item} is not known at {at}")]
    NotInForce {
        /// Of what.
        item: Item,
        /// At this time.
        at: Timestamp,
        /// One of them.
        written: Written,
    },
    /// Zero or less: more likely a gap of a table than a gift.
    #[error("{item} is not above zero")]
    NotPositive {
        /// Of what.
        item: Item,
        /// Where it stands.
        written: Written,
    },
    /// Nobody has looked at it for too long.
    #[error("{item} was last confirmed at {confirmed}, more than {} ago", days(*limit))]
    TooOld {
        /// Of what.
        item: Item,
        /// When it was.
        confirmed: Timestamp,
        /// The age limit.
        limit: Duration,
        /// Where it stands.
        written: Written,
    },
    /// It was confirmed in the future, and so would never be too old.
    #[error("{item} is said to be confirmed at {confirmed}, which is still to come")]
    ConfirmedLater {
        /// Of what.
        item: Item,
        /// When.
        confirmed: Timestamp,
        /// Where it stands.
        written: Written,
    },
    /// A disk is as large as the image says, which nobody told us.
    #[error("the size of a disk is as the image says, and not known")]
    DiskSize {
        /// Who sends the bill.
        provider: ProviderName,
    },
    /// A price is in a currency that nobody gave a rate for.
    #[error("there is no rate of exchange from {from} to {into}")]
    NoRate {
        /// Of the price.
        from: Currency,
        /// Of the ledger.
        into: Currency,
    },
    /// There are rates of later days alone.
    #[error(
        "there is no rate of exchange from {from} to {into} for {}: the oldest is of {}; keep the older ones in the file",
        Day::of(*at),
        Day::of(*oldest)
    )]
    RateOnlyLater {
        /// Of the price.
        from: Currency,
        /// Of the ledger.
        into: Currency,
        /// When one is needed.
        at: Timestamp,
        /// The oldest one.
        oldest: Timestamp,
        /// Where it stands.
        written: Written,
    },
    /// The newest rate is not above zero.
    #[error("the rate of exchange from {from} to {into} is not above zero")]
    RateNotPositive {
        /// Of the price.
        from: Currency,
        /// Of the ledger.
        into: Currency,
        /// Where it stands.
        written: Written,
    },
    /// The newest rate is too old.
    #[error("the newest rate of exchange from {from} to {into} is of {on}, more than {} ago", days(*limit))]
    RateTooOld {
        /// Of the price.
        from: Currency,
        /// Of the ledger.
        into: Currency,
        /// The newest one.
        on: Timestamp,
        /// The age limit.
        limit: Duration,
        /// Where it stands.
        written: Written,
    },
}

fn of_region(region: &str) -> String {
    if region.is_empty() { String::new() } else { format!(" in {region}") }
}

/// Ages are limited in days, as a rule.
fn days(limit: Duration) -> String {
    match limit.as_secs() {
        secs if secs >= 86_400 => format!("{} days", secs / 86_400),
        secs => format!("{} hours", secs / 3600),
    }
}

impl Lack {
    /// Of what, if it is of a price.
    pub fn item(&self) -> Option<&Item> {
        match self {
            Self::Missing { item, .. }
            | Self::NotInForce { item, .. }
            | Self::NotPositive { item, .. }
            | Self::TooOld { item, .. }
            | Self::ConfirmedLater { item, .. } => Some(item),
            Self::DiskSize { .. }
            | Self::NoRate { .. }
            | Self::RateOnlyLater { .. }
            | Self::RateNotPositive { .. }
            | Self::RateTooOld { .. } => None,
        }
    }

    /// Whether both have one cause: a day on which a whole list was confirmed.
    pub(super) fn has_cause_of(&self, other: &Self) -> bool {
        self.confirmed().is_some() && self.confirmed() == other.confirmed()
    }

    fn confirmed(&self) -> Option<Timestamp> {
        match self {
            Self::TooOld { confirmed, .. } | Self::ConfirmedLater { confirmed, .. } => {
                Some(*confirmed)
            }
            Self::Missing { .. }
            | Self::NotInForce { .. }
            | Self::NotPositive { .. }
            | Self::DiskSize { .. }
            | Self::NoRate { .. }
            | Self::RateOnlyLater { .. }
            | Self::RateNotPositive { .. }
            | Self::RateTooOld { .. } => None,
        }
    }

    /// What to write where.
    pub fn remedy(&self) -> String {
        match self {
            Self::Missing { item, provider, region, lists } => {
                let into = match lists.as_slice() {
                    [] => "a file that `spending.prices` names".to_owned(),
                    files => files.join(" or "),
                };
                let place = if region.is_empty() { "" } else { ", region " };
                format!("{} in {into} (provider {provider}{place}{region})", entry_of(item))
            }
            Self::NotInForce { item, at, written } => {
                format!("{} with a `valid_from` not after {at}, beside {written}", entry_of(item))
            }
            Self::NotPositive { written, .. } => format!("the price at {written}"),
            Self::TooOld { written, .. } => {
                format!(
                    "look at the provider's price, mend the one at {written}, and set `confirmed`, there or in [list], to that day"
                )
            }
            Self::ConfirmedLater { written, .. } => {
                format!(
                    "`confirmed` of the price at {written}, there or in [list]: the day on which somebody looked"
                )
            }
            Self::DiskSize { provider } => disk_size_of(provider.as_str()),
            Self::NoRate { from, into } => format!(
                "[[rate]] with `currency = \"{from}\"` and `worth = \"... {into}\"` in the file that `spending.rates` names"
            ),
            Self::RateOnlyLater { at, written, .. } => {
                format!("a [[rate]] of {} or before beside {written}", Day::of(*at))
            }
            Self::RateNotPositive { written, .. } => format!("the rate at {written}"),
            Self::RateTooOld { written, .. } => format!("a newer [[rate]] beside {written}"),
        }
    }
}

fn entry_of(item: &Item) -> String {
    match item {
        Item::OnDemand(flavour) => {
            format!("[[machine]] with `type = \"{flavour}\"` and `per_hour`")
        }
        Item::Spot(flavour) => {
            format!("[[machine]] with `type = \"{flavour}\"`, `market = \"spot\"` and `per_hour`")
        }
        Item::SpotCeiling(flavour) => {
            format!("`spot_ceiling` in the [[machine]] with `type = \"{flavour}\"`")
        }
        Item::Disk(Some(kind)) => format!("[[disk]] with `type = \"{kind}\"` and `per_gb_month`"),
        Item::Disk(None) => "[[disk]] with `per_gb_month` and without `type`".to_owned(),
        Item::Address => "[[address]] with `per_hour`".to_owned(),
    }
}

fn disk_size_of(provider: &str) -> String {
    let key = match provider {
        "aws" => "`root_volume_gb` in the space's [aws]",
        "gcp" => "`boot_disk_gb` in the space's [gcp]",
        _ => "the size of its disks in the space's provider table",
    };
    format!("{key}, or `disks = \"included\"` in the price list if they cost nothing")
}
