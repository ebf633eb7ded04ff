//! `vcycle handover SPACE [--to NAME]`: asks the owner of a space to give it to another manager. The
//! owner does so after its next cycle; machines notice nothing.

use std::path::Path;
use std::time::Duration;

use super::HandoverArgs;
use super::confirm::{YesFlag, ask};
use super::drain::{leave, space_of};
use super::error::CliError;
use super::output::print;
use super::site::StateSource;
use super::target::Target;
use crate::model::{ManagerName, RequestWhat};

/// Carries the command out.
pub(crate) async fn run(config: &Path, args: &HandoverArgs) -> Result<(), CliError> {
    let source = StateSource::open(config, args.change.state_dir.as_deref())?;
    source.must_be_in_use().await?;
    let overview = source.overview(&[]).await?;
    let view = space_of(&overview, &Target::Space(args.space.clone()))?;
    if let Some(to) = &args.to {
        must_be_known(&source, to).await?;
    }
    let to = args.to.as_ref().map_or("the best placed of the other managers", ManagerName::as_str);
    let consent = ask(
        &format!(
            "space {} goes to {to}, which keeps it for {}; machines notice nothing",
            view.space,
            args.keep.words()
        ),
        YesFlag::from(&args.change),
    )?;
    let keep_secs = args.keep.0.as_secs();
    let what = RequestWhat::HandOver { to: args.to.clone(), keep_secs };
    let id = leave(&source, &view.space, what, &consent).await?;
    print(&format!(
        "asked the owner of {} (request {}); `vcycle managers` shows who owns what\n",
        view.space, id.0
    ))
}

async fn must_be_known(source: &StateSource, to: &ManagerName) -> Result<(), CliError> {
    let managers =
        source.store.managers().await.map_err(|error| {
            CliError::failed("cannot read who shares the state directory", &error)
        })?;
    let is_known = managers.iter().any(|manager| manager.name == *to && manager.stopped.is_none());
    if is_known {
        return Ok(());
    }
    let names: Vec<_> = managers.iter().map(|manager| manager.name.to_string()).collect();
    Err(CliError::Usage(format!(
        "no manager {to} runs on this state directory; known are: {}",
        names.join(", ")
    )))
}

/// For how long the new owner keeps the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep(pub Duration);

impl Keep {
    fn words(self) -> String {
        crate::plan::duration_words(self.0)
    }
}

impl std::str::FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            super::when::When::In(duration) => Ok(Self(duration)),
            super::when::When::At(_) => Err("a duration such as 1h is wanted here".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_keep_is_a_duration() {
        assert_eq!("90m".parse::<Keep>().unwrap().0, Duration::from_secs(5400));
        assert!("2026-03-31T18:00:00Z".parse::<Keep>().is_err());
    }
}
