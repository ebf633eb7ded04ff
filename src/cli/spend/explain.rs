//! `vcycle spend explain CAP`: every open reservation below a cap, and whether the next machine of each sort would fit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use vcycle_money::book::Open;
use vcycle_money::{
    Account, Amount, Book, Cap, CapName, Currency, Refusal, Reservation, Scope, Span, Window,
};

use super::super::error::CliError;
use super::super::output::{
    BAD, BOLD, GOOD, Screen, alarm, clock_time, fit, from_now, number, prose, show, styled, table,
    table_text,
};
use super::args::SpendExplainArgs;
use super::caps::{Row, ends, stage_text, window_name};
use super::files::Files;
use super::reading::Reading;
use crate::model::{
    IntentToken, MachineName, MachinetypeName, Market, OfferingId, SpaceName, Timestamp,
};

/// Carries the command out.
pub(super) async fn run(config: &Path, args: &SpendExplainArgs) -> Result<(), CliError> {
    let state_dir = args.state.state_dir.as_deref();
    let reading = Reading::in_use(config, state_dir).await?;
    let seen = Seen::of(&reading, &Files::of(config, state_dir, &reading), &args.cap)?;
    show(&seen, &args.state.read, text)?;
    reading.must_have_shown_all()
}

/// The documented JSON of `vcycle spend explain --json`.
#[derive(Serialize)]
struct Seen {
    format: u32,
    now: Timestamp,
    currency: Option<Currency>,
    damage: Option<String>,
    /// That the files of caps cannot be taken up, or what of this one waits to come into force.
    files: Option<String>,
    #[serde(flatten)]
    cap: Row,
    reservations: Vec<Reserved>,
    next: Vec<Next>,
}

/// A reservation below the cap.
#[derive(Serialize)]
struct Reserved {
    machine: MachineName,
    intent: IntentToken,
    account: Account,
    offering: OfferingId,
    from: Timestamp,
    until: Timestamp,
    /// In the present window of the cap, at the worst.
    in_window: Amount,
    /// At the worst.
    whole: Amount,
    /// What it has cost until now, if its machine lives.
    used: Amount,
    /// The entry of the ledger that made it.
    entry: u64,
}

/// Another machine like one that runs: whether it could be reserved now.
#[derive(Serialize)]
struct Next {
    space: SpaceName,
    machinetype: MachinetypeName,
    market: Market,
    offering: OfferingId,
    until: Timestamp,
    needed: Amount,
    fits: bool,
    /// The cap that has no room for it; perhaps another one.
    refusal: Option<Refused>,
}

#[derive(Serialize)]
struct Refused {
    cap: CapName,
    window: Span,
    left: Amount,
    needed: Amount,
    /// There is more below its limit, but it stops growing there, or drains.
    is_closed: bool,
}

impl Seen {
    fn of(reading: &Reading, files: &Files, name: &CapName) -> Result<Self, CliError> {
        let (book, now) = (&reading.book, reading.now);
        let waiting = files.waiting(name, book.cap(name));
        let Some(standing) = book.standing_of(name, now) else {
            reading.must_be_whole(&format!("nobody can tell how the cap {name} stands"))?;
            return Err(CliError::Usage(no_such_cap(book, name, waiting)));
        };
        let below = |open: &&Open| standing.cap.scope.covers(&open.reservation.account);
        let open: Vec<&Open> = book.reservations().filter(below).collect();
        let mut reservations: Vec<Reserved> =
            open.iter().map(|open| Reserved::of(open, standing.window, now)).collect();
        reservations.sort_by(|one, other| {
            let key = |row: &Reserved| (std::cmp::Reverse(row.in_window), row.machine.clone());
            key(one).cmp(&key(other))
        });
        Ok(Self {
            format: 1,
            now,
            currency: reading.currency,
            damage: reading.damage.clone(),
            files: waiting.or_else(|| files.refused()),
            cap: Row::of(&standing, reading.now),
            reservations,
            next: next(book, &open, now),
        })
    }
}

fn no_such_cap(book: &Book, name: &CapName, waiting: Option<String>) -> String {
    if let Some(waiting) = waiting {
        return format!("the cap {name} is not in force yet: {waiting}");
    }
    let names: Vec<&str> = book.caps().iter().map(|cap: &Cap| cap.name.as_str()).collect();
    match names.as_slice() {
        [] => "no cap is in force: write one into caps.d of the state directory".to_owned(),
        _ => format!("there is no cap {name}; there are {}", names.join(", ")),
    }
}

impl Reserved {
    fn of(open: &Open, window: Option<Span>, now: Timestamp) -> Self {
        let it = &open.reservation;
        Self {
            machine: it.machine.clone(),
            intent: it.intent,
            account: it.account.clone(),
            offering: it.offering.clone(),
            from: it.from,
            until: it.until,
            in_window: window.map_or(Amount::ZERO, |window| open.worst_within(window)),
            whole: open.worst(),
            used: open.run_up(open.span(), now),
            entry: open.entry,
        }
    }
}

