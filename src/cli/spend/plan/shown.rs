//! What is ahead, for people. Pure.

use std::fmt::Write as _;

use anstyle::Style;
use comfy_table::Cell;
use vcycle_money::Amount;
use vcycle_money::plan::{
    Assumed, CommunityAdvice, Forecast, Held, LANDED, Landing, Pace, Projection, Rate, Role, Term,
};

use super::super::super::output::{
    BAD, BOLD, FAINT, GOOD, Screen, WARN, clock_time, fit, number, prose, styled, table, table_text,
};
use super::ahead::{Ahead, Narrower};
use super::{Course, Seen};
use crate::model::Timestamp;

/// What is as it should be.
const PLAIN: Style = Style::new();

/// What nobody can know, and how it is taken.
const ASSUMED: &str = "Taken to be so: who finds work now, or was never tried, finds as much as it is given, and who found none, or has no machinetype in this configuration, finds none; machines cost what \
     the cheapest costs, end in the second half of their longest life, and at once when told to; nothing is out of stock, no price changes.";

/// The whole answer.
pub(super) fn text(seen: &Seen, screen: Screen) -> String {
    let mut text = String::new();
    if seen.is_new {
        let _ =
            writeln!(text, "{}\n", styled(WARN, "no manager has run here yet: nothing is spent"));
    }
    if seen.budgets.is_empty() {
        text.push_str("there is no budget: write one into caps.d of the state directory\n");
        return text;
    }
    for course in &seen.budgets {
        text.push_str(&course_text(course, seen, screen));
    }
    let _ = writeln!(text, "{}", styled(FAINT, prose(screen, ASSUMED, 0)));
    text
}

fn course_text(course: &Course, seen: &Seen, screen: Screen) -> String {
    let mut text = String::new();
    let file = seen.with.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    if let Some(plan) = &course.plan {
        text.push_str(&ahead_text(plan, seen, (screen, "")));
    }
    if let Some(with) = &course.with {
        text.push_str(&ahead_text(with, seen, (screen, &format!(", as {file} has it"))));
    }
    if let (Some(plan), Some(with)) = (&course.plan, &course.with) {
        text.push_str(&compared(&plan.projection, &with.projection, (screen, &file)));
    }
    text
}

fn ahead_text(ahead: &Ahead, seen: &Seen, (screen, which): (Screen, &str)) -> String {
    let plan = &ahead.projection;
    let currency = seen.currency;
    let name = format!("{}{which}", plan.budget);
    let head = format!(
        "{name}: {:.2} {currency} from {} to {}; {:.2} spent, {:.2} with all that runs to its hard end",
        plan.amount,
        day(plan.from),
        day(plan.to),
        plan.spent,
        plan.committed,
    );
    let mut text = prose(screen, &head, 0).replacen(&name, &styled(BOLD, &name), 1);
    text.push('\n');
    let mut tell = |style: Style, words: &str| {
        let _ = writeln!(text, "{}", styled(style, prose(screen, words, 0)));
    };
    let (style, now) = now_text(plan);
    tell(style, &now);
    if let Some((style, pace)) = pace_text(plan) {
        tell(style, &pace);
    }
    let (style, lands) = lands_text(plan);
    tell(style, &lands);
    for narrower in &ahead.narrower {
        tell(WARN, &narrower_text(narrower, seen.now));
    }
    for other in &ahead.beside {
        let words = format!(
            "the budget {other} pays for some of the same: what it has left is thought of here as that of a cap, its own plan is not"
        );
        tell(PLAIN, &words);
    }
    let _ = writeln!(text, "\n{}", communities(plan, screen));
    if !plan.days.is_empty() {
        let _ = writeln!(text, "{}", days(plan, screen));
    }
    text
}

fn narrower_text(narrower: &Narrower, now: Timestamp) -> String {
    let Held { cap, since, window, left } = &narrower.held;
    let when = match *since {
        since if since <= now => "now".to_owned(),
        since => format!("at {}", clock_time(since)),
    };
    let end = clock_time(window.to);
    let what = if *left < Amount::ZERO {
        format!("{when} it is passed by {:.2}, until {end}", -*left)
    } else {
        format!("{when} {left:.2} is left below it until {end}")
    };
    if narrower.is_obeyed {
        format!("the cap {cap} holds it back: {what}")
    } else {
        format!(
            "the cap {cap} may hold it back: {what}, and nobody can tell how much of this plan is below it"
        )
    }
}

fn now_text(plan: &Projection) -> (Style, String) {
    let text = match plan.advice.term {
        Term::NotBegun => format!("nothing is spent from it before {}", clock_time(plan.from)),
        Term::Stopped => "within its stop margin: what runs is told to end".to_owned(),
        Term::Over => "it is over".to_owned(),
        Term::Open if plan.unit == Rate::ZERO => {
            let none =
                "no machine could be made: nobody knows what one costs (`vcycle prices list`)";
            return (BAD, none.to_owned());
        }
        Term::Open => format!(
            "now {:.2}; the line from here to the end is {:.2}",
            plan.advice.burn, plan.advice.target
        ),
    };
    (PLAIN, text)
}

