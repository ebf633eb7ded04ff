//! `vcycle machines`: the machines that are not archived, as their owners last wrote them.

use serde::Serialize;

use super::MachinesArgs;
use super::error::CliError;
use super::output::{
    FAINT, NARROWEST_NOTE, Screen, age, from_now, hide_column, hide_empty_columns, json,
    natural_width, number, phase_cell, print, styled, table, table_text, with_notes,
};
use super::site::{Overview, StateSource};
use crate::model::{MachineRow, SpaceName, Timestamp};

/// Carries the command out.
pub(crate) async fn run(config: &std::path::Path, args: &MachinesArgs) -> Result<(), CliError> {
    let source = StateSource::open(config, args.state.state_dir.as_deref())?;
    let mut overview = source.overview(args.space.as_slice()).await?;
    source.refresh_heartbeats(&mut overview).await?;
    let listed = select(&overview, args);
    if args.state.read.json {
        print(&json(&MachinesJson { format: 1, now: overview.now, machines: listed })?)
    } else {
        print(&text(&overview, &listed, Screen::of_stdout()))
    }
}

/// The documented JSON of `vcycle machines --json`.
#[derive(Serialize)]
struct MachinesJson<'a> {
    format: u32,
    now: Timestamp,
    machines: Vec<Listed<'a>>,
}

/// One machine: its row, and where the row is from.
#[derive(Serialize)]
struct Listed<'a> {
    space: &'a SpaceName,
    /// Seconds since the owner of the space last showed life.
    age_seconds: Option<u64>,
    #[serde(flatten)]
    row: &'a MachineRow,
}

fn select<'a>(overview: &'a Overview, args: &MachinesArgs) -> Vec<Listed<'a>> {
    let mut listed = Vec::new();
    for view in &overview.spaces {
        let age_seconds = view.age(overview.now).map(|age| age.as_secs());
        let rows = view.snapshot.iter().flat_map(|snapshot| &snapshot.machines);
        listed.extend(
            rows.filter(|row| args.machinetype.as_ref().is_none_or(|m| *m == row.machinetype))
                .filter(|row| args.phase.as_ref().is_none_or(|phase| *phase == row.phase))
                .map(|row| Listed { space: &view.space, age_seconds, row }),
        );
    }
    listed
}

const HEADINGS: [&str; 9] =
    ["MACHINE", "SPACE", "PHASE", "FOR", "PROCS", "OFFERING", "HEARTBEAT", "ENDS", "NOTE"];
const SPACE: usize = 1;
const NOTE: usize = 8;
/// What is left out of a narrow table, the least important first: OFFERING, PROCS, FOR, ENDS, HEARTBEAT.
const LESS_IMPORTANT: [usize; 5] = [5, 4, 3, 7, 6];

