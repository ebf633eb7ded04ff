//! `vcycle spend`: what was spent, how fast, what is reserved, what was of no use, and where it leads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use vcycle_money::book::Purpose;
use vcycle_money::plan::{Budget, Forecast};
use vcycle_money::{Amount, Book, CapName, Currency, Scope, Span, Window};

use super::super::error::CliError;
use super::super::output::{
    BOLD, FAINT, Screen, age, alarm, clock_time, fit, from_now, number, prose, show, styled, table,
    table_text,
};
use super::args::SpendArgs;
use super::files::Files;
use super::reading::Reading;
use crate::model::Timestamp;
use crate::model::sums::{Both, Sides, Sums, until};

/// Carries the command out.
pub(super) async fn run(config: &Path, args: &SpendArgs) -> Result<(), CliError> {
    let state_dir = args.state.state_dir.as_deref();
    let reading = Reading::in_use(config, state_dir).await?;
    let budgets = Files::of(config, state_dir, &reading).budgets;
    let seen = Seen::of(&reading, &budgets, reading.days(args.days)?);
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
    /// The waste by its reason,
    wasted: Waste,
    /// and the same by community; `-`: of none.
    wasted_by_community: BTreeMap<String, Waste>,
    rates: Rates,
    reserved: Reserved,
    #[serde(flatten)]
    sides: Sides,
    grants: Vec<Grant>,
}

/// In an hour, over the last hours, or since something was first spent if that is less; null: it is too early to say.
#[derive(Serialize)]
struct Rates {
    first_spent: Option<Timestamp>,
    one_hour: Option<Amount>,
    six_hours: Option<Amount>,
    day: Option<Amount>,
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
    /// A plan keeps it to its line: `vcycle spend plan`.
    is_budget: bool,
    /// When something was first spent on what it is on.
    first_spent: Option<Timestamp>,
    /// By the rate of the last hours, or since then; null: it is too early to say.
    six_hours: Option<Forecast>,
    day: Option<Forecast>,
}

const AN_HOUR: Duration = Duration::from_secs(3600);

