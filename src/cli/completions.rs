//! `vcycle completions SHELL`.

use clap::CommandFactory;

use super::error::CliError;
use super::{Cli, output};

/// Prints the completions for a shell.
pub(crate) fn run(shell: clap_complete::Shell) -> Result<(), CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vcycle", &mut text);
    output::print(&String::from_utf8_lossy(&text))
}
