//! `vcycle machines`: the machines that are not archived, as their owners last wrote them.

use serde::Serialize;

use super::MachinesArgs;
use super::error::CliError;
use super::output::{
    FAINT, Screen, age, from_now, hide_column, hide_empty_columns, json, number, phase_cell, print,
    styled, table, table_text,
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

fn text(overview: &Overview, listed: &[Listed<'_>], screen: Screen) -> String {
    let mut text = String::new();
    let now = overview.now;
    if listed.is_empty() {
        text.push_str("no machines\n");
    } else {
        let headings =
            ["MACHINE", "SPACE", "PHASE", "FOR", "PROCS", "OFFERING", "HEARTBEAT", "ENDS", "NOTE"];
        let mut table = table(screen, &headings);
        for Listed { space, row, .. } in listed {
            let ends = row.drain_by.unwrap_or(row.deadline);
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
            hide_column(&mut table, 1);
        }
        hide_empty_columns(&mut table);
        text.push_str(&table_text(&table));
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