impl Seen {
    fn of(reading: &Reading, budgets: &[Budget], days: Span) -> Self {
        let (book, now) = (&reading.book, reading.now);
        let spent = Both::of(book, until(days, now));
        let corrected = spent.settled.purposes.get(&Purpose::Corrected);
        let (wasted, wasted_by_community) = wasted(book, until(days, now));
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
            wasted,
            wasted_by_community,
            rates: Rates::of(book, now),
            reserved: Reserved::of(book, now),
            sides: Sides::of(book, days, now),
            grants: grants(book, budgets, now),
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

impl Rates {
    fn of(book: &Book, now: Timestamp) -> Self {
        let all = Scope::default();
        let first = book.first_spent(&all, Timestamp::from_secs(0), now);
        let rate = |hours: u32| {
            let lately = book.lately(&all, (first?, now), AN_HOUR * hours)?;
            Some(lately.rate.in_an_hour())
        };
        let (one_hour, six_hours, day) = (rate(1), rate(6), rate(24));
        Self { first_spent: first.map(|first| first.from), one_hour, six_hours, day }
    }
}

/// What was of no use, by its reason, in all and by community.
fn wasted(book: &Book, days: Span) -> (Waste, BTreeMap<String, Waste>) {
    let (mut all, mut communities) = (Waste::default(), BTreeMap::<String, Waste>::new());
    for line in book.lines(days) {
        let (purpose, amount) = (line.purpose, line.within(days));
        all.add(purpose, amount);
        if purpose.is_waste() {
            let community = line.account.community.as_ref();
            let community = community.map_or("-".to_owned(), ToString::to_string);
            communities.entry(community).or_default().add(purpose, amount);
        }
    }
    (all, communities)
}

/// What machines have cost that were of no use.
#[derive(Clone, Copy, Default, Serialize)]
struct Waste {
    fizzled: Amount,
    never_started: Amount,
    preempted: Amount,
}

impl Waste {
    fn add(&mut self, purpose: Purpose, amount: Amount) {
        let sum = match purpose {
            Purpose::Fizzled => &mut self.fizzled,
            Purpose::NeverStarted => &mut self.never_started,
            Purpose::Preempted => &mut self.preempted,
            Purpose::Worked | Purpose::Killed | Purpose::Corrected => return,
        };
        *sum = *sum + amount;
    }
}

/// The forecasts of the grants that run now, by what each of them was charged over the last hours.
fn grants(book: &Book, budgets: &[Budget], now: Timestamp) -> Vec<Grant> {
    let standings = book.standings(now).into_iter();
    let grant = |standing: vcycle_money::Standing| {
        let Window::Grant { to, .. } = standing.cap.window else { return None };
        standing.window?;
        let (cap, spent) = (&standing.cap, standing.spent());
        let first = book.first_spent(&cap.scope, Timestamp::from_secs(0), now);
        let forecast = |hours: u32| {
            let lately = book.lately(&cap.scope, (first?, now), AN_HOUR * hours)?;
            Some(Forecast::new((spent, cap.limit), lately.rate, (now, to)))
        };
        Some(Grant {
            cap: cap.name.clone(),
            limit: cap.limit,
            spent,
            ends: to,
            is_budget: budgets.iter().any(|budget| budget.name == cap.name),
            first_spent: first.map(|first| first.from),
            six_hours: forecast(6),
            day: forecast(24),
        })
    };
    standings.filter_map(grant).collect()
}

fn text(seen: &Seen, screen: Screen) -> String {
    let unit = seen.currency.map_or(String::new(), |currency| format!(" {currency}"));
    let mut text = String::new();
    if let Some(damage) = &seen.damage {
        text.push_str(&alarm(screen, damage));
    }
    let Seen { spent, settled, running, reserved, .. } = seen;
    let mut line = |name: &str, value: String| {
        let told = prose(screen, &format!("{name} {value}"), 10);
        let value = told.strip_prefix(name).unwrap_or(&told).trim_start();
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
    line("rate", rates_text(seen, &unit));
    line(
        "reserved",
        format!(
            "{:.2}{unit} for {} machines to their ends; {:.2} of it is used, at most {:.2} can come",
            reserved.amount, reserved.machines, reserved.used, reserved.to_come
        ),
    );
    line("waste", waste_text(seen, &unit));
    if seen.corrected != Amount::ZERO {
        let (word, off) = match seen.corrected {
            more if more > Amount::ZERO => ("more", more),
            less => ("less", -less),
        };
        line("bills", format!("{off:.2}{unit} {word} than was settled before they came"));
    }
    for (heading, side) in [
        ("PROVIDER", &seen.sides.providers),
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

fn rates_text(seen: &Seen, unit: &str) -> String {
    let rates = &seen.rates;
    let Some(first) = rates.first_spent else { return nothing_yet(seen).to_owned() };
    let since = seen.now.since(first);
    let Rates { one_hour: Some(one_hour), six_hours: Some(six_hours), day: Some(day), .. } = rates
    else {
        return format!("too early to say: something was first spent {} ago", age(since));
    };
    let hour = format!("{one_hour:.2}{unit} an hour in the last hour");
    if since <= AN_HOUR * 6 {
        format!("{hour}, {six_hours:.2} in the {} since something was first spent", age(since))
    } else if since < AN_HOUR * 24 {
        format!(
            "{hour}, {six_hours:.2} in the last 6, {day:.2} in the {} since something was first spent",
            age(since)
        )
    } else {
        format!("{hour}, {six_hours:.2} in the last 6, {day:.2} in the last 24")
    }
}

fn nothing_yet(seen: &Seen) -> &'static str {
    match seen.damage {
        Some(_) => "not known",
        None => "nothing was spent yet",
    }
}

fn waste_text(seen: &Seen, unit: &str) -> String {
    let Waste { fizzled, never_started, preempted } = seen.wasted;
    let part = part_of(seen.waste, seen.settled);
    format!(
        "{:.2}{unit}{part}: {fizzled:.2} fizzled, {never_started:.2} never started, {preempted:.2} taken back",
        seen.waste
    )
}

fn part_of(part: Amount, whole: Amount) -> String {
    let permille = part.permille_of(whole);
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
    // LAST 24 H, RESERVED.
    fit(&mut table, screen, &[2, 3]);
    format!("\n{}", table_text(&table))
}

fn grants_text(seen: &Seen, screen: Screen) -> String {
    if seen.grants.is_empty() {
        return String::new();
    }
    let headings = ["GRANT", "LIMIT", "SPENT", "ENDS", "RATE", "LANDS AT", "NOTE"];
    let mut table = table(screen, &headings);
    for grant in &seen.grants {
        let Grant { cap, limit, spent, ends, day, .. } = grant;
        let day = day.as_ref();
        let told = |amount: Option<Amount>| {
            number(amount.map_or("-".to_owned(), |amount| format!("{amount:.2}")))
        };
        table.add_row([
            comfy_table::Cell::new(cap),
            number(format!("{limit:.2}")),
            number(format!("{spent:.2}")),
            comfy_table::Cell::new(from_now(*ends, seen.now)),
            told(day.map(|day| day.rate.in_an_hour())),
            told(day.filter(|_| !grant.is_budget).map(|day| day.lands)),
            landing(grant, seen),
        ]);
    }
    // RATE, ENDS, LIMIT.
    fit(&mut table, screen, &[4, 3, 1]);
    format!("\n{}{}\n", table_text(&table), styled(FAINT, prose(screen, LANDS, 0)))
}

/// What the columns of the grants say.
const LANDS: &str = "RATE: in an hour, of the last 24 hours or since something was first spent; LANDS AT: if that goes on to the end";

fn landing(grant: &Grant, seen: &Seen) -> comfy_table::Cell {
    let Grant { limit, is_budget, first_spent, day, .. } = grant;
    let note = match (day, first_spent) {
        _ if *is_budget => "by its plan: vcycle spend plan".to_owned(),
        (None, None) => nothing_yet(seen).to_owned(),
        (None, Some(_)) => "too early to say".to_owned(),
        (Some(Forecast { exhausted: Some(at), .. }), _) => {
            let when = format!("all spent {} ({})", clock_time(*at), from_now(*at, seen.now));
            return comfy_table::Cell::new(when).fg(comfy_table::Color::Yellow);
        }
        (Some(Forecast { lands, .. }), _) => format!("{:.2} unspent at the end", *limit - *lands),
    };
    comfy_table::Cell::new(note)
}
