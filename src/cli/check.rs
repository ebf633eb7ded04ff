//! `vcycle check`: configuration, library and the files they name; every problem with its place.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::error::CliError;
use super::output::{json, print};
use super::{ReadArgs, providers};
use crate::config::{Host, ProblemRow, Warning, Wrong};
use crate::library::{Loaded, Setup, load_all, too_large};

/// Carries the command out. Problems are the answer, so they go to standard output with `--json`.
pub(crate) fn run(config: &Path, args: ReadArgs) -> Result<ExitCode, CliError> {
    let Loaded { setup, mut warnings, .. } = load_all(config, &Host::this());
    if let Ok(setup) = &setup {
        // A warning: the manager runs with it, and makes no machine of that machinetype alone.
        let found = too_large(setup, providers::user_data_limit);
        warnings.extend(found.iter().filter_map(|f| f.problem(setup)).map(Warning::as_warning));
        warnings.extend(missing_state_dir(&setup.config.site.state_dir));
    }
    let problems: Vec<ProblemRow> = setup
        .as_ref()
        .err()
        .iter()
        .flat_map(|p| p.list())
        .chain(&warnings)
        .map(|p| p.row())
        .collect();
    if args.json {
        let digest = setup.as_ref().ok().map(|setup| setup.digest.as_str());
        print(&json(&CheckJson { format: 1, valid: setup.is_ok(), digest, problems })?)?;
    } else {
        for warning in &warnings {
            print(&format!("{warning}\n\n"))?;
        }
        match &setup {
            Ok(setup) => print(&summary(setup))?,
            Err(problems) => return Err(CliError::Problems(problems.to_string())),
        }
    }
    Ok(if setup.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// No manager starts without it, but another host may have it.
fn missing_state_dir(dir: &Path) -> Option<Warning> {
    let wrong = Wrong::new(
        "the state directory (`site.state_dir`) does not exist on this host",
        "a directory that exists: no manager makes it, because a mount may be missing",
    );
    (!dir.is_dir()).then(|| Warning::in_file(dir, wrong).as_warning())
}

/// The documented JSON of `vcycle check --json`.
#[derive(Serialize)]
struct CheckJson<'a> {
    format: u32,
    valid: bool,
    digest: Option<&'a str>,
    problems: Vec<ProblemRow>,
}

fn summary(setup: &Setup) -> String {
    let machinetypes: usize = setup.spaces.values().map(|space| space.machinetypes.len()).sum();
    let count = |number: usize, noun: &str| {
        format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
    };
    format!(
        "no problems: site {}, {}, {}\n",
        setup.config.site.name,
        count(setup.spaces.len(), "space"),
        count(machinetypes, "machinetype"),
    )
}
