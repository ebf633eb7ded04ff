//! `vcycle check --online`: asks the cloud of each space what works with its tenancy, what does not, and why. Given
//! providers that can only observe, and no state directory: it changes nothing, and needs no manager.

use std::sync::Arc;
use std::time::Duration;

use comfy_table::Cell;
use futures::future::join_all;
use serde::Serialize;
use vcycle_api::{Clock, Finding, Observe, SystemClock, Verdict};

use super::output::{BAD, BOLD, FAINT, Screen, styled, table, table_text, verdict_cell};
use super::providers;
use crate::cycle::costs;
use crate::library::{Setup, SpaceSetup};
use crate::model::{MachinetypePolicy, Offering, SpaceName};
use crate::plan::{Costs, first_choice};

/// The longest that one space is asked.
const LONGEST: Duration = Duration::from_secs(180);

/// One space, as its cloud tells; the documented JSON too.
#[derive(Serialize)]
pub(super) struct SpaceFindings {
    space: SpaceName,
    provider: &'static str,
    /// Whether nothing fails.
    works: bool,
    findings: Vec<Finding>,
}

impl SpaceFindings {
    /// Whether nothing fails.
    pub(super) fn works(&self) -> bool {
        self.works
    }
}

/// Asks all clouds at the same time. `only`: these spaces; empty: all.
pub(super) async fn inspect(setup: &Setup, only: &[SpaceName]) -> Vec<SpaceFindings> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let wanted = setup.spaces.iter().filter(|(name, _)| only.is_empty() || only.contains(name));
    let spaces = wanted.map(|(name, space)| inspect_space(setup, (name, space), &clock));
    join_all(spaces).await
}

async fn inspect_space(
    setup: &Setup,
    (name, space): (&SpaceName, &SpaceSetup),
    clock: &Arc<dyn Clock>,
) -> SpaceFindings {
    let opened = match setup.config.spaces.get(name) {
        Some(config) => providers::observer(config, clock),
        None => Err(anyhow::anyhow!("the space has no provider")),
    };
    let (provider, findings) = match opened {
        Ok(provider) => {
            let costs = |offerings: &[Offering]| costs(setup, space, (offerings, clock.now()));
            let asked = ask(provider.as_ref(), space, &costs);
            let asked = tokio::time::timeout(LONGEST, asked).await;
            let late = || {
                let why = format!("it did not tell all within {} s", LONGEST.as_secs());
                vec![Finding::fails("the cloud", why)]
            };
            (provider.capabilities().provider, asked.unwrap_or_else(|_| late()))
        }
        Err(problem) => ("none", vec![Finding::fails("provider", format!("{problem:#}"))]),
    };
    let works = findings.iter().all(|finding| finding.verdict != Verdict::Fails);
    SpaceFindings { space: name.clone(), provider, works, findings }
}

/// What the provider finds, and what the planner would make of its offerings.
async fn ask(
    provider: &dyn Observe,
    space: &SpaceSetup,
    costs: &dyn Fn(&[Offering]) -> Option<Costs>,
) -> Vec<Finding> {
    let mut findings = provider.inspect(&space.needs()).await;
    let machinetypes = space.policy.machinetypes.values();
    match provider.offerings().await {
        Ok(offerings) => {
            let costs = costs(&offerings);
            let choice = (&offerings[..], costs.as_ref());
            findings.extend(machinetypes.map(|policy| machine_of(space, policy, choice)));
        }
        Err(error) => findings.extend(machinetypes.map(|policy| {
            Finding::unknown(format!("machine of {}", policy.name), error.to_string())
        })),
    }
    findings
}

/// The machine that would be made of a machinetype, limits and stock aside.
fn machine_of(
    space: &SpaceSetup,
    policy: &MachinetypePolicy,
    choice: (&[Offering], Option<&Costs>),
) -> Finding {
    let subject = format!("machine of {}", policy.name);
    match first_choice(&space.policy, policy, choice) {
        Ok(Offering { id, processors, memory, .. }) => {
            let noun = if processors.0 == 1 { "processor" } else { "processors" };
            Finding::works(subject, format!("{id}: {processors} {noun}, {memory} MB"))
        }
        Err(reason) => Finding::fails(subject, reason.to_string()),
    }
}

/// The findings of all spaces for people, a screen each.
pub(super) fn text(spaces: &[SpaceFindings], screen: Screen) -> String {
    let texts: Vec<String> = spaces.iter().map(|space| space_text(space, screen)).collect();
    texts.join("\n")
}

fn space_text(space: &SpaceFindings, screen: Screen) -> String {
    let SpaceFindings { space: name, provider, works: _, findings } = space;
    let mut text = format!("{} {}\n", styled(BOLD, name), styled(FAINT, provider));
    let mut table = table(screen, &["", "WHAT", "WHY"]);
    for Finding { subject, verdict, detail } in findings {
        table.add_row([verdict_cell(*verdict), Cell::new(subject), Cell::new(detail)]);
    }
    text.push_str(&table_text(&table));
    let failing = findings.iter().filter(|finding| finding.verdict == Verdict::Fails).count();
    text.push_str(&match failing {
        0 => "nothing fails\n".to_owned(),
        1 => styled(BAD, "1 thing fails\n"),
        many => styled(BAD, format!("{many} things fail\n")),
    });
    text
}
