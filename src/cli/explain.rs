//! `vcycle explain SPACE[/MACHINETYPE]`: the one reason that binds now, and what led to it.

use std::fmt::Write;

use serde::Serialize;

use super::ExplainArgs;
use super::error::CliError;
use super::output::{
    BAD, BOLD, FAINT, Screen, clock_time, from_now, json, percent, print, styled, table, table_text,
};
use super::site::{IdleAt, Overview, SpaceView, StateSource};
use super::status::{freshness, idle_text};
use super::target::Explained;
use crate::model::{Decision, MachinetypeRow, ReasonSince, SpaceName, SpaceSnapshot, Timestamp};

/// Carries the command out.
pub(crate) async fn run(config: &std::path::Path, args: &ExplainArgs) -> Result<(), CliError> {
    let source = StateSource::open(config, args.state.state_dir.as_deref())?;
    let overview = source.overview(std::slice::from_ref(&args.target.space)).await?;
    let answer = Answer::find(&overview, &args.target)?;
    if args.state.read.json {
        print(&json(&answer.json())?)
    } else {
        print(&answer.text(Screen::of_stdout()))
    }
}

/// What was found.
struct Answer<'a> {
    overview: &'a Overview,
    view: &'a SpaceView,
    snapshot: &'a SpaceSnapshot,
    rows: Vec<&'a MachinetypeRow>,
    decisions: Vec<&'a Decision>,
}

/// The documented JSON of `vcycle explain --json`.
#[derive(Serialize)]
struct ExplainJson<'a> {
    format: u32,
    now: Timestamp,
    space: &'a SpaceName,
    at: Timestamp,
    age_seconds: Option<u64>,
    stale: bool,
    listing: &'a str,
    alarms: &'a [String],
    /// Why managers do not work on the space.
    idle: &'a [IdleAt],
    machinetypes: &'a [&'a MachinetypeRow],
    decisions: &'a [&'a Decision],
}

impl<'a> Answer<'a> {
    fn find(overview: &'a Overview, target: &Explained) -> Result<Self, CliError> {
        let Explained { space, machinetype } = target;
        let view = overview.spaces.iter().find(|view| view.space == *space).ok_or_else(|| {
            CliError::Usage(format!("there is no space {space} here; `vcycle status` lists them"))
        })?;
        let snapshot = view.snapshot.as_ref().ok_or_else(|| {
            let why = view.problem.as_deref().unwrap_or("no manager has worked on it yet");
            let idle = idle_text(overview, view);
            let idle = anstream::adapter::strip_str(idle.trim_end()).to_string();
            let idle = idle.lines().map(|line| format!("\n  {line}")).collect::<String>();
            CliError::Failed(format!("nothing is known of space {space}: {why}{idle}"))
        })?;
        let rows: Vec<_> = snapshot
            .machinetypes
            .iter()
            .filter(|row| machinetype.as_ref().is_none_or(|name| *name == row.name))
            .collect();
        if let (Some(name), true) = (machinetype, rows.is_empty()) {
            let known: Vec<_> = snapshot.machinetypes.iter().map(|row| row.name.as_str()).collect();
            return Err(CliError::Usage(format!(
                "space {space} has no machinetype {name}; it has: {}",
                known.join(", ")
            )));
        }
        let about = |decision: &&Decision| match machinetype {
            None => true,
            Some(name) => is_about(&decision.text, name.as_str()),
        };
        let decisions = snapshot.decisions.iter().filter(about).collect();
        Ok(Self { overview, view, snapshot, rows, decisions })
    }

