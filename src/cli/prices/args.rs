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
    let signed = text.trim().parse::<jiff::SignedDuration>().ok();
    let time = signed.and_then(|signed| Duration::try_from(signed).ok());
    time.filter(|time| !time.is_zero()).ok_or_else(|| "not a time such as 1h or 10m".to_owned())
}
