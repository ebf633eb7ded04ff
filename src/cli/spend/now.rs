//! `vcycle spend`: what was spent, how fast, what is reserved, what was of no use, and where it leads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use vcycle_money::plan::{Forecast, Rate};
use vcycle_money::{Amount, Book, CapName, Currency, Span, Window};

use super::super::error::CliError;
use super::super::output::{
    BAD, BOLD, FAINT, Screen, clock_time, from_now, number, show, styled, table, table_text,
};
use super::args::SpendArgs;
use super::reading::Reading;
use crate::model::Timestamp;
use crate::model::sums::{Both, Sides, Sums, until};

/// Carries the command out.
pub(super) async fn run(config: &Path, args: &SpendArgs) -> Result<(), CliError> {
    let reading = Reading::in_use(config, args.state.state_dir.as_deref()).await?;
    let seen = Seen::of(&reading, reading.days(args.days)?);
    show(&seen, &args.state.read, text)?;
    reading.must_have_shown_all()
}

/// The documented JSON of `vcycle spend --json`.
#[derive(Serialize)]
struct Seen {
    format: u32,
    now: Timestamp,
    currency: Option<Currency>,
    damage: Option<String>,
    from: Timestamp,
    to: Timestamp,
    spent: Amount,
    settled: Amount,
    running: Amount,
    corrected: Amount,
    waste: Amount,
    rates: Rates,
    reserved: Reserved,
    #[serde(flatten)]
    sides: Sides,
    grants: Vec<Grant>,
}

/// In an hour, over the last hours.
#[derive(Serialize)]
struct Rates {
    one_hour: Amount,
    six_hours: Amount,
    day: Amount,
}

/// For machines that have not ended.
#[derive(Serialize)]
struct Reserved {
    machines: usize,
    amount: Amount,
    used: Amount,
    to_come: Amount,
}

/// Where a grant lands if the rate stays as it is.
#[derive(Serialize)]
struct Grant {
    cap: CapName,
    limit: Amount,
    spent: Amount,
    ends: Timestamp,
    /// By the rate of the last hours.
    six_hours: Forecast,
    day: Forecast,
}

const AN_HOUR: Duration = Duration::from_secs(3600);

impl Seen {
    fn of(reading: &Reading, days: Span) -> Self {
        let (book, now) = (&reading.book, reading.now);
        let spent = Both::of(book, until(days, now));
        let corrected = spent.settled.purposes.get(&vcycle_money::book::Purpose::Corrected);
        let rate = |hours: u32| book.rate(now, AN_HOUR * hours);
        Self {
            format: 1,
            now,
            currency: reading.currency,
            damage: reading.damage.clone(),
            from: days.from,
            to: days.to.min(now),
            spent: spent.all(),
            settled: spent.settled.all,
            running: spent.open.all,
            corrected: corrected.copied().unwrap_or_default(),
            waste: spent.settled.waste(),
            rates: Rates { one_hour: rate(1), six_hours: rate(6), day: rate(24) },
            reserved: Reserved::of(book, now),
            sides: Sides::of(book, days, now),
            grants: grants(book, now),
        }
    }
}

impl Reserved {
    fn of(book: &Book, now: Timestamp) -> Self {
        let amount = book.committed().all;
        let used = book.reservations().map(|open| open.run_up(open.span(), now)).sum();
        let machines = book.reservations_len();
        Self { machines, amount, used, to_come: amount - used }
    }
}

/// The forecasts of the grants that run now, by what each of them was charged over the last hours.
fn grants(book: &Book, now: Timestamp) -> Vec<Grant> {
    let standings = book.standings(now).into_iter();
    let grant = |standing: vcycle_money::Standing| {
        let Window::Grant { to, .. } = standing.cap.window else { return None };
        standing.window?;
        let spent = standing.spent();
        let forecast = |hours: u32| {
            let rate = Rate::hourly(rate_under(book, &standing.cap, now, hours));
            Forecast::new((spent, standing.cap.limit), rate, (now, to))
        };
        let (six_hours, day) = (forecast(6), forecast(24));
        let (cap, limit) = (standing.cap.name, standing.cap.limit);
        Some(Grant { cap, limit, spent, ends: to, six_hours, day })
    };
    standings.filter_map(grant).collect()
}

/// What was spent in an hour on what a cap is on, over the last hours.
fn rate_under(book: &Book, cap: &vcycle_money::Cap, now: Timestamp, hours: u32) -> Amount {
    let within = Span { from: now - AN_HOUR * hours, to: now };
    let lines = book.lines(within).filter(|line| cap.scope.covers(line.account));
    let settled: Amount = lines.map(|line| line.within(within)).sum();
    let open = book.reservations().filter(|open| cap.scope.covers(&open.reservation.account));
    let running: Amount = open.map(|open| open.run_up(within, now)).sum();
    (settled + running).share(1, u64::from(hours)).unwrap_or_default()
}

