//! `vcycle plan`: looks at the clouds as the daemon would, and prints what it would do now, and
//! why. It is given providers that can only observe, and no ownership: it cannot act.

mod till;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use vcycle_api::Clock;
use vcycle_money::book::ToEnd;

use super::error::{CliError, chain};
use super::output::{BAD, BOLD, FAINT, Screen, json, print, styled, table, table_text};
use super::site::StateSource;
use super::{PlanArgs, providers};
use crate::cycle::{PlanFrame, Planner, Remembered, leaving, orders, plan_input};
use crate::library::{Setup, SpaceSetup, load_setup};
use crate::model::{
    ClockTrust, DeploymentId, Doors, Generation, ListingState, MachinetypeName, SpaceName,
    Timestamp,
};
use crate::observe::{Sources, SpaceMemory, observe};
use crate::plan::{Plan, Spending, check, listing_words, plan};
use till::Till;

/// Carries the command out. Spaces that cannot be looked at make it fail, after the others.
pub(crate) async fn run(config: &Path, args: &PlanArgs) -> Result<(), CliError> {
    let setup = load_setup(config).map_err(|p| CliError::Problems(p.to_string()))?;
    let source = StateSource::of(&setup.config)?;
    if let Some(unknown) = args.spaces.iter().find(|space| !setup.spaces.contains_key(*space)) {
        return Err(CliError::Usage(format!("the configuration has no space {unknown}")));
    }
    let mut spaces = Vec::new();
    for (name, space) in &setup.spaces {
        if args.spaces.is_empty() || args.spaces.contains(name) {
            spaces.push(plan_space(&source, &setup, space).await);
        }
    }
    let failed = spaces.iter().any(|space| space.problem.is_some());
    if args.read.json {
        print(&json(&PlanJson { format: 1, now: source.clock.now(), spaces })?)?;
    } else {
        print(&text(&spaces, Screen::of_stdout()))?;
    }
    if failed {
        return Err(CliError::Failed("some spaces could not be looked at".to_owned()));
    }
    Ok(())
}

/// The documented JSON of `vcycle plan --json`.
#[derive(Serialize)]
struct PlanJson {
    format: u32,
    now: Timestamp,
    spaces: Vec<SpacePlan>,
}

/// What would be done in one space.
#[derive(Serialize)]
struct SpacePlan {
    space: SpaceName,
    /// Why nothing is known.
    problem: Option<String>,
    listing: Option<String>,
    alarms: Vec<String>,
    steps: Vec<PlannedStep>,
    machinetypes: Vec<MachinetypeReason>,
    held_back: Vec<HeldBack>,
}

#[derive(Serialize)]
struct PlannedStep {
    step: &'static str,
    machine: Option<String>,
    text: String,
}

#[derive(Serialize)]
struct MachinetypeReason {
    machinetype: MachinetypeName,
    reason: &'static str,
    why: String,
}

#[derive(Serialize)]
struct HeldBack {
    machine: String,
    reason: String,
}

async fn plan_space(source: &StateSource, setup: &Setup, space: &SpaceSetup) -> SpacePlan {
    let name = space.policy.space.clone();
    match look_and_plan(source, setup, space).await {
        Ok((listing, problems, plan)) => of_plan(name, &listing, problems, &plan),
        Err(problem) => SpacePlan {
            space: name,
            problem: Some(problem),
            listing: None,
            alarms: Vec::new(),
            steps: Vec::new(),
            machinetypes: Vec::new(),
            held_back: Vec::new(),
        },
    }
}

