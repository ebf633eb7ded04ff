//! `vcycle status`: spaces and machinetypes as their owners last wrote them.

use std::fmt::Write;

use serde::Serialize;

use super::StatusArgs;
use super::error::CliError;
use super::output::{
    BAD, BOLD, FAINT, Screen, WARN, age, json, number, percent, print, styled, table, table_text,
};
use super::site::{Overview, SpaceView, StateSource};
use crate::model::{MachinetypeRow, SpaceName, SpaceSnapshot, Timestamp};

/// Carries the command out.
pub(crate) async fn run(config: &std::path::Path, args: &StatusArgs) -> Result<(), CliError> {
    let source = StateSource::open(config, args.state.state_dir.as_deref())?;
    let overview = source.overview(&args.spaces).await?;
    if args.state.read.json {
        print(&json(&StatusJson::of(&overview))?)
    } else {
        print(&text(&overview, Screen::of_stdout()))
    }
}

/// The documented JSON of `vcycle status --json`.
#[derive(Serialize)]
struct StatusJson<'a> {
    format: u32,
    now: Timestamp,
    /// Why the configuration is not valid now; `null`: it is, or was not read.
    config_problem: Option<&'a str>,
    spaces: Vec<SpaceJson<'a>>,
}

#[derive(Serialize)]
struct SpaceJson<'a> {
    space: &'a SpaceName,
    /// Seconds since the owner last showed life; `null`: never.
    age_seconds: Option<u64>,
    stale: bool,
    problem: Option<&'a str>,
    snapshot: Option<&'a SpaceSnapshot>,
}

impl<'a> StatusJson<'a> {
    fn of(overview: &'a Overview) -> Self {
        let space = |view: &'a SpaceView| SpaceJson {
            space: &view.space,
            age_seconds: view.age(overview.now).map(|age| age.as_secs()),
            stale: overview.is_stale(view),
            problem: view.problem.as_deref(),
            snapshot: view.snapshot.as_ref(),
        };
        Self {
            format: 1,
            now: overview.now,
            config_problem: overview.config_problem.as_deref(),
            spaces: overview.spaces.iter().map(space).collect(),
        }
    }
}

/// The whole answer for people.
fn text(overview: &Overview, screen: Screen) -> String {
    if overview.spaces.is_empty() {
        return "no spaces\n".to_owned();
    }
    let parts: Vec<String> =
        overview.spaces.iter().map(|view| space_text(overview, view, screen)).collect();
    parts.join("\n")
}

fn space_text(overview: &Overview, view: &SpaceView, screen: Screen) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", headline(overview, view));
    if let Some(problem) = &view.problem {
        let _ = writeln!(text, "  {}", styled(BAD, problem));
    }
    let Some(snapshot) = &view.snapshot else { return text };
    for alarm in &snapshot.alarms {
        let _ = writeln!(text, "  {} {alarm}", styled(BAD, "alarm:"));
    }
    text.push_str(&machinetypes_text(&snapshot.machinetypes, screen));
    text
}

fn headline(overview: &Overview, view: &SpaceView) -> String {
    let name = styled(BOLD, &view.space);
    let Some(snapshot) = &view.snapshot else {
        return format!("{name}  {}", styled(FAINT, "no manager has worked on it yet"));
    };
    let limit = snapshot.processors_limit.map_or(String::new(), |limit| format!("/{limit}"));
    let foreign = match (snapshot.foreign_machines, snapshot.foreign_processors.0) {
        (0, _) => String::new(),
        (machines, processors) => format!(", {processors} in {machines} foreign machines"),
    };
    let listing = if snapshot.listing.starts_with("complete") {
        String::new()
    } else {
        format!(", {}", styled(WARN, format!("listing {}", snapshot.listing)))
    };
    format!(
        "{name} ({}): {} machines, {}{limit} processors{foreign}{listing}; {}",
        snapshot.provider,
        snapshot.machines.len(),
        snapshot.processors,
        freshness(overview, view, snapshot),
    )
}

/// Who says so, and how old it is.
pub(super) fn freshness(overview: &Overview, view: &SpaceView, snapshot: &SpaceSnapshot) -> String {
    let old = view.age(overview.now).map_or("?".to_owned(), age);
    let text = format!("{} {old} ago", snapshot.manager);
    if overview.is_stale(view) {
        styled(BAD, format!("{text}: no manager has worked on it since"))
    } else {
        styled(FAINT, text)
    }
}

fn machinetypes_text(rows: &[MachinetypeRow], screen: Screen) -> String {
    let mut table = table(
        screen,
        &["MACHINETYPE", "TARGET", "SHARE", "STARTING", "RUNNING", "ENDING", "PROCS", "WHY"],
    );
    for row in rows {
        let phases = row.phases;
        table.add_row([
            comfy_table::Cell::new(&row.name),
            number(percent(row.target)),
            number(percent(row.share)),
            number(phases.intended + phases.starting),
            number(phases.running),
            number(phases.ended + phases.deleting),
            number(row.processors),
            comfy_table::Cell::new(&row.why),
        ]);
    }
    table_text(&table)
}

#[cfg(test)]
mod tests {
    use super::super::site::sample;
    use super::*;

    #[test]
    fn status_tells_shares_reasons_and_age_within_the_width() {
        let overview = sample::overview();
        let text = text(&overview, Screen { size: Some((80, 25)) });
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.contains("12s ago"), "{plain}");
        assert!(plain.contains("alarm: 1 machine cannot be deleted"), "{plain}");
        for word in ["batch", "60%", "idle", "backoff"] {
            assert!(plain.contains(word), "{word}: {plain}");
        }
        let table = plain.lines().skip_while(|line| !line.starts_with("MACHINETYPE"));
        assert!(table.into_iter().take(6).all(|line| line.chars().count() <= 80), "{plain}");
    }

    #[test]
    fn an_old_snapshot_is_called_old() {
        let mut overview = sample::overview();
        overview.now = overview.now + std::time::Duration::from_secs(7_200);
        let text = text(&overview, Screen::default());
        assert!(text.contains("no manager has worked on it since"), "{text}");
        assert!(StatusJson::of(&overview).spaces[0].stale);
    }
}
