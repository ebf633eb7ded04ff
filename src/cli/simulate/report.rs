//! The result as tables and as JSON. Pure.

use comfy_table::Cell;
use serde::Serialize;
use vcycle_money::plan::{LANDED, Role};
use vcycle_money::simulate::{Outcome, Scenario};
use vcycle_money::{Amount, CapName};

use super::super::output::{
    BAD, BOLD, GOOD, Screen, clock_time, number, styled, table, table_text,
};

/// For scripts.
#[derive(Debug, Serialize)]
pub(super) struct Json<'a> {
    format: u32,
    budget: &'a CapName,
    seed: u64,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

pub(super) fn json<'a>(scenario: &'a Scenario, outcome: &'a Outcome) -> Json<'a> {
    Json { format: 1, budget: &scenario.budget.name, seed: scenario.seed, outcome }
}

/// For people.
pub(super) fn text(scenario: &Scenario, outcome: &Outcome, screen: Screen) -> String {
    let heading = format!(
        "{}: {:.2} {} from {} to {}, seed {}",
        scenario.budget.name,
        outcome.amount,
        outcome.currency,
        day(outcome.from),
        day(outcome.to),
        scenario.seed,
    );
    [
        styled(BOLD, heading),
        String::new(),
        communities(outcome, screen),
        providers(outcome, screen),
        landing(outcome),
    ]
    .join("\n")
}

fn communities(outcome: &Outcome, screen: Screen) -> String {
    let mut rows = table(
        screen,
        &[
            "COMMUNITY",
            "ROLE",
            "SPENT",
            "SHARE",
            "DUE",
            "GOT",
            "MACHINES",
            "WASTE",
            "HS23 HOURS",
            "SERVED",
        ],
    );
    for own in &outcome.communities {
        rows.add_row([
            Cell::new(&own.community),
            Cell::new(match own.role {
                Role::Priority => "priority",
                Role::Backfill => "backfill",
                Role::Unnamed => "-",
            }),
            money(own.spent),
            part(own.share_wanted),
            part(own.share_due),
            part(own.share_got),
            number(own.machines),
            money(own.waste),
            number(format!("{:.0}", own.work)),
            part(Some(own.served)),
        ]);
    }
    table_text(&rows)
}

fn providers(outcome: &Outcome, screen: Screen) -> String {
    let mut rows = table(screen, &["PROVIDER", "SPENT", "MACHINES", "TAKEN BACK", "WASTE"]);
    for own in &outcome.providers {
        rows.add_row([
            Cell::new(&own.provider),
            money(own.spent),
            number(own.machines),
            number(own.taken_back),
            money(own.waste),
        ]);
    }
    table_text(&rows)
}

fn landing(outcome: &Outcome) -> String {
    let percent = |permille: u64| format!("{}.{} %", permille / 10, permille % 10);
    let style = if (LANDED..=1000).contains(&outcome.landing_permille) { GOOD } else { BAD };
    let spent = format!("{:.2} of {:.2} {}", outcome.spent, outcome.amount, outcome.currency);
    let lands = format!("lands at {}: {spent}", percent(outcome.landing_permille));
    let kept = outcome.amount - outcome.spendable;
    let mut lines = vec![
        styled(style, lands),
        format!(
            "kept back as reserve: {kept:.2}; the last machine ended {}",
            clock_time(outcome.last_end)
        ),
        format!(
            "committed at most, with all that ran to its hard end: {:.2}; the dearest hour: {:.2}",
            outcome.most_committed, outcome.dearest_hour
        ),
        format!(
            "reservations refused by a cap: {}; offerings found out of stock: {}; cycles: {}",
            outcome.refused, outcome.out_of_stock, outcome.cycles
        ),
        format!(
            "spent on backfill in the place of priorities' work that nobody knew of yet: {:.2}",
            outcome.backfill_before_priorities
        ),
    ];
    if outcome.spent > outcome.amount {
        lines.push(styled(BAD, "the budget was passed: this is a bug, please report it"));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn money(amount: Amount) -> Cell {
    number(format!("{amount:.2}"))
}

fn part(part: Option<f64>) -> Cell {
    part.map_or_else(|| number("-"), |part| number(format!("{:.1}%", part * 100.0)))
}

/// The day of a time.
pub(super) fn day(at: crate::model::Timestamp) -> String {
    let text = clock_time(at);
    text[..text.len().min(10)].to_owned()
}
