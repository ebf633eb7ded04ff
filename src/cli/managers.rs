//! `vcycle managers`: who shares the state directory, who of them lives, and who owns what.

use std::path::Path;

use serde::Serialize;
use vcycle_api::Clock;

use super::StateArgs;
use super::error::CliError;
use super::output::{Screen, age, clock_time, show, table, table_text};
use super::site::StateSource;
use crate::model::Timestamp;
use crate::store::{ManagerInfo, Owner, StoreError};

/// Carries the command out.
pub(crate) async fn run(config: &Path, args: &StateArgs) -> Result<(), CliError> {
    let source = StateSource::open(config, args.state_dir.as_deref())?;
    let seen = look(&source)
        .await
        .map_err(|error| CliError::failed("cannot read who shares the state directory", &error))?;
    show(&seen, &args.read, text)
}

/// The documented JSON of `vcycle managers --json`.
#[derive(Serialize)]
struct Seen {
    format: u32,
    now: Timestamp,
    managers: Vec<Row>,
    owners: Vec<Owner>,
}

/// A manager with what its file's time tells.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    info: ManagerInfo,
    life: &'static str,
    last_sign: Option<Timestamp>,
}

async fn look(source: &StateSource) -> Result<Seen, StoreError> {
    let managers = source.store.managers().await?;
    let signs = source.store.manager_signs(&managers).await?;
    let owners = source.store.owners().await?;
    let now = source.clock.now();
    let rows = managers.into_iter().zip(signs).map(|(info, last_sign)| Row {
        life: info.life(last_sign, now),
        info,
        last_sign,
    });
    Ok(Seen { format: 1, now, managers: rows.collect(), owners })
}

fn text(seen: &Seen, screen: Screen) -> String {
    if seen.managers.is_empty() {
        return "no manager has shown itself\n".to_owned();
    }
    let since = |time: Option<Timestamp>| {
        time.map_or("-".to_owned(), |time| format!("{} ago", age(seen.now.since(time))))
    };
    let mut managers =
        table(screen, &["MANAGER", "LIFE", "LAST SIGN", "VERSION", "STARTED", "HOST", "ADDRESS"]);
    for Row { info, life, last_sign } in &seen.managers {
        managers.add_row([
            info.name.to_string(),
            (*life).to_owned(),
            since(*last_sign),
            info.version.clone(),
            clock_time(info.started),
            info.host.clone(),
            info.address.map_or("-".to_owned(), |address| address.to_string()),
        ]);
    }
    let mut owners = table(screen, &["SPACE", "OWNER", "GENERATION", "SINCE", "RENEWED"]);
    for owner in &seen.owners {
        let name = owner.manager.as_ref().map_or("unknown".to_owned(), ToString::to_string);
        owners.add_row([
            owner.space.to_string(),
            if owner.is_given_back { format!("nobody (left by {name})") } else { name },
            owner.generation.to_string(),
            since(owner.since),
            since(owner.renewed),
        ]);
    }
    if seen.owners.is_empty() {
        return table_text(&managers);
    }
    format!("{}\n{}", table_text(&managers), table_text(&owners))
}
