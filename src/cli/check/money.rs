//! What of the money of a valid configuration somebody should look at today: caps that limit nothing now, files that nobody
//! reads, prices that are not believed.

use std::collections::BTreeSet;
use std::time::Duration;

use vcycle_api::{Clock, SystemClock};
use vcycle_money::plan::{Budget, Term};
use vcycle_money::prices::{Lack, Written};
use vcycle_money::{Amount, Cap, Scope, Span, Window};

use crate::cli::output::clock_time;
use crate::config::{Config, SpendingSettings, Warning, Wrong, caps_folder};
use crate::model::Timestamp;

/// So long before a price grows too old it is said.
const AHEAD: Duration = Duration::from_secs(7 * 86_400);

/// Everything. `caps`: those of the files, if they are right. Budgets are caps, too, and stand among them.
pub(super) fn doubts(
    config: &Config,
    (caps, budgets): (Option<&[Cap]>, &[Budget]),
) -> Vec<Warning> {
    let now = SystemClock::new().now();
    let Some(spending) = &config.spending else { return Vec::new() };
    let mut doubts = prices(spending, now);
    doubts.extend(unread(config));
    if let Some(caps) = caps {
        let is_budget = |cap: &Cap| budgets.iter().any(|budget| budget.name == cap.name);
        let only_caps = caps.iter().filter(|cap| !is_budget(cap));
        doubts.extend(only_caps.filter_map(|cap| idle(config, cap, now)));
        doubts.extend(budgets.iter().filter_map(|own| out_of_time(config, (own, budgets), now)));
        doubts.extend(budgets.iter().filter_map(|budget| too_much(config, budget, caps)));
        if caps.is_empty() {
            let wrong = Wrong::new(
                "there is no cap: what is spent is counted, and limited by nothing but caps that are in force already (`vcycle spend caps`)",
                "a file with [cap.NAME] here",
            );
            doubts.push(Warning::in_file(&caps_folder(&config.site.state_dir), wrong));
        }
    }
    doubts.into_iter().map(Warning::as_warning).collect()
}

/// A grant limits nothing before it begins and after it has ended.
fn idle(config: &Config, cap: &Cap, now: Timestamp) -> Option<Warning> {
    let Window::Grant { from, to } = cap.window else { return None };
    let what = if now < from {
        format!("the cap {} begins at {}, and limits nothing before", cap.name, clock_time(from))
    } else if now >= to {
        format!("the cap {} has ended at {}, and limits nothing any more", cap.name, clock_time(to))
    } else {
        return None;
    };
    let wrong = Wrong::new(what, "a cap on what is spent outside of it, if there should be one");
    Some(Warning::in_file(&caps_folder(&config.site.state_dir), wrong))
}

/// A budget that cannot be spent: a cap on all of it lets less be spent in its time.
fn too_much(config: &Config, budget: &Budget, caps: &[Cap]) -> Option<Warning> {
    let time = Span { from: budget.from, to: budget.stop() };
    let pays = |cap: &Cap| -> Option<Amount> {
        let is_whole = match cap.window {
            Window::Grant { from, to } => from <= time.from && time.to <= to,
            Window::Hour | Window::Day { .. } | Window::Week { .. } | Window::Month { .. } => true,
        };
        let counts = cap.name != budget.name && is_whole && is_on_all(&cap.scope, budget);
        counts.then(|| cap.window.spans(time).map(|_| cap.limit).sum())
    };
    let of_cap = |cap: &Cap| pays(cap).map(|most| (most, cap.name.clone()));
    let (most, cap) = caps.iter().filter_map(of_cap).min()?;
    let wanted = budget.spendable();
    let wrong = Wrong::new(
        format!(
            "the budget {} is to spend {wanted:.2}, and the cap {cap} lets no more than {most:.2} be spent in its time",
            budget.name
        ),
        "a higher cap, or a smaller budget",
    );
    (most < wanted).then(|| Warning::in_file(&caps_folder(&config.site.state_dir), wrong))
}

/// Whether a cap is on everything that a budget may pay for.
fn is_on_all(scope: &Scope, budget: &Budget) -> bool {
    fn holds<T: Ord>(cap: &BTreeSet<T>, budget: &BTreeSet<T>) -> bool {
        cap.is_empty() || (!budget.is_empty() && budget.is_subset(cap))
    }
    let Scope { providers, spaces, machinetypes, communities, markets } = scope;
    let mut named = budget.named();
    holds(providers, &budget.scope.providers)
        && holds(spaces, &budget.scope.spaces)
        && holds(machinetypes, &budget.scope.machinetypes)
        && holds(markets, &budget.scope.markets)
        && (communities.is_empty() || named.all(|named| communities.contains(named)))
}

/// A budget pays for nothing before it begins and after it has ended; where no other is open in its place, nothing is made. Periods that
/// follow each other are meant so.
fn out_of_time(
    config: &Config,
    (budget, budgets): (&Budget, &[Budget]),
    now: Timestamp,
) -> Option<Warning> {
    let is_in_its_place =
        |other: &Budget| other.term(now).is_its_time() && other.scope == budget.scope;
    if budgets.iter().any(is_in_its_place) {
        return None;
    }
    let (name, from, to) = (&budget.name, clock_time(budget.from), clock_time(budget.to));
    let what = match budget.term(now) {
        Term::NotBegun => format!("the budget {name} begins at {from}: before"),
        Term::Over => format!("the budget {name} has ended at {to}: now"),
        Term::Open | Term::Stopped => return None,
    };
    let wrong = Wrong::new(
        format!("{what} nothing is made that it pays for, unless another budget is open there"),
        "a budget for the present time as well, or none",
    );
    Some(Warning::in_file(&caps_folder(&config.site.state_dir), wrong))
}

/// Files beside the others that are not taken for caps.
fn unread(config: &Config) -> impl Iterator<Item = Warning> {
    let folder = caps_folder(&config.site.state_dir);
    let names = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let is_read = |name: &str| name.ends_with(".toml") || name.starts_with('.');
    let unread = names.filter(move |entry| !is_read(&entry.file_name().to_string_lossy()));
    unread.map(|entry| {
        let wrong = Wrong::new(
            "nobody reads this: caps are in files whose names end in \".toml\"",
            "another name, or another place for it",
        );
        Warning::in_file(&entry.path(), wrong)
    })
}

/// Prices that count as unknown now, or will in a week.
fn prices(spending: &SpendingSettings, now: Timestamp) -> Vec<Warning> {
    let is_dead = spending.book.doubts(now);
    let soon = spending.book.doubts(now + AHEAD).into_iter();
    let of = |(file, lack): &(Written, Lack)| (file.clone(), lack.item().cloned());
    let soon = soon.filter(|soon| !is_dead.iter().any(|dead| of(dead) == of(soon)));
    let said = |(file, lack): &(Written, Lack), when| {
        let wrong = Wrong::new(format!("{lack}{when}"), lack.remedy());
        Warning::in_file(std::path::Path::new(&**file), wrong)
    };
    let dead = is_dead.iter().map(|dead| said(dead, ": nothing is made of it where a cap is"));
    dead.chain(
        soon.map(|lack| said(&lack, " a week from now: then nothing is made of it where a cap is")),
    )
    .collect()
}
