//! `vcycle spend`: what the ledger says, for people and for scripts. Reads the state directory, on any host that has it;
//! only `spend import --book` writes. `docs/CLI.md` has the forms of the answers.

pub(crate) mod args;
mod bill_files;
mod caps;
mod configured;
mod explain;
mod export;
mod files;
mod history;
mod import;
mod imported;
mod now;
mod parts;
mod plan;
mod reading;
mod shown;

use std::path::Path;

use super::error::CliError;
use args::{SpendArgs, SpendCommand};

/// Carries the command out.
pub(crate) async fn run(config: &Path, args: &SpendArgs) -> Result<(), CliError> {
    match &args.command {
        None => now::run(config, args).await,
        Some(SpendCommand::Caps(args)) => caps::run(config, args).await,
        Some(SpendCommand::Explain(args)) => explain::run(config, args).await,
        Some(SpendCommand::Plan(args)) => plan::run(config, args).await,
        Some(SpendCommand::Import(args)) => import::run(config, args).await,
        Some(SpendCommand::Export(args)) => export::run(config, args).await,
    }
}
