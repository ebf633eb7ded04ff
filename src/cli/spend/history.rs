//! `vcycle spend caps --history`: who changed which cap and when, and when each came to another stage.

use comfy_table::Cell;
use serde::Serialize;
use vcycle_money::book::{Change, Changed};
use vcycle_money::{Author, Currency};

use super::super::ReadArgs;
use super::super::error::CliError;
use super::super::output::{
    FAINT, Screen, alarm, clock_time, fit, hide_column, natural_width, show, styled, table,
    table_text, with_notes,
};
use super::caps::stage_cell;
use super::reading::Reading;
use crate::model::Timestamp;

/// Carries the command out.
pub(super) fn run(reading: &Reading, read: &ReadArgs) -> Result<(), CliError> {
    let seen = Seen {
        format: 1,
        now: reading.now,
        currency: reading.currency,
        damage: reading.damage.clone(),
        changes: reading.book.changes(),
    };
    show(&seen, read, text)
}

/// The documented JSON of `vcycle spend caps --history --json`.
#[derive(Serialize)]
struct Seen<'a> {
    format: u32,
    now: Timestamp,
    currency: Option<Currency>,
    damage: Option<String>,
    /// The oldest first.
    changes: &'a [Change],
}

fn text(seen: &Seen<'_>, screen: Screen) -> String {
    let alarm = seen.damage.as_ref().map_or(String::new(), |damage| alarm(screen, damage));
    if seen.changes.is_empty() {
        let none = match &seen.damage {
            None => "no cap was ever set",
            Some(_) => "no change of a cap stands before the damage",
        };
        return format!("{alarm}{none}\n");
    }
    let mut rows = table(screen, &["WHEN", "CAP", "CHANGE", "WRITTEN BY", "REASON"]);
    for Change { at, entry: _, by, cap, what } in seen.changes {
        let why = why(what);
        let change = match what {
            Changed::Set { limit, .. } => Cell::new(format!("set to {limit:.2}")),
            Changed::Limit { was, limit, .. } => {
                let word = if limit < was { "lowered" } else { "raised" };
                Cell::new(format!("{word} from {was:.2} to {limit:.2}"))
            }
            Changed::Otherwise { .. } => Cell::new("on something else, or with other stages"),
            Changed::Taken { .. } => Cell::new("taken away"),
            Changed::Stage { stage } => stage_cell(*stage),
        };
        rows.add_row([
            Cell::new(clock_time(*at)),
            Cell::new(cap),
            change,
            Cell::new(writer(by)),
            Cell::new(why),
        ]);
    }
    let unit = seen.currency.map_or(String::new(), |currency| format!("amounts in {currency}; "));
    let remark = styled(FAINT, format!("{unit}the oldest first"));
    let reasons = || seen.changes.iter().map(|change| why(&change.what));
    let longest = reasons().map(str::len).max().unwrap_or(0);
    let rows = match screen.width().map(usize::from) {
        Some(width) if natural_width(&rows, &[REASON]) + longest > width => {
            hide_column(&mut rows, REASON);
            fit(&mut rows, screen, &[WRITTEN_BY]);
            with_notes(&rows, width, reasons().map(Some))
        }
        _ => table_text(&rows),
    };
    format!("{alarm}{rows}{remark}\n")
}

const WRITTEN_BY: usize = 3;
const REASON: usize = 4;

/// Where a change comes from.
fn why(what: &Changed) -> &str {
    match what {
        Changed::Set { source, .. }
        | Changed::Limit { source, .. }
        | Changed::Otherwise { source }
        | Changed::Taken { source } => source,
        Changed::Stage { .. } => "by what is settled and reserved",
    }
}

fn writer(by: &Author) -> String {
    match by {
        Author::Owner { manager, .. } | Author::Manager { manager } => manager.to_string(),
        Author::Person { who } => who.clone(),
    }
}
