//! `vcycle managers`: who shares the state directory.

use std::path::Path;

use serde::Serialize;
use vcycle_api::Clock;

use super::StateArgs;
use super::error::CliError;
use super::output::{Screen, clock_time, json, print, table, table_text};
use super::site::StateSource;
use crate::model::Timestamp;
use crate::store::ManagerInfo;

/// Carries the command out.
pub(crate) async fn run(config: &Path, args: &StateArgs) -> Result<(), CliError> {
    let source = StateSource::open(config, args.state_dir.as_deref())?;
    let managers =
        source.store.managers().await.map_err(|error| {
            CliError::failed("cannot read who shares the state directory", &error)
        })?;
    if args.read.json {
        print(&json(&ManagersJson { format: 1, now: source.clock.now(), managers: &managers })?)
    } else {
        print(&text(&managers, Screen::of_stdout()))
    }
}

/// The documented JSON of `vcycle managers --json`.
#[derive(Serialize)]
struct ManagersJson<'a> {
    format: u32,
    now: Timestamp,
    managers: &'a [ManagerInfo],
}

fn text(managers: &[ManagerInfo], screen: Screen) -> String {
    if managers.is_empty() {
        return "no manager has shown itself\n".to_owned();
    }
    let mut table = table(screen, &["MANAGER", "VERSION", "STARTED", "ADDRESS", "SPACES"]);
    for manager in managers {
        let spaces: Vec<_> = manager.spaces.iter().map(ToString::to_string).collect();
        let spaces = match manager.stopped {
            Some(at) => format!("none: stopped at {}", clock_time(at)),
            None => spaces.join(", "),
        };
        table.add_row([
            manager.name.to_string(),
            manager.version.clone(),
            clock_time(manager.started),
            manager.address.map_or("-".to_owned(), |address| address.to_string()),
            spaces,
        ]);
    }
    table_text(&table)
}
