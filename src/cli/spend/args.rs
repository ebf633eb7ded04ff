//! The options of `vcycle spend` and its commands.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use vcycle_money::bills::Day;
use vcycle_money::{Amount, CapName, Currency};

use super::super::when::day;
use super::super::{ReadArgs, StateArgs};
use crate::model::SpaceName;

/// `vcycle spend`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SpendArgs {
    /// What to look at; default: what was spent, how fast, and where it leads.
    #[command(subcommand)]
    pub command: Option<SpendCommand>,

    /// Which days.
    #[command(flatten)]
    pub days: DaysArgs,

    /// Where to read.
    #[command(flatten)]
    pub state: StateArgs,
}

/// `vcycle spend ...`.
#[derive(Debug, Subcommand)]
pub enum SpendCommand {
    /// Show every cap: its limit, what is settled and reserved in its window now, and its stage
    Caps(SpendCapsArgs),
    /// Tell why a cap stands as it does: every open reservation below it, and whether the next machine would fit
    Explain(SpendExplainArgs),
    /// Tell what the budgets will do in the days to come if work stays as it is; with --with, what another plan would do
    Plan(SpendPlanArgs),
    /// Compare a bill with the ledger, day by day; with --book, correct the ledger by it
    Import(ImportArgs),
    /// Print what was spent, by hour and account, for a spreadsheet or a program
    Export(ExportArgs),
}

/// Days of UTC, both inclusive.
#[derive(Debug, Clone, Copy, Args)]
pub struct DaysArgs {
    /// First day (of UTC); default: the first of this month
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub from: Option<Day>,

    /// Last day (of UTC); default: today
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub to: Option<Day>,
}

/// `vcycle spend caps`.
#[derive(Debug, Args)]
pub struct SpendCapsArgs {
    /// Who changed which cap and when, and when each came to another stage: the last 500 changes
    #[arg(long)]
    pub history: bool,

    /// Where to read.
    #[command(flatten)]
    pub state: StateArgs,
}

/// `vcycle spend explain`.
#[derive(Debug, Args)]
pub struct SpendExplainArgs {
    /// The cap
    #[arg(value_name = "CAP")]
    pub cap: CapName,

    /// Where to read.
    #[command(flatten)]
    pub state: StateArgs,
}

/// `vcycle spend plan`.
#[derive(Debug, Args)]
pub struct SpendPlanArgs {
    /// Another plan to compare with: its budgets take the place of those of the same name; nothing is changed
    #[arg(long, value_name = "FILE")]
    pub with: Option<PathBuf>,

    /// Only this budget
    #[arg(long, value_name = "NAME")]
    pub budget: Option<CapName>,

    /// How many days (of UTC), today included
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=366))]
    pub days: u16,

    /// As in every reading command.
    #[command(flatten)]
    pub read: ReadArgs,
}

/// Whose bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BillFormat {
    /// Cost and Usage Report of AWS (2.0 or older), as CSV
    Aws,
    /// Billing export of Google Cloud, from BigQuery as newline-delimited JSON
    Google,
    /// Answer of CloudKitty to /v2/summary?groupby=time, as JSON; its pages are files of one bill
    Cloudkitty,
}

/// `vcycle spend import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The files of one bill, all of them at once; `-`: standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// What the files are
    #[arg(long = "from", value_enum, value_name = "FORMAT")]
    pub format: BillFormat,

    /// The worth of a unit of another currency on the bill, such as USD=0.79, for all its days; may be given several times;
    /// default: the rates of [spending], each for its days and with their margin
    #[arg(long, value_name = "CURRENCY=WORTH")]
    pub rate: Vec<UnitRate>,

    /// CloudKitty: the currency in which it rates, since its answers have none
    #[arg(long, value_name = "CURRENCY")]
    pub bill_currency: Option<Currency>,

    /// The currency of the ledger, where neither it nor [spending] says one
    #[arg(long)]
    pub currency: Option<Currency>,

    /// CloudKitty: the space whose project the bill is for; else only what has our tags is ours
    #[arg(long)]
    pub space: Option<SpaceName>,

    /// How many days it takes until the bill of a day is complete: younger days are shown and not booked
    #[arg(long, default_value_t = 3, value_name = "DAYS")]
    pub complete_after: u16,

    /// The bill has all its days whole: book also its first and its last day, and others that it may have only in part
    #[arg(long)]
    pub whole_days: bool,

    /// Correct the ledger by the differences
    #[arg(long)]
    pub book: bool,

    /// With --book, do it without asking; needed when standard input is not a terminal
    #[arg(long, short, requires = "book")]
    pub yes: bool,

    /// Where to read, and with --book to write.
    #[command(flatten)]
    pub state: StateArgs,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Comma-separated values, with a title line
    Csv,
    /// One JSON document
    Json,
}

/// `vcycle spend export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// How it is written
    #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
    pub format: ExportFormat,

    /// Which days.
    #[command(flatten)]
    pub days: DaysArgs,

    /// State directory; default: the one that the configuration names
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `USD=0.79`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitRate {
    /// The currency.
    pub currency: Currency,
    /// What a unit of it is worth.
    pub worth: Amount,
}

impl std::str::FromStr for UnitRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no rate: write for example USD=0.79");
        let (currency, worth) = text.split_once('=').ok_or_else(wrong)?;
        let worth: Amount = worth.parse().map_err(|_| wrong())?;
        if worth.is_nothing() {
            return Err(wrong());
        }
        Ok(Self { currency: currency.parse().map_err(|_| wrong())?, worth })
    }
}
