//! `vcycle spend caps --history`: who changed which cap and when, and when each came to another stage.

use comfy_table::Cell;
use serde::Serialize;
use vcycle_money::book::{Change, Changed};
use vcycle_money::{Author, Currency};

use super::super::ReadArgs;
use super::super::error::CliError;
use super::super::output::{BAD, FAINT, Screen, clock_time, show, styled, table, table_text};
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
    let alarm = |damage: &String| format!("{} {damage}\n\n", styled(BAD, "alarm:"));
    let alarm = seen.damage.as_ref().map_or(String::new(), alarm);
    if seen.changes.is_empty() {
        let none = match &seen.damage {
            None => "no cap was ever set",
            Some(_) => "no change of a cap stands before the damage",
        };
        return format!("{alarm}{none}\n");
    }
    let mut rows = table(screen, &["WHEN", "CAP", "CHANGE", "WRITTEN BY", "REASON"]);
    for Change { at, entry: _, by, cap, what } in seen.changes {
        let (change, why) = match what {
            Changed::Set { limit, source } => (Cell::new(format!("set to {limit:.2}")), &**source),
            Changed::Limit { was, limit, source } => {
                let word = if limit < was { "lowered" } else { "raised" };
                (Cell::new(format!("{word} from {was:.2} to {limit:.2}")), &**source)
            }
            Changed::Otherwise { source } => {
                (Cell::new("on something else, or with other stages"), &**source)
            }
            Changed::Taken { source } => (Cell::new("taken away"), &**source),
            Changed::Stage { stage } => (stage_cell(*stage), "by what is settled and reserved"),
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
    format!("{alarm}{}{remark}\n", table_text(&rows))
}

fn writer(by: &Author) -> String {
    match by {
        Author::Owner { manager, .. } | Author::Manager { manager } => manager.to_string(),
        Author::Person { who } => who.clone(),
    }
}