fn rows_text(overview: &Overview, listed: &[Listed<'_>], screen: Screen) -> String {
    let now = overview.now;
    let mut table = table(screen, &HEADINGS);
    for Listed { space, row, .. } in listed {
        let ends = row.end_by.or(row.drain_by).unwrap_or(row.deadline);
        table.add_row([
            comfy_table::Cell::new(&row.name),
            comfy_table::Cell::new(space),
            phase_cell(&row.phase),
            number(age(now.since(row.since))),
            number(row.processors),
            comfy_table::Cell::new(&row.offering),
            number(row.heartbeat.map_or("-".to_owned(), |beat| from_now(beat, now))),
            number(from_now(ends, now)),
            comfy_table::Cell::new(row.note.as_deref().unwrap_or("")),
        ]);
    }
    if overview.spaces.len() == 1 {
        hide_column(&mut table, SPACE);
    }
    hide_empty_columns(&mut table);
    let Some(width) = screen.width().map(usize::from) else { return table_text(&table) };
    // A note beside its row has at least so many columns; else it gets lines of its own.
    let longest =
        listed.iter().filter_map(|listed| listed.row.note.as_ref()).map(String::len).max();
    let beside = longest.unwrap_or(0).min(NARROWEST_NOTE);
    if natural_width(&table, &[NOTE]) + beside <= width {
        return table_text(&table);
    }
    hide_column(&mut table, NOTE);
    for column in LESS_IMPORTANT {
        if natural_width(&table, &[]) > width {
            hide_column(&mut table, column);
        }
    }
    with_notes(&table, width, listed.iter().map(|listed| listed.row.note.as_deref()))
}

fn text(overview: &Overview, listed: &[Listed<'_>], screen: Screen) -> String {
    let mut text = String::new();
    let now = overview.now;
    if listed.is_empty() {
        text.push_str("no machines\n");
    } else {
        text.push_str(&rows_text(overview, listed, screen));
    }
    for view in &overview.spaces {
        match (&view.snapshot, &view.problem) {
            (_, Some(problem)) => {
                text.push_str(&styled(FAINT, format!("{}: {problem}", view.space)));
                text.push('\n');
            }
            (Some(_), None) if overview.is_stale(view) => {
                let old = view.age(now).map_or("?".to_owned(), age);
                text.push_str(&styled(
                    FAINT,
                    format!("{}: as of {old} ago; no manager has worked on it since", view.space),
                ));
                text.push('\n');
            }
            (Some(_) | None, None) => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::site::sample;
    use super::super::{ReadArgs, StateArgs};
    use super::*;

    fn args() -> MachinesArgs {
        MachinesArgs {
            space: None,
            machinetype: None,
            phase: None,
            state: StateArgs { state_dir: None, read: ReadArgs { json: false } },
        }
    }

    #[test]
    fn machines_can_be_chosen_by_machinetype_and_phase() {
        let overview = sample::overview();
        let all = select(&overview, &args());
        assert_eq!(all.len(), 3);
        let wanted = MachinesArgs { phase: Some("starting".to_owned()), ..args() };
        assert_eq!(select(&overview, &wanted).len(), 1);
        let machinetype = Some("batch".parse().unwrap());
        let wanted = MachinesArgs { machinetype, ..args() };
        assert!(select(&overview, &wanted).iter().all(|l| l.row.machinetype.as_str() == "batch"));
    }

    /// On 80 columns no line is longer, whatever is in the rows, and no name is broken.
    #[test]
    fn rows_with_heartbeats_notes_and_long_names_fit_eighty_columns() {
        let mut overview = sample::overview();
        let rows = &mut overview.spaces[0].snapshot.as_mut().unwrap().machines;
        for row in rows.iter_mut() {
            row.heartbeat = Some(overview.now - std::time::Duration::from_secs(100));
            row.note = Some(
                "held back, would be deleted: silent for 45m, as 12 of 20 machines are at once"
                    .into(),
            );
        }
        let screen = Screen { size: Some((80, 25)) };
        let shown = |overview: &Overview| {
            let text = text(overview, &select(overview, &args()), screen);
            anstream::adapter::strip_str(&text).to_string()
        };
        let plain = shown(&overview);
        assert!(plain.lines().all(|line| line.chars().count() <= 80), "{plain}");
        assert_eq!(plain.matches("vcycle-batch-aaaaaaaaaa").count(), 1, "{plain}");
        for word in ["HEARTBEAT", "1m40s ago", "ENDS", "held back", "are at\n    once"] {
            assert!(plain.contains(word), "{word}: {plain}");
        }
        let long = "a".repeat(40);
        let rows = &mut overview.spaces[0].snapshot.as_mut().unwrap().machines;
        rows[0].name = format!("vcycle-{long}-aaaaaaaaaa").parse().unwrap();
        let mut other = overview.spaces[0].clone();
        other.space = "another.example".parse().unwrap();
        overview.spaces.push(other);
        let plain = shown(&overview);
        assert!(plain.contains(&format!("vcycle-{long}-aaaaaaaaaa  ")), "{plain}");
        let widest = plain.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 58 + 2 + 20 + 2 + 8, "only the names are left: {plain}");
    }

    #[test]
    fn a_machine_line_has_phase_age_and_end() {
        let overview = sample::overview();
        let text = text(&overview, &select(&overview, &args()), Screen::default());
        let plain = anstream::adapter::strip_str(&text).to_string();
        let line = plain.lines().find(|line| line.starts_with("vcycle-batch-aaaaaaaaaa")).unwrap();
        for word in ["running", "5m00s", "in 55m", "3s ago"] {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
}
