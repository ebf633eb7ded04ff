//! `vcycle spend caps`: where every cap stands in its present window.

use std::path::Path;

use serde::Serialize;
use vcycle_money::book::Recorded;
use vcycle_money::plan::Forecast;
use vcycle_money::{Amount, CapName, Currency, Scope, Span, Stage, Standing, Window};

use super::super::error::CliError;
use super::super::output::{
    BAD, FAINT, GOOD, Screen, WARN, alarm, clock_time, fit, from_now, number, prose, show, styled,
    table, table_text,
};
use super::args::SpendCapsArgs;
use super::files::Files;
use super::history;
use super::reading::Reading;
use crate::model::Timestamp;

/// Carries the command out.
pub(super) async fn run(config: &Path, args: &SpendCapsArgs) -> Result<(), CliError> {
    let state_dir = args.state.state_dir.as_deref();
    let reading = Reading::in_use(config, state_dir).await?;
    if args.history {
        history::run(&reading, &args.state.read)?;
    } else {
        let files = Files::of(config, state_dir, &reading);
        show(&Seen::of(&reading, &files), &args.state.read, text)?;
    }
    reading.must_have_shown_all()
}

/// The documented JSON of `vcycle spend caps --json`.
#[derive(Serialize)]
struct Seen {
    format: u32,
    now: Timestamp,
    currency: Option<Currency>,
    damage: Option<String>,
    /// That the files say something else, or cannot be taken up.
    files: Option<String>,
    /// What of the files could not be looked at.
    unchecked: Option<&'static str>,
    /// Where the caps in force were read.
    source: String,
    caps: Vec<Row>,
}

/// A cap and its standing. Also of `explain`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) cap: CapName,
    pub(super) scope: Scope,
    pub(super) each: Window,
    /// Its present window; null: the grant has not begun, or is over.
    pub(super) window: Option<Span>,
    pub(super) limit: Amount,
    pub(super) settled: Amount,
    pub(super) reserved: Amount,
    /// What open reservations have cost until now.
    pub(super) running: Amount,
    pub(super) left: Amount,
    pub(super) stage: Stage,
    /// Since when, as far as it was recorded.
    pub(super) since: Option<Timestamp>,
    /// Where it leads if what runs now goes on to the end of the window.
    pub(super) forecast: Option<Forecast>,
}

impl Row {
    pub(super) fn of(standing: &Standing, now: Timestamp) -> Self {
        let is_this = |recorded: &&Recorded| recorded.stage == standing.stage;
        Self {
            cap: standing.cap.name.clone(),
            scope: standing.cap.scope.clone(),
            each: standing.cap.window,
            window: standing.window,
            limit: standing.cap.limit,
            settled: standing.sum.settled(),
            reserved: standing.sum.reserved(),
            running: standing.run_up,
            left: standing.left(),
            stage: standing.stage,
            since: standing.recorded.as_ref().filter(is_this).map(|recorded| recorded.at),
            forecast: standing.forecast(now),
        }
    }
}

impl Seen {
    fn of(reading: &Reading, files: &Files) -> Self {
        let standings = reading.book.standings(reading.now);
        Self {
            format: 1,
            now: reading.now,
            currency: reading.currency,
            damage: reading.damage.clone(),
            files: files.alarm(),
            unchecked: files.unchecked,
            source: reading.book.caps_source().to_owned(),
            caps: standings.iter().map(|standing| Row::of(standing, reading.now)).collect(),
        }
    }
}

/// What the last column says. (`vcycle spend` goes by what was spent in 24 hours.)
const FORECAST: &str =
    "IF THIS GOES ON: spent at the end of the window, if as many machines go on as run now";

/// What is left out of a narrow table, the least important first: SINCE, ENDS, WINDOW, SETTLED, RESERVED.
const LESS_IMPORTANT: [usize; 5] = [8, 2, 1, 4, 5];

fn text(seen: &Seen, screen: Screen) -> String {
    let alarms = seen.damage.iter().chain(&seen.files);
    let alarm: String = alarms.map(|what| alarm(screen, what)).collect();
    if seen.caps.is_empty() {
        let none = match (&seen.damage, &seen.files) {
            (Some(_), _) => "nobody can tell which caps are in force",
            (None, None) => "no cap is in force: write one into caps.d of the state directory",
            (None, Some(_)) => "no cap is in force",
        };
        return format!("{alarm}{none}\n");
    }
    let headings = [
        "CAP",
        "WINDOW",
        "ENDS",
        "LIMIT",
        "SETTLED",
        "RESERVED",
        "LEFT",
        "STAGE",
        "SINCE",
        "IF THIS GOES ON",
    ];
    let mut table = table(screen, &headings);
    for row in &seen.caps {
        let since = row.since.map_or("-".to_owned(), |since| from_now(since, seen.now));
        let money = |amount: Amount| number(format!("{amount:.2}"));
        table.add_row([
            comfy_table::Cell::new(&row.cap),
            comfy_table::Cell::new(window_name(row.each)),
            comfy_table::Cell::new(ends(row, seen.now)),
            money(row.limit),
            money(row.settled),
            money(row.reserved),
            money(row.left),
            stage_cell(row.stage),
            comfy_table::Cell::new(since),
            comfy_table::Cell::new(leads(row, seen.now)),
        ]);
    }
    fit(&mut table, screen, &LESS_IMPORTANT);
    let unit = seen.currency.map_or(String::new(), |currency| format!("amounts in {currency}; "));
    let source = if seen.source.is_empty() { "unknown" } else { &seen.source };
    let faint = |text: &str| styled(FAINT, prose(screen, text, 0));
    let remark = faint(&format!("{unit}caps as set from {source}"));
    let forecast = faint(FORECAST);
    let unchecked = seen.unchecked.map(|what| format!("{}\n", faint(what)));
    let unchecked = unchecked.unwrap_or_default();
    format!("{alarm}{}{forecast}\n{remark}\n{unchecked}", table_text(&table))
}

