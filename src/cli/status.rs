//! `vcycle status`: spaces and machinetypes as their owners last wrote them.

use std::fmt::Write;

use serde::Serialize;

use super::StatusArgs;
use super::error::CliError;
use super::output::{
    BAD, BOLD, FAINT, Screen, WARN, age, from_now, json, number, percent, print, styled, table,
    table_text,
};
use super::site::{IdleAt, Overview, SpaceView, StateSource};
use crate::model::{
    Board, ConfigStatus, MachinetypeRow, ManagerName, SpaceName, SpaceSnapshot, Timestamp,
};
use crate::store::ManagerInfo;

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
    /// Managers that run, or were killed.
    managers: Vec<ManagerJson<'a>>,
    spaces: Vec<SpaceJson<'a>>,
}

#[derive(Serialize)]
struct ManagerJson<'a> {
    manager: &'a ManagerName,
    /// The configuration in use, and why a newer one is refused; `null`: its version does not tell.
    config: Option<&'a ConfigStatus>,
}

#[derive(Serialize)]
struct SpaceJson<'a> {
    space: &'a SpaceName,
    /// Seconds since the owner last showed life; `null`: never.
    age_seconds: Option<u64>,
    stale: bool,
    problem: Option<&'a str>,
    /// Whether the configuration names it; `null`: not known.
    configured: Option<bool>,
    /// Machines that may exist although the space is abandoned.
    abandoned_machines: u32,
    /// Why managers do not work on it.
    idle: &'a [IdleAt],
    snapshot: Option<&'a SpaceSnapshot>,
}

impl<'a> StatusJson<'a> {
    fn of(overview: &'a Overview) -> Self {
        let space = |view: &'a SpaceView| SpaceJson {
            space: &view.space,
            age_seconds: view.age(overview.now).map(|age| age.as_secs()),
            stale: overview.is_stale(view),
            problem: view.problem.as_deref(),
            configured: view.configured,
            abandoned_machines: view.abandoned,
            idle: &view.idle,
            snapshot: view.snapshot.as_ref(),
        };
        Self {
            format: 1,
            now: overview.now,
            config_problem: overview.config_problem.as_deref(),
            managers: overview
                .managers
                .iter()
                .map(|told| ManagerJson { manager: &told.name, config: told.config.as_ref() })
                .collect(),
            spaces: overview.spaces.iter().map(space).collect(),
        }
    }
}

/// The whole answer for people.
fn text(overview: &Overview, screen: Screen) -> String {
    let mut parts: Vec<String> =
        overview.managers.iter().filter_map(|told| refusal_text(told, overview.now)).collect();
    if overview.spaces.is_empty() {
        parts.push("no spaces\n".to_owned());
    }
    parts.extend(overview.spaces.iter().map(|view| space_text(overview, view, screen)));
    parts.join("\n")
}

/// That a manager refuses a newer configuration, and all reasons.
fn refusal_text(told: &ManagerInfo, now: Timestamp) -> Option<String> {
    let config = told.config.as_ref()?;
    let why = config.refused.as_ref()?;
    let mut text = format!(
        "{} manager {} refuses the newer configuration, and goes on with the one it loaded {}:\n",
        styled(BAD, "alarm:"),
        told.name,
        from_now(config.loaded, now)
    );
    for line in why.lines() {
        let _ = writeln!(text, "{}", format!("  {line}").trim_end());
    }
    Some(text)
}

/// Why nobody, or not everybody who should, works on a space: a line each.
pub(super) fn idle_text(overview: &Overview, view: &SpaceView) -> String {
    let mut text = String::new();
    if view.abandoned > 0 {
        let why = Board::abandoned_words(view.abandoned);
        let _ = writeln!(text, "{} {why}", styled(BAD, "alarm:"));
    } else if view.configured == Some(false) {
        let _ = writeln!(text, "{}", styled(FAINT, "not in the configuration"));
    }
    for IdleAt { manager, idle } in &view.idle {
        // Said above, by what the state directory holds now.
        if view.abandoned > 0 && idle.why.starts_with(Board::ABANDONED) {
            continue;
        }
        let since = age(overview.now.since(idle.since));
        let _ = writeln!(
            text,
            "{} manager {manager} has not worked on it for {since}: {}",
            styled(BAD, "alarm:"),
            idle.why
        );
    }
    text
}

fn space_text(overview: &Overview, view: &SpaceView, screen: Screen) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", headline(overview, view));
    if let Some(problem) = &view.problem {
        let _ = writeln!(text, "  {}", styled(BAD, problem));
    }
    for line in idle_text(overview, view).lines() {
        let _ = writeln!(text, "  {line}");
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