/// For each sort of machine that runs, another one that begins now and lasts as long as the newest of them.
fn next(book: &Book, open: &[&Open], now: Timestamp) -> Vec<Next> {
    let mut newest: BTreeMap<(&Account, &OfferingId), &Open> = BTreeMap::new();
    for open in open {
        let known = newest.entry((&open.reservation.account, &open.reservation.offering));
        let known = known.or_insert(open);
        if open.reservation.from > known.reservation.from {
            *known = open;
        }
    }
    let tried = |open: &Open| {
        let like = &open.reservation;
        let reservation = Reservation {
            // It is asked about and never made: that the intent is taken does not count.
            until: now + like.until.since(like.from),
            from: now,
            ..like.clone()
        };
        let refusal =
            book.admit(std::slice::from_ref(&reservation)).into_iter().find_map(Result::err);
        Next {
            space: like.account.space.clone(),
            machinetype: like.account.machinetype.clone(),
            market: like.account.market,
            offering: like.offering.clone(),
            until: reservation.until,
            needed: reservation.worst(),
            fits: refusal.is_none(),
            refusal: refusal.map(|Refusal { cap, window, left, needed, is_closed }| Refused {
                cap,
                window,
                left,
                needed,
                is_closed,
            }),
        }
    };
    newest.into_values().map(tried).collect()
}

fn text(seen: &Seen, screen: Screen) -> String {
    let Row { cap, each, limit, settled, reserved, left, stage, running, .. } = &seen.cap;
    let unit = seen.currency.map_or(String::new(), |currency| format!(" {currency}"));
    let mut text = String::new();
    for what in seen.damage.iter().chain(&seen.files) {
        text.push_str(&alarm(screen, what));
    }
    let (name, stage_word) = (cap.as_str(), stage.word());
    let on = format!(
        "{name} {limit:.2}{unit} {}, on {}; it ends: {}",
        how_often(*each),
        scope_text(&seen.cap.scope),
        ends(&seen.cap, seen.now),
    );
    let _ = writeln!(text, "{}", prose(screen, &on, 0).replacen(name, &styled(BOLD, name), 1));
    let stands = format!(
        "{stage_word}: {settled:.2} settled + {reserved:.2} reserved ({running:.2} of it used) leaves {left:.2}"
    );
    let stands = prose(screen, &stands, 0).replacen(stage_word, &stage_text(*stage), 1);
    let _ = writeln!(text, "{stands}");
    text.push_str(&reservations_text(seen, screen));
    text.push_str(&next_text(seen, screen));
    text
}

fn how_often(each: Window) -> String {
    match each {
        Window::Grant { .. } => "once".to_owned(),
        Window::Hour | Window::Day { .. } | Window::Week { .. } | Window::Month { .. } => {
            format!("each {}", window_name(each))
        }
    }
}

fn scope_text(scope: &Scope) -> String {
    fn names<T: std::fmt::Display>(
        kind: &str,
        set: &std::collections::BTreeSet<T>,
    ) -> Option<String> {
        let names: Vec<String> = set.iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| format!("{kind} {}", names.join(", ")))
    }
    let parts = [
        names("provider", &scope.providers),
        names("space", &scope.spaces),
        names("machinetype", &scope.machinetypes),
        names("community", &scope.communities),
        names("market", &scope.markets),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "everything".to_owned() } else { parts.join("; ") }
}

fn reservations_text(seen: &Seen, screen: Screen) -> String {
    if seen.reservations.is_empty() {
        let nothing =
            "nothing is reserved below it; why nothing is made: vcycle explain SPACE/MACHINETYPE";
        return format!("\n{}\n", prose(screen, nothing, 0));
    }
    let headings =
        ["MACHINE", "SPACE", "MARKET", "OFFERING", "KEPT TO", "IN WINDOW", "WHOLE", "USED"];
    let mut table = table(screen, &headings);
    for row in &seen.reservations {
        table.add_row([
            comfy_table::Cell::new(&row.machine),
            comfy_table::Cell::new(&row.account.space),
            comfy_table::Cell::new(row.account.market),
            comfy_table::Cell::new(&row.offering),
            comfy_table::Cell::new(from_now(row.until, seen.now)),
            number(format!("{:.2}", row.in_window)),
            number(format!("{:.2}", row.whole)),
            number(format!("{:.2}", row.used)),
        ]);
    }
    // MARKET, OFFERING, SPACE, USED, WHOLE.
    fit(&mut table, screen, &[2, 3, 1, 7, 6]);
    format!("\n{}", table_text(&table))
}

fn next_text(seen: &Seen, screen: Screen) -> String {
    if seen.next.is_empty() {
        return String::new();
    }
    let mut table = table(screen, &["THE NEXT", "MARKET", "OFFERING", "NEEDS", "WHY"]);
    for next in &seen.next {
        table.add_row([
            comfy_table::Cell::new(format!("{}/{}", next.space, next.machinetype)),
            comfy_table::Cell::new(next.market),
            comfy_table::Cell::new(&next.offering),
            number(format!("{:.2}", next.needed)),
            comfy_table::Cell::new(
                next.refusal
                    .as_ref()
                    .map_or_else(|| styled(GOOD, "fits below every cap"), refusal_text),
            ),
        ]);
    }
    // MARKET, OFFERING.
    fit(&mut table, screen, &[1, 2]);
    format!("\n{}", table_text(&table))
}

fn refusal_text(refused: &Refused) -> String {
    let Refused { cap, window, left, needed, is_closed } = refused;
    let why = if *is_closed {
        format!("{cap} stops growing here (stop_growing_at, drain_at)")
    } else if left.is_nothing() {
        format!("{cap} has nothing left for anything")
    } else {
        format!("{cap} has {left:.2} left, and it needs {needed:.2} there")
    };
    styled(BAD, format!("{why} (until {})", clock_time(window.to)))
}
