//! `vcycle spend plan`: what the budgets will do in the days to come, and what another plan would. Asks no cloud, changes
//! nothing: the controller of the managers is asked step by step, from the ledger as it is.

mod ahead;
mod shown;
mod standpoint;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use vcycle_money::plan::Budget;
use vcycle_money::{Cap, CapName, Currency};

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
use ahead::{Ahead, Plan};
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
    let now = Plan { budgets: &budgets, caps: &caps };
    let other = match &args.with {
        Some(file) => Some(other_plan(file, spending.currency, &setup.config)?),
        None => None,
    };
    // What stands in the file takes the place of what has the same name.
    let (budgets_with, caps_with) = match &other {
        Some(other) => (
            in_place(&budgets, &other.budgets, |budget| &budget.name),
            in_place(&caps, &other.caps, |cap| &cap.name),
        ),
        None => (Vec::new(), Vec::new()),
    };
    let with = Plan { budgets: &budgets_with, caps: &caps_with };
    let outset = Outset { setup: &setup, book: &reading.book, now: reading.now };
    let others = other.as_ref().map(|other| other.spoken_of(&budgets));
    let pairs = pairs(&budgets, others.as_deref(), args.budget.as_ref())?;
    let course = |pair: &Pair<'_>| Course {
        budget: pair.name.clone(),
        plan: pair.plan.map(|budget| Ahead::of(outset, (budget, now), args.days)),
        with: pair.with.map(|budget| Ahead::of(outset, (budget, with), args.days)),
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

/// What is in force, with what a file has in place of what has the same name.
fn in_place<T: Clone>(all: &[T], with: &[T], name: impl Fn(&T) -> &CapName) -> Vec<T> {
    let is_other = |own: &&T| !with.iter().any(|other| name(other) == name(own));
    all.iter().filter(is_other).chain(with).cloned().collect()
}

/// What a file has that is not in force.
struct OtherPlan {
    budgets: Vec<Budget>,
    /// Those of the budgets among them.
    caps: Vec<Cap>,
}

impl OtherPlan {
    /// The budgets that it says something of: its own, and, since a cap may be on any, all where it has caps.
    fn spoken_of(&self, in_force: &[Budget]) -> Vec<Budget> {
        if self.caps.len() > self.budgets.len() {
            in_place(in_force, &self.budgets, |budget| &budget.name)
        } else {
            self.budgets.clone()
        }
    }
}

/// The budgets and caps of a file that is not in force.
fn other_plan(file: &Path, currency: Currency, config: &Config) -> Result<OtherPlan, CliError> {
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
    let CapsAndBudgets { budgets, caps } = found;
    if caps.is_empty() {
        let file = file.display();
        return Err(CliError::Usage(format!(
            "{file} has no [budget.NAME] and no [cap.NAME]: there is no other plan"
        )));
    }
    Ok(OtherPlan { budgets, caps })
}