    fn json(&self) -> ExplainJson<'_> {
        ExplainJson {
            format: 1,
            now: self.overview.now,
            space: &self.view.space,
            at: self.snapshot.at,
            age_seconds: self.view.age(self.overview.now).map(|age| age.as_secs()),
            stale: self.overview.is_stale(self.view),
            listing: &self.snapshot.listing,
            alarms: &self.snapshot.alarms,
            idle: &self.view.idle,
            machinetypes: &self.rows,
            decisions: &self.decisions,
        }
    }

    fn text(&self, screen: Screen) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} ({})",
            styled(BOLD, &self.view.space),
            freshness(self.overview, self.view, self.snapshot)
        );
        text.push_str(&idle_text(self.overview, self.view));
        for alarm in &self.snapshot.alarms {
            let _ = writeln!(text, "{} {alarm}", styled(BAD, "alarm:"));
        }
        for row in &self.rows {
            text.push('\n');
            text.push_str(&row_text(row, self.overview.now));
            text.push_str(&reasons_text(&row.history, screen));
        }
        text.push('\n');
        if self.decisions.is_empty() {
            let _ = writeln!(text, "{}", styled(FAINT, "nothing was done lately"));
        } else {
            let mut table = table(screen, &["WHEN", "DECISION", "OUTCOME"]);
            for decision in &self.decisions {
                table.add_row([&clock_time(decision.at), &decision.text, &decision.outcome]);
            }
            text.push_str(&table_text(&table));
        }
        text
    }
}

fn row_text(row: &MachinetypeRow, now: Timestamp) -> String {
    let phases = row.phases;
    let mut text = String::new();
    let _ = writeln!(text, "{}: {}", styled(BOLD, &row.name), row.why);
    let _ = writeln!(text, "  entry     {}", row.entry);
    let _ = writeln!(text, "  share     {} of target {}", percent(row.share), percent(row.target));
    let _ = writeln!(
        text,
        "  machines  {} starting, {} running, {} ending; {} processors",
        phases.intended + phases.starting,
        phases.running,
        phases.ended + phases.deleting,
        row.processors
    );
    if let Some(end) = &row.last_end {
        let _ = writeln!(text, "  last end  {end}");
    }
    if let Some(abort) = row.last_abort {
        let _ = writeln!(text, "  abort     {}", from_now(abort, now));
    }
    text
}

fn reasons_text(history: &[ReasonSince], screen: Screen) -> String {
    if history.is_empty() {
        return String::new();
    }
    let mut table = table(screen, &["  SINCE", "REASON"]);
    for reason in history {
        table.add_row([&format!("  {}", clock_time(reason.since)), &reason.why]);
    }
    table_text(&table)
}

/// Whether a line is about a machinetype: it has its name as a word, or the name of one of its
/// machines.
fn is_about(text: &str, machinetype: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|word| {
        word == machinetype
            || crate::model::MachineName::parse(word)
                .is_ok_and(|machine| machine.machinetype().as_str() == machinetype)
    })
}

#[cfg(test)]
mod tests {
    use super::super::site::sample;
    use super::*;

    #[test]
    fn a_machinetype_is_explained_by_its_reason_and_its_own_decisions() {
        let overview = sample::overview();
        let target = "cumulus.iris.example/idle".parse().unwrap();
        let answer = Answer::find(&overview, &target).ok().unwrap();
        let text = anstream::adapter::strip_str(&answer.text(Screen::default())).to_string();
        assert!(text.contains("idle: backoff until"), "{text}");
        assert!(text.contains("last end  300 No more work"), "{text}");
        assert!(answer.decisions.iter().all(|d| d.text.contains("idle")), "{text}");
        assert_eq!(answer.json().machinetypes.len(), 1);
    }

    #[test]
    fn an_unknown_name_is_a_usage_error_that_tells_the_known_ones() {
        let overview = sample::overview();
        let target = "cumulus.iris.example/idel".parse().unwrap();
        let Err(CliError::Usage(text)) = Answer::find(&overview, &target) else { panic!() };
        assert!(text.contains("batch, idle"), "{text}");
    }

    #[test]
    fn a_decision_belongs_to_the_machinetype_it_names() {
        assert!(is_about("create vcycle-dune-abcdefghij of small", "dune"));
        assert!(!is_about("create vcycle-dune-4-abcdefghij of small", "dune"));
        assert!(is_about("dune: breaker open", "dune"));
        assert!(!is_about("dunes: breaker open", "dune"));
    }
}
