//! `vcycle check`: configuration, library and the files they name; every problem with its place.

mod money;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use vcycle_api::{Clock, SystemClock};
use vcycle_money::Cap;

use super::error::CliError;
use super::online::{self, SpaceFindings};
use super::output::{Screen, json, print};
use super::{CheckArgs, providers};
use crate::config::{
    Host, LoadedCaps, ProblemRow, Problems, ProviderConfig, Warning, Wrong, load_caps,
};
use crate::library::{Loaded, Setup, load_all, too_large};

/// Carries the command out. Problems are the answer, so they go to standard output with `--json`.
pub(crate) async fn run(config: &Path, args: &CheckArgs) -> Result<ExitCode, CliError> {
    let Loaded { setup, mut warnings, .. } = load_all(config, &Host::this());
    let mut spaces = None;
    let mut caps = Ok(Vec::new());
    if let Ok(setup) = &setup {
        // A warning: the manager runs with it, and makes no machine of that machinetype alone.
        let found = too_large(setup, providers::user_data_limit);
        warnings.extend(found.iter().filter_map(|f| f.problem(setup)).map(Warning::as_warning));
        warnings.extend(missing_state_dir(&setup.config.site.state_dir));
        warnings.extend(without_credentials(setup));
        let LoadedCaps { caps: found, budgets, warnings: more, texts: _ } =
            load_caps(&setup.config);
        warnings.extend(more);
        warnings.extend(money::doubts(&setup.config, found.as_deref().ok(), &budgets));
        caps = found;
        if let Some(unknown) = args.spaces.iter().find(|name| !setup.spaces.contains_key(*name)) {
            return Err(CliError::Usage(format!("the configuration has no space {unknown}")));
        }
        if args.online {
            spaces = Some(online::inspect(setup, &args.spaces).await);
        }
    }
    // Caps have owners of their own, but whoever checks wants to know all.
    let checked =
        setup.as_ref().and_then(|setup| caps.as_ref().map(|caps| (setup, caps.as_slice())));
    let found = Found { checked, warnings: &warnings, spaces: spaces.as_deref() };
    if args.read.json {
        found.print_json()?
    } else {
        found.print_text()?
    }
    let fails = spaces.iter().flatten().any(|space| !space.works());
    Ok(match (checked, fails) {
        (Err(_), _) => ExitCode::from(2),
        (Ok(_), true) => ExitCode::FAILURE,
        (Ok(_), false) => ExitCode::SUCCESS,
    })
}

/// Everything that was found.
struct Found<'a> {
    /// The configuration, and the caps that it is to obey.
    checked: Result<(&'a Setup, &'a [Cap]), &'a Problems>,
    warnings: &'a [Warning],
    spaces: Option<&'a [SpaceFindings]>,
}

impl Found<'_> {
    fn print_json(&self) -> Result<(), CliError> {
        let errors = self.checked.err().into_iter().flat_map(Problems::list);
        print(&json(&CheckJson {
            format: 1,
            valid: self.checked.is_ok(),
            digest: self.checked.ok().map(|(setup, _)| setup.digest.as_str()),
            problems: errors.chain(self.warnings).map(|problem| problem.row()).collect(),
            spaces: self.spaces,
        })?)
    }

    fn print_text(&self) -> Result<(), CliError> {
        for warning in self.warnings {
            print(&format!("{warning}\n\n"))?;
        }
        match self.checked {
            Ok((setup, caps)) => print(&summary(setup, caps))?,
            Err(problems) => return Err(CliError::Problems(problems.to_string())),
        }
        match self.spaces {
            Some(spaces) => print(&format!("\n{}", online::text(spaces, Screen::of_stdout()))),
            None => Ok(()),
        }
    }
}

/// Credentials that cannot be read are said before the daemon needs them. It runs with that, and waits: another host
/// may have them, or they are still to come.
fn without_credentials(setup: &Setup) -> impl Iterator<Item = Warning> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    setup.config.spaces.values().filter_map(move |space| {
        let right = match &space.provider {
            ProviderConfig::OpenStack(_) => {
                "an entry of clouds.yaml, or `OS_*` variables, that this user may read"
            }
            ProviderConfig::Aws(_) => "files and a profile that this user may read",
            ProviderConfig::Gcp(_) => {
                "a file of credentials that this user may read, or application-default credentials"
            }
            ProviderConfig::Local(_) | ProviderConfig::Sim(_) => return None,
        };
        let problem = providers::observer(space, &clock).err()?;
        let wrong = Wrong::new(format!("the provider cannot be opened: {problem:#}"), right);
        Some(Warning::at_value(&space.provider_section, wrong).as_warning())
    })
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
    /// What the clouds told; `null`: they were not asked.
    spaces: Option<&'a [SpaceFindings]>,
}

fn summary(setup: &Setup, caps: &[Cap]) -> String {
    let machinetypes: usize = setup.spaces.values().map(|space| space.machinetypes.len()).sum();
    let count = |number: usize, noun: &str| {
        format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
    };
    let spending = setup.config.spending.as_ref();
    let spending = spending.map_or_else(String::new, |spending| {
        let caps = count(caps.len(), "cap");
        format!(", {caps} in {}", spending.currency)
    });
    format!(
        "no problems: site {}, {}, {}{spending}\n",
        setup.config.site.name,
        count(setup.spaces.len(), "space"),
        count(machinetypes, "machinetype"),
    )
}
