//! The options of `vcycle prices` and its commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use vcycle_money::Currency;

use super::super::ReadArgs;
use crate::model::SpaceName;

/// `vcycle prices`.
#[derive(Debug, Subcommand)]
pub enum PricesCommand {
    /// Ask the clouds what they offer, and show what each machine would cost
    List(PricesArgs),
    /// Ask the clouds what they offer, and show which of it has no price that can be used, and what to write; fails if any has none
    Check(PricesArgs),
    /// Ask a cloud what machines cost now, and print it as a price list: spot of EC2, Google's public catalogue, CloudKitty
    Refresh(PricesRefreshArgs),
}

/// What price commands look at.
#[derive(Debug, Args)]
pub struct PricesArgs {
    /// Only these spaces; default: all of the configuration
    #[arg(value_name = "SPACE")]
    pub spaces: Vec<SpaceName>,

    /// As in every reading command.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// `vcycle prices refresh`.
#[derive(Debug, Args)]
pub struct PricesRefreshArgs {
    /// The space
    pub space: SpaceName,

    /// Replace this file in place of printing
    #[arg(long, value_name = "FILE")]
    pub into: Option<PathBuf>,

    /// Currency of the prices; CloudKitty has none of its own, so it must be said
    #[arg(long, value_name = "CURRENCY", value_parser = currency)]
    pub currency: Option<Currency>,

    /// For how long the costs of CloudKitty are, where the site's charges do not show it, for example 1h
    #[arg(long, value_name = "TIME", value_parser = period)]
    pub period: Option<Duration>,

    /// What is in the price of a machine, or free; may be given twice
    #[arg(long, value_enum, value_name = "WHAT")]
    pub included: Vec<Included>,

    /// Settle machines that may be taken back at the spot prices of this list: then refresh it each day
    #[arg(long, value_enum, value_name = "HOW")]
    pub charge_spot: Option<ChargeSpot>,

    /// After this time the list is not believed any more, for example 2d; default: as all price lists
    #[arg(long, value_name = "TIME", value_parser = period)]
    pub price_age: Option<Duration>,
}

/// What machines that may be taken back are charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChargeSpot {
    /// As much as was reserved for them
    Reserved,
    /// Their spot price in the list
    Listed,
}

impl ChargeSpot {
    /// As a price list says it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Listed => "listed",
        }
    }
}

/// What may be in the price of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Included {
    /// Its disks
    Disks,
    /// Its public addresses
    Addresses,
}

impl Included {
    /// Its key in a price list.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Disks => "disks",
            Self::Addresses => "addresses",
        }
    }
}

fn currency(text: &str) -> Result<Currency, String> {
    text.parse().map_err(|_| "not the three capital letters of a currency, such as GBP".to_owned())
}

fn period(text: &str) -> Result<Duration, String> {
    let span = text.trim().parse::<jiff::Span>().ok();
    let signed =
        span.and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok());
    let time = signed.and_then(|signed| Duration::try_from(signed).ok());
    time.filter(|time| !time.is_zero()).ok_or_else(|| "not a time such as 10m, 1h or 2d".to_owned())
}
