//! `vcycle spend plan`: what the budgets will do in the days to come, and what another plan would. Asks no cloud, changes
//! nothing: the controller of the managers is asked step by step, from the ledger as it is.

mod shown;
mod standpoint;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use vcycle_money::plan::{Budget, Projection};
use vcycle_money::{Amount, Cap, CapName, Currency, Scope, Window};

use super::super::error::CliError;
use super::super::output::show;
use super::super::simulate::read;
use super::args::SpendPlanArgs;
use super::reading::Reading;
use crate::config::{
    CapFile, CapTexts, CapsAndBudgets, Collector, Config, load_caps, validate_caps,
};
use crate::library::load_setup;
use crate::model::Timestamp;
use standpoint::Outset;

/// Carries the command out.
pub(super) async fn run(config: &Path, args: &SpendPlanArgs) -> Result<(), CliError> {
    let setup = load_setup(config).map_err(|problems| CliError::Problems(problems.to_string()))?;
    let Some(spending) = &setup.config.spending else {
        return Err(CliError::Usage(
            "the configuration has no [spending]: nothing is watched, and no plan holds".to_owned(),
        ));
    };
    let reading = Reading::open(config, None).await?;
    // What a plan would do from a part of the book is no plan.
    reading.must_be_whole("no plan is told")?;
    let (budgets, caps) = in_force(&setup.config, &reading).await?;
    let other = match &args.with {
        Some(file) => Some(other_plan(file, spending.currency, &setup.config)?),
        None => None,
    };
    let outset = Outset { setup: &setup, book: &reading.book, now: reading.now };
    let others = other.as_ref().map(|other| &other.budgets[..]);
    let pairs = pairs(&budgets, others, args.budget.as_ref())?;
    let project =
        |budget: &Budget, caps: &[Cap]| Ahead::of(outset.project(budget, args.days), budget, caps);
    let caps_with = other.as_ref().map_or_else(Vec::new, |other| in_place(&caps, &other.caps));
    let course = |pair: &Pair<'_>| Course {
        budget: pair.name.clone(),
        plan: pair.plan.map(|budget| project(budget, &caps)),
        with: pair.with.map(|budget| project(budget, &caps_with)),
    };
    let seen = Seen {
        format: 1,
        now: reading.now,
        currency: spending.currency,
        is_new: !reading.is_in_use(),
        with: args.with.clone(),
        budgets: pairs.iter().map(course).collect(),
    };
    show(&seen, &args.read, shown::text)
}

/// The documented JSON of `vcycle spend plan --json`.
#[derive(Serialize)]
struct Seen {
    format: u32,
    now: Timestamp,
    currency: Currency,
    /// No manager has ever run here: nothing was spent, and nothing is known of work.
    is_new: bool,
    /// The other plan.
    with: Option<PathBuf>,
    budgets: Vec<Course>,
}

/// A budget as it is, and by the other plan.
#[derive(Serialize)]
struct Course {
    budget: CapName,
    /// `None`: only the other plan has it.
    plan: Option<Ahead>,
    /// `None`: there is no other plan, or it does not speak of this budget.
    with: Option<Ahead>,
}

/// What is ahead of a budget.
#[derive(Serialize)]
struct Ahead {
    #[serde(flatten)]
    projection: Projection,
    /// Caps that would hold it back.
    narrower: Vec<Narrower>,
}

/// A cap on all that a budget pays for which allows less in a day than the plan would spend in its busiest.
#[derive(Serialize)]
struct Narrower {
    cap: CapName,
    a_day: Amount,
}

impl Ahead {
    fn of(projection: Projection, budget: &Budget, caps: &[Cap]) -> Self {
        let busiest = projection.days.iter().map(|day| day.spent).max().unwrap_or_default();
        let covers = |cap: &&Cap| cap.scope == Scope::default() || cap.scope == budget.scope;
        let narrower = |cap: &Cap| {
            let a_day = a_day(cap)?;
            (cap.name != budget.name && a_day < busiest)
                .then(|| Narrower { cap: cap.name.clone(), a_day })
        };
        let narrower = caps.iter().filter(covers).filter_map(narrower).collect();
        Self { projection, narrower }
    }
}

/// What a cap allows in a day, on the mean; `None`: that says nothing.
fn a_day(cap: &Cap) -> Option<Amount> {
    match cap.window {
        Window::Hour => Some((0..24).map(|_| cap.limit).sum()),
        Window::Day { .. } => Some(cap.limit),
        Window::Week { .. } => cap.limit.share(1, 7),
        // The shortest month: no false alarm.
        Window::Month { .. } => cap.limit.share(1, 28),
        Window::Grant { .. } => None,
    }
}

/// A budget in both plans.
struct Pair<'a> {
    name: &'a CapName,
    plan: Option<&'a Budget>,
    with: Option<&'a Budget>,
}

fn pairs<'a>(
    budgets: &'a [Budget],
    other: Option<&'a [Budget]>,
    only: Option<&CapName>,
) -> Result<Vec<Pair<'a>>, CliError> {
    let other = other.unwrap_or_default();
    let names: BTreeSet<&CapName> = budgets.iter().chain(other).map(|own| &own.name).collect();
    let find = |all: &'a [Budget], name: &CapName| all.iter().find(|own| own.name == *name);
    let wanted = names.iter().filter(|name| only.is_none_or(|only| only == **name));
    let pairs: Vec<Pair<'_>> = wanted
        .map(|name| Pair { name, plan: find(budgets, name), with: find(other, name) })
        .collect();
    match only {
        Some(only) if pairs.is_empty() => {
            let known: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            Err(CliError::Usage(format!(
                "there is no budget {only}; there is: {}",
                known.join(", ")
            )))
        }
        _ => Ok(pairs),
    }
}

/// The budgets and caps of the spend manager, as managers read them. A new site may be planned before its first manager runs;
/// where no file of caps is either, perhaps nothing is mounted.
async fn in_force(config: &Config, reading: &Reading) -> Result<(Vec<Budget>, Vec<Cap>), CliError> {
    let loaded = load_caps(config);
    if loaded.texts.files.is_empty() {
        reading.must_be_in_use().await?;
    }
    let caps = loaded.caps.map_err(|problems| CliError::Problems(problems.to_string()))?;
    Ok((loaded.budgets, caps))
}

/// The caps in force, with those of a file in place of the ones of the same names.
fn in_place(caps: &[Cap], with: &[Cap]) -> Vec<Cap> {
    let is_other = |cap: &&Cap| !with.iter().any(|other| other.name == cap.name);
    caps.iter().filter(is_other).chain(with).cloned().collect()
}

/// The budgets and caps of a file that is not in force.
fn other_plan(
    file: &Path,
    currency: Currency,
    config: &Config,
) -> Result<CapsAndBudgets, CliError> {
    let text = read(file)?;
    let folder = text.folder.clone();
    let texts = CapTexts { folder, files: vec![CapFile { text, modified: None, owner: None }] };
    let problems = Collector::default();
    let found = validate_caps(&texts, currency, config, &problems);
    let (result, warnings) = problems.into_parts();
    result.map_err(|problems| CliError::Problems(problems.to_string()))?;
    for warning in warnings {
        anstream::eprintln!("{warning}\n");
    }
    if found.budgets.is_empty() {
        let file = file.display();
        return Err(CliError::Usage(format!(
            "{file} has no [budget.NAME]: there is no other plan"
        )));
    }
    Ok(found)
}