async fn look_and_plan(
    source: &StateSource,
    setup: &Setup,
    space: &SpaceSetup,
) -> Result<(ListingState, Vec<String>, Plan), String> {
    let name = &space.policy.space;
    let clock: Arc<dyn Clock> = source.clock.clone();
    let config = setup.config.spaces.get(name).ok_or("the space has no provider")?;
    let provider = providers::observer(config, &clock).map_err(|error| format!("{error:#}"))?;
    let store = &source.store;
    let known = store.deployment().await.map_err(|error| chain(&error))?;
    // Before the first run nothing is ours, whatever the id.
    let deployment = known.map_or_else(|| DeploymentId::compose(0), |known| known.id);
    let loaded = store.load_space(name).await.map_err(|error| chain(&error))?;
    let saved = store.load_snapshot(name).await.map_err(|error| chain(&error))?;
    let generation = saved.as_ref().map_or(Generation(0), |saved| saved.generation);
    let mut memory = SpaceMemory::new(loaded, saved, clock.now());
    let from = Sources {
        provider: provider.as_ref(),
        store,
        clock: clock.as_ref(),
        deployment: &deployment,
        doors: &Doors::NotLookedAt,
        policy: &space.policy,
    };
    let seen = observe(&from, &mut memory).await.map_err(|error| chain(&error))?;
    let seed = seen.now.as_millis().unsigned_abs();
    let remembered = Remembered::of(&mut memory, &space.policy, &seen);
    // Only the daemon watches its clock, and remembers refusals for quota.
    let clock = &ClockTrust::Trusted;
    // Whoever can only observe cannot have anything made ready either.
    let (policy, readiness) = (&space.policy, &BTreeMap::new());
    let deployment = &deployment;
    let offerings = (&seen.offerings[..], seen.now);
    let till = Till::of(store, (setup, space), offerings).await?;
    let leaving = leaving(policy, memory.records().values(), seen.now);
    let wanted = |Till { costs, book, budgets, .. }: &Till| {
        // Only the daemon remembers what it has tried in vain.
        let (leaving, tries) = (&leaving, &BTreeMap::new());
        let (now, offerings) = (seen.now, &seen.offerings[..]);
        let planner = Planner { now, offerings, costs, book, leaving, tries };
        orders((setup, space), &planner, budgets)
    };
    let orders = till.as_ref().map_or_else(Vec::new, wanted);
    let to_end = till.as_ref().map_or_else(ToEnd::new, |till| till.book.to_end(seen.now));
    let spending = till.as_ref().map(|till| {
        let Till { costs, book, stopped, .. } = till;
        Spending { book, costs, to_end: &to_end, orders: &orders, stopped: stopped.as_deref() }
    });
    let frame = PlanFrame { seed, clock, deployment, generation, policy, spending, readiness };
    let input = plan_input(&frame, &seen, &remembered);
    let planned = plan(&input);
    check(&input, &planned).map_err(|violation| violation.to_string())?;
    let alarms = seen.problems.into_iter().chain(till.and_then(|till| till.alarm));
    Ok((seen.listing, alarms.collect(), planned))
}

fn of_plan(
    space: SpaceName,
    listing: &ListingState,
    problems: Vec<String>,
    plan: &Plan,
) -> SpacePlan {
    let step = |step: &crate::plan::Step| PlannedStep {
        step: step.word(),
        machine: step.machine().map(ToString::to_string),
        text: step.to_string(),
    };
    let Plan { steps, report } = plan;
    SpacePlan {
        space,
        problem: None,
        listing: Some(listing_words(listing)),
        alarms: report.alarms.iter().cloned().chain(problems).collect(),
        steps: steps.iter().map(step).collect(),
        machinetypes: report
            .machinetypes
            .iter()
            .map(|(name, reason)| MachinetypeReason {
                machinetype: name.clone(),
                reason: reason.word(),
                why: reason.to_string(),
            })
            .collect(),
        held_back: report
            .held_back
            .iter()
            .map(|(machine, reason)| HeldBack {
                machine: machine.to_string(),
                reason: reason.to_string(),
            })
            .collect(),
    }
}

fn text(spaces: &[SpacePlan], screen: Screen) -> String {
    let mut text = String::new();
    for space in spaces {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&space_text(space, screen));
    }
    text.push_str(&styled(FAINT, "nothing was changed\n"));
    text
}

fn space_text(space: &SpacePlan, screen: Screen) -> String {
    let mut text = styled(BOLD, &space.space);
    if let Some(listing) = &space.listing {
        text.push_str(&styled(FAINT, format!("  listing {listing}")));
    }
    text.push('\n');
    if let Some(problem) = &space.problem {
        text.push_str(&format!("{}\n", styled(BAD, problem)));
        return text;
    }
    for alarm in &space.alarms {
        text.push_str(&format!("{} {alarm}\n", styled(BAD, "alarm:")));
    }
    if space.steps.is_empty() {
        text.push_str("would do nothing\n");
    } else {
        text.push_str("would do:\n");
        for step in &space.steps {
            text.push_str(&format!("  {}\n", step.text));
        }
    }
    for held in &space.held_back {
        text.push_str(&format!("held back: delete {}: {}\n", held.machine, held.reason));
    }
    let mut table = table(screen, &["MACHINETYPE", "WHY"]);
    for row in &space.machinetypes {
        table.add_row([row.machinetype.as_str(), &row.why]);
    }
    text.push_str(&table_text(&table));
    text
}