fn text(seen: &Seen, screen: Screen) -> String {
    let unit = seen.currency.map_or(String::new(), |currency| format!(" {currency}"));
    let mut text = String::new();
    if let Some(damage) = &seen.damage {
        let _ = writeln!(text, "{} {damage}\n", styled(BAD, "alarm:"));
    }
    let Seen { spent, settled, running, waste, rates, reserved, .. } = seen;
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{} {value}", styled(BOLD, format!("{name:<9}")));
    };
    line(
        "spent",
        format!(
            "{spent:.2}{unit} from {} to {}: {settled:.2} settled, {running:.2} running up",
            clock_time(seen.from),
            clock_time(seen.to),
        ),
    );
    line(
        "rate",
        format!(
            "{:.2}{unit} an hour in the last hour, {:.2} in the last 6, {:.2} in the last 24",
            rates.one_hour, rates.six_hours, rates.day
        ),
    );
    line(
        "reserved",
        format!(
            "{:.2}{unit} for {} machines to their ends; {:.2} of it is used, at most {:.2} can come",
            reserved.amount, reserved.machines, reserved.used, reserved.to_come
        ),
    );
    line(
        "waste",
        format!(
            "{waste:.2}{unit}{} on machines that fizzled, never started or were taken back",
            part_of(*waste, *settled)
        ),
    );
    if seen.corrected != Amount::ZERO {
        let (word, off) = match seen.corrected {
            more if more > Amount::ZERO => ("more", more),
            less => ("less", -less),
        };
        line("bills", format!("{off:.2}{unit} {word} than was settled before they came"));
    }
    for (heading, side) in [
        ("SPACE", &seen.sides.spaces),
        ("COMMUNITY", &seen.sides.communities),
        ("MACHINETYPE", &seen.sides.machinetypes),
        ("MARKET", &seen.sides.markets),
    ] {
        text.push_str(&side_text(heading, side, screen));
    }
    text.push_str(&grants_text(seen, screen));
    text
}

fn part_of(part: Amount, whole: Amount) -> String {
    let permille = i128::from(part.nanos()) * 1000 / i128::from(whole.nanos()).max(1);
    if whole.is_nothing() {
        String::new()
    } else {
        format!(" ({}.{}% of what is settled)", permille / 10, permille % 10)
    }
}

fn side_text(heading: &str, side: &BTreeMap<String, Sums>, screen: Screen) -> String {
    if side.is_empty() {
        return String::new();
    }
    let mut table = table(screen, &[heading, "SPENT", "LAST 24 H", "RESERVED"]);
    for (name, sums) in side {
        table.add_row([
            comfy_table::Cell::new(name),
            number(format!("{:.2}", sums.spent)),
            number(format!("{:.2}", sums.last_day)),
            number(format!("{:.2}", sums.reserved)),
        ]);
    }
    format!("\n{}", table_text(&table))
}

fn grants_text(seen: &Seen, screen: Screen) -> String {
    if seen.grants.is_empty() {
        return String::new();
    }
    let headings = ["GRANT", "LIMIT", "SPENT", "ENDS", "24 H RATE", "LANDS AT", "NOTE"];
    let mut table = table(screen, &headings);
    for grant in &seen.grants {
        let Grant { cap, limit, spent, ends, day, .. } = grant;
        table.add_row([
            comfy_table::Cell::new(cap),
            number(format!("{limit:.2}")),
            number(format!("{spent:.2}")),
            comfy_table::Cell::new(from_now(*ends, seen.now)),
            number(format!("{:.2}", day.rate.in_an_hour())),
            number(format!("{:.2}", day.lands)),
            landing(grant, seen.now),
        ]);
    }
    let remark =
        styled(FAINT, "LANDS AT: if what was spent in the last 24 hours goes on to the end");
    format!("\n{}{remark}\n", table_text(&table))
}

fn landing(grant: &Grant, now: Timestamp) -> comfy_table::Cell {
    match grant.day.exhausted {
        Some(at) => {
            let when = format!("all spent {} ({})", clock_time(at), from_now(at, now));
            comfy_table::Cell::new(when).fg(comfy_table::Color::Yellow)
        }
        None => {
            let left = grant.limit - grant.day.lands;
            comfy_table::Cell::new(format!("{left:.2} unspent at the end"))
        }
    }
}