/// How it went, and where that would lead.
fn pace_text(plan: &Projection) -> Option<(Style, String)> {
    let Landing { six_hours, day, now: _ } = plan.advice.landing;
    let lands = |over: &str, forecast: Option<Forecast>| {
        Some(format!("as in the last {over} at {:.2}", forecast?.lands))
    };
    let parts: Vec<String> =
        [lands("6 h", six_hours), lands("24 h", day)].into_iter().flatten().collect();
    let is_told = plan.advice.term == Term::Open && !parts.is_empty();
    let text = |off: &str| format!("would land {}: {off}", parts.join(", "));
    is_told.then(|| match plan.advice.pace {
        Pace::OnLine => (PLAIN, text("on its line")),
        Pace::Above { by } => (WARN, text(&format!("{by:.2} above its line"))),
        Pace::Below { by } => (WARN, text(&format!("{by:.2} below its line"))),
    })
}

fn lands_text(plan: &Projection) -> (Style, String) {
    let permille = plan.lands.permille_of(plan.amount);
    let style = if (LANDED..=1000).contains(&permille) { GOOD } else { WARN };
    (style, format!("lands at {:.2}: {}.{} %", plan.lands, permille / 10, permille % 10))
}

fn communities(plan: &Projection, screen: Screen) -> String {
    let headings = ["COMMUNITY", "ROLE", "NOW", "WORK", "NEXT", "WHY"];
    let mut rows = table(screen, &headings);
    for (own, advice) in plan.communities.iter().zip(&plan.advice.communities) {
        rows.add_row([
            Cell::new(&own.community),
            Cell::new(match own.role {
                Role::Priority => "priority",
                Role::Backfill => "backfill",
                Role::Unnamed => "not named",
            }),
            number(format!("{:.2}", own.running)),
            Cell::new(match own.work {
                Assumed::FindsWork => "finds some",
                Assumed::NotTried => "not tried yet",
                Assumed::FoundNone => "found none",
                Assumed::NoMachinetype => "no machinetype",
            }),
            Cell::new(next(advice)),
            Cell::new(advice.why.to_string()),
        ]);
    }
    // ROLE, WORK.
    fit(&mut rows, screen, &[1, 3]);
    table_text(&rows)
}

/// What a community does in this cycle.
fn next(advice: &CommunityAdvice) -> String {
    let CommunityAdvice { grow, give_way, .. } = *advice;
    if give_way > Rate::ZERO {
        format!("gives way by {give_way:.2}")
    } else if grow > Rate::ZERO {
        format!("may grow by {grow:.2}")
    } else {
        "stays".to_owned()
    }
}

fn days(plan: &Projection, screen: Screen) -> String {
    let names: Vec<String> = plan.communities.iter().map(|own| own.community.to_string()).collect();
    let mut headings = vec!["DAY"];
    headings.extend(names.iter().map(String::as_str));
    headings.extend(["SPENT", "IN ALL", "LINE", "COMMITTED"]);
    let mut rows = table(screen, &headings);
    for own in &plan.days {
        let mut cells = vec![Cell::new(day(own.from))];
        cells.extend(own.communities.iter().map(|amount| money(*amount)));
        cells.extend([own.spent, own.total, own.line, own.committed].map(money));
        rows.add_row(cells);
    }
    // COMMITTED, LINE, and the communities, the last one first.
    let count = names.len();
    let less_important: Vec<usize> =
        [count + 4, count + 3].into_iter().chain((1..=count).rev()).collect();
    fit(&mut rows, screen, &less_important);
    table_text(&rows)
}

/// Both plans side by side.
fn compared(plan: &Projection, with: &Projection, (screen, file): (Screen, &str)) -> String {
    let headings = ["DAY", "SPENT", "WITH", "IN ALL", "WITH ", "LINE", "WITH  "];
    let mut rows = table(screen, &headings);
    let count = plan.days.len().max(with.days.len());
    for number in 0..count {
        let (own, other) = (plan.days.get(number), with.days.get(number));
        let Some(any) = own.or(other) else { continue };
        let cell = |amount: Option<Amount>| amount.map_or_else(|| Cell::new("-"), money);
        rows.add_row([
            Cell::new(day(any.from)),
            cell(own.map(|day| day.spent)),
            cell(other.map(|day| day.spent)),
            cell(own.map(|day| day.total)),
            cell(other.map(|day| day.total)),
            cell(own.map(|day| day.line)),
            cell(other.map(|day| day.line)),
        ]);
    }
    // LINE of both.
    fit(&mut rows, screen, &[6, 5]);
    let heading = format!("{} and WITH {file}", plan.budget);
    let (lands, other) = (plan.lands, with.lands);
    let difference = other - lands;
    let sign = if difference < Amount::ZERO { "less" } else { "more" };
    let off = difference.max(-difference);
    let text = format!("{heading}: lands at {other:.2} in place of {lands:.2}, {off:.2} {sign}");
    let text = prose(screen, &text, 0).replacen(&heading, &styled(BOLD, &heading), 1);
    format!("{text}\n\n{}\n", table_text(&rows))
}

fn money(amount: Amount) -> Cell {
    number(format!("{amount:.2}"))
}

/// The day of a time.
fn day(at: Timestamp) -> String {
    let text = clock_time(at);
    text[..text.len().min(10)].to_owned()
}
