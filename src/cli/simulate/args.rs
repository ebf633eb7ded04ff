//! What `vcycle simulate` is told.

use std::path::PathBuf;

use clap::Args;
use vcycle_money::bills::Day;

use super::super::ReadArgs;
use super::super::when::day;

/// `vcycle simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Files that together are a scenario: [simulation], [budget.NAME], [community.NAME],
    /// [offering.NAME]; a file of caps.d may be one of them
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Which budget, where the files have several
    #[arg(long, value_name = "NAME")]
    pub budget: Option<String>,

    /// Take what the files do not say from the configuration (--config): currency, price lists, how long machines of a
    /// community live; and, where they have no budget, the budgets and caps of its state directory
    #[arg(long)]
    pub site: bool,

    /// First day (of UTC) of the budget, in place of its own
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub from: Option<Day>,

    /// Last day (of UTC) of the budget, in place of its own
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub to: Option<Day>,

    /// What chance follows from; default: that of the scenario
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Write a picture: the budget, what was spent, and the rate of each community
    #[arg(long, value_name = "OUT.svg")]
    pub svg: Option<PathBuf>,

    /// As in every reading command.
    #[command(flatten)]
    pub read: ReadArgs,
}