/// What is spent at the end of the window if what runs now goes on, and when the cap has nothing left.
fn leads(row: &Row, now: Timestamp) -> String {
    let Some(Forecast { lands, exhausted, rate: _ }) = row.forecast else { return "-".to_owned() };
    match exhausted {
        Some(at) if at <= now => format!("{lands:.2} all is spent"),
        Some(at) => format!("{lands:.2} all spent {}", from_now(at, now)),
        None => format!("{lands:.2}"),
    }
}

/// What a window is called.
pub(super) fn window_name(window: Window) -> String {
    let name = |each: &str, offset: i8| match offset {
        0 => each.to_owned(),
        _ => format!("{each} (UTC{offset:+})"),
    };
    match window {
        Window::Grant { .. } => "grant".to_owned(),
        Window::Hour => "hour".to_owned(),
        Window::Day { utc_offset_hours } => name("day", utc_offset_hours),
        Window::Week { utc_offset_hours } => name("week", utc_offset_hours),
        Window::Month { utc_offset_hours } => name("month", utc_offset_hours),
    }
}

/// When the present window ends, or why there is none.
pub(super) fn ends(row: &Row, now: Timestamp) -> String {
    match (row.window, row.each) {
        (Some(window), _) => from_now(window.to, now),
        (None, Window::Grant { from, .. }) if now < from => {
            format!("begins {}", clock_time(from))
        }
        (None, Window::Grant { .. }) => "is over".to_owned(),
        (None, Window::Hour | Window::Day { .. } | Window::Week { .. } | Window::Month { .. }) => {
            "-".to_owned()
        }
    }
}

/// The cell of a stage, in its colour.
pub(super) fn stage_cell(stage: Stage) -> comfy_table::Cell {
    let colour = match stage {
        Stage::Open => comfy_table::Color::Green,
        Stage::Warned | Stage::NotGrowing => comfy_table::Color::Yellow,
        Stage::Draining | Stage::Spent => comfy_table::Color::Red,
    };
    comfy_table::Cell::new(stage.word()).fg(colour)
}

/// A stage in its colour.
pub(super) fn stage_text(stage: Stage) -> String {
    let style = match stage {
        Stage::Open => GOOD,
        Stage::Warned | Stage::NotGrowing => WARN,
        Stage::Draining | Stage::Spent => BAD,
    };
    styled(style, stage.word())
}

#[cfg(test)]
mod tests {
    use vcycle_money::Window;

    use super::*;

    /// On 80 columns no line is longer, and no name or amount is broken.
    #[test]
    fn caps_fit_eighty_columns() {
        let now = Timestamp::from_secs(1_767_200_000);
        let row = |name: &str| Row {
            cap: name.parse().unwrap(),
            scope: Scope::default(),
            each: Window::Month { utc_offset_hours: -8 },
            window: Some(Span { from: now, to: now + std::time::Duration::from_secs(864_000) }),
            limit: "50000".parse().unwrap(),
            settled: "12345.67".parse().unwrap(),
            reserved: "1234.56".parse().unwrap(),
            running: "0".parse().unwrap(),
            left: "36419.77".parse().unwrap(),
            stage: Stage::NotGrowing,
            since: Some(now),
            forecast: Some(Forecast {
                rate: vcycle_money::plan::Rate::ZERO,
                lands: "77040.00".parse().unwrap(),
                exhausted: Some(now + std::time::Duration::from_secs(16_000)),
            }),
        };
        let seen = Seen {
            format: 1,
            now,
            currency: None,
            damage: Some("the ledger is damaged ".repeat(8)),
            files: None,
            unchecked: None,
            source: "year.toml (of user 0, changed at 2026-11-22T09:26:23.771Z); month.toml".into(),
            caps: vec![row("all-of-the-site"), row("dune-month")],
        };
        let shown = |screen| anstream::adapter::strip_str(&text(&seen, screen)).to_string();
        let narrow = shown(Screen { size: Some((80, 25)) });
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        for word in ["all-of-the-site  ", "50000.00", "36419.77", "not-growing", "77040.00 all"] {
            assert!(narrow.contains(word), "{word}: {narrow}");
        }
        assert!(!narrow.contains("SINCE") && shown(Screen::default()).contains("SINCE"));
    }
}
