//! What the demo says at its end: made from the records that the manager left, not from what was
//! shown on the way.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::super::output::{BAD, BOLD, GOOD, Screen, number, percent, styled, table, table_text};
use super::spool::WrongResult;
use crate::library::SpaceSetup;
use crate::model::{Effect, EndKind, MachineRecord, MachinetypeName, MachinetypePolicy, Timestamp};

/// The documented JSON of `vcycle demo --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    /// Version of this format: 1.
    pub(super) format: u32,
    /// Whether all results are right and nothing was left.
    pub(super) ok: bool,
    /// Why it ended before its work was done.
    pub(super) cut_short: Option<String>,
    /// How long it worked, without the draining.
    pub(super) seconds: f64,
    /// The jobs.
    pub(super) jobs: Jobs,
    /// Machines made, all together.
    pub(super) machines_made: usize,
    /// Aborts that were backed off from, all together.
    pub(super) aborts: usize,
    /// Longest time between an abort and the next machine of its machinetype.
    pub(super) longest_backoff_seconds: Option<f64>,
    /// Each machinetype.
    pub(super) machinetypes: Vec<MachinetypeSummary>,
    /// What was left.
    pub(super) left: Left,
}

/// What came of the jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Jobs {
    pub(super) given: usize,
    pub(super) right: usize,
    /// Without a result because the demo was cut short: neither right nor wrong.
    pub(super) not_done: usize,
    /// Each as `JOB: WHY`.
    pub(super) wrong: Vec<String>,
}

/// One machinetype.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct MachinetypeSummary {
    pub(super) name: MachinetypeName,
    /// Its target among all machinetypes, 0 to 1.
    pub(super) target: f64,
    /// Its target among those that had work (no abort), 0 to 1; 0 for the others.
    pub(super) target_with_work: f64,
    /// Its part of the processor time while the demo worked, 0 to 1.
    pub(super) reached: f64,
    pub(super) machines: usize,
    pub(super) aborts: usize,
    /// How its machines ended, with how many ended so.
    pub(super) ends: BTreeMap<String, usize>,
}

/// What was found after the end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct Left {
    /// Machines in the provider's listing.
    pub(super) machines: Vec<String>,
    /// Processes, each as `PID NAME`.
    pub(super) processes: Vec<String>,
    /// Records of machines that are not proven gone.
    pub(super) records: Vec<String>,
}

impl Left {
    fn is_nothing(&self) -> bool {
        let Self { machines, processes, records } = self;
        machines.is_empty() && processes.is_empty() && records.is_empty()
    }
}

/// What the summary is made from.
pub(super) struct Evidence<'a> {
    pub(super) space: &'a SpaceSetup,
    /// All records, archived ones too.
    pub(super) records: &'a [MachineRecord],
    /// While jobs were done.
    pub(super) worked: (Timestamp, Timestamp),
    pub(super) jobs: u32,
    pub(super) wrong: Vec<WrongResult>,
    pub(super) left: Left,
    pub(super) cut_short: Option<String>,
}

impl Summary {
    /// Makes it.
    pub(super) fn of(evidence: Evidence<'_>) -> Self {
        let Evidence { space, records, worked, jobs, wrong, left, cut_short } = evidence;
        let policies = &space.policy.machinetypes;
        let mut machinetypes: Vec<MachinetypeSummary> =
            policies.values().map(|policy| summarise(policy, records, worked)).collect();
        let all: f64 = policies.values().map(|policy| policy.target_share.weight()).sum();
        let busy: f64 = machinetypes
            .iter()
            .filter(|m| m.aborts == 0)
            .map(|m| policies[&m.name].target_share.weight())
            .sum();
        let time: f64 = machinetypes.iter().map(|m| m.reached).sum();
        for row in &mut machinetypes {
            let weight = policies[&row.name].target_share.weight();
            row.target = part(weight, all);
            row.target_with_work = if row.aborts == 0 { part(weight, busy) } else { 0.0 };
            row.reached = part(row.reached, time);
        }
        let all_wrong = wrong.len();
        let mut wrong = wrong;
        if cut_short.is_some() {
            wrong.retain(|wrong| wrong.done);
        }
        let jobs = Jobs {
            given: jobs as usize,
            right: jobs as usize - all_wrong,
            not_done: all_wrong - wrong.len(),
            wrong: wrong.iter().map(|wrong| format!("{}: {}", wrong.job, wrong.why)).collect(),
        };
        let waits = policies.keys().filter_map(|name| longest_backoff(name, space, records)).max();
        Self {
            format: 1,
            ok: jobs.wrong.is_empty() && left.is_nothing() && cut_short.is_none(),
            cut_short,
            seconds: worked.1.since(worked.0).as_secs_f64(),
            machines_made: records.iter().filter(|record| record.instance.is_some()).count(),
            aborts: machinetypes.iter().map(|m| m.aborts).sum(),
            longest_backoff_seconds: waits.map(|wait| wait.as_secs_f64()),
            jobs,
            machinetypes,
            left,
        }
    }

    /// For people.
    pub(super) fn text(&self, screen: Screen) -> String {
        let mut text = String::new();
        if let Some(why) = &self.cut_short {
            let _ = writeln!(text, "{}", styled(BAD, why));
        }
        let _ = writeln!(
            text,
            "{} of {} jobs have the right result, after {:.0} s with {} machines",
            self.jobs.right, self.jobs.given, self.seconds, self.machines_made
        );
        if self.jobs.not_done > 0 {
            let _ = writeln!(text, "{} jobs not done", self.jobs.not_done);
        }
        for wrong in &self.jobs.wrong {
            let _ = writeln!(text, "  {} {wrong}", styled(BAD, "wrong:"));
        }
        if let Some(longest) = self.longest_backoff_seconds {
            let _ = writeln!(
                text,
                "{} machines found no work and were backed off from; the longest pause was {longest:.1} s",
                self.aborts
            );
        }
        let mut table = table(
            screen,
            &[
                "MACHINETYPE",
                "TARGET",
                "OF THOSE WITH WORK",
                "REACHED",
                "MACHINES",
                "HOW THEY ENDED",
            ],
        );
        for row in &self.machinetypes {
            let ends: Vec<String> =
                row.ends.iter().map(|(how, count)| format!("{count} x {how}")).collect();
            table.add_row([
                comfy_table::Cell::new(&row.name),
                number(percent(row.target)),
                number(percent(row.target_with_work)),
                number(percent(row.reached)),
                number(row.machines),
                comfy_table::Cell::new(ends.join("; ")),
            ]);
        }
        text.push_str(&table_text(&table));
        let Left { machines, processes, records } = &self.left;
        for (what, found) in [("machine", machines), ("process", processes), ("record", records)] {
            for left in found {
                let _ = writeln!(text, "{} {what} {left}", styled(BAD, "left:"));
            }
        }
        if self.left.is_nothing() {
            text.push_str("nothing was left running\n");
        }
        let verdict =
            if self.ok { styled(GOOD, "all is well") } else { styled(BAD, "not all is well") };
        let _ = writeln!(text, "{}", styled(BOLD, verdict));
        text
    }
}

fn part(of: f64, all: f64) -> f64 {
    if all > 0.0 { of / all } else { 0.0 }
}

fn ended(record: &MachineRecord, policy: &MachinetypePolicy) -> Option<(Timestamp, EndKind)> {
    record.how_it_ended(policy.fizzle).map(|ended| (ended.at, ended.kind))
}

/// `reached` is the processor time in seconds here; the caller makes a part of it.
fn summarise(
    policy: &MachinetypePolicy,
    records: &[MachineRecord],
    (from, to): (Timestamp, Timestamp),
) -> MachinetypeSummary {
    let mut row = MachinetypeSummary {
        name: policy.name.clone(),
        target: 0.0,
        target_with_work: 0.0,
        reached: 0.0,
        machines: 0,
        aborts: 0,
        ends: BTreeMap::new(),
    };
    for record in records.iter().filter(|record| *record.machinetype() == policy.name) {
        row.machines += usize::from(record.instance.is_some());
        let end = ended(record, policy);
        if let Some(started) = record.started {
            let until = end.as_ref().map_or(to, |(at, _)| *at).min(to);
            row.reached +=
                until.since(started.max(from)).as_secs_f64() * f64::from(record.processors.0);
        }
        if let Some((_, kind)) = end {
            row.aborts += usize::from(kind.effect(&policy.outcomes) == Effect::Abort);
            *row.ends.entry(kind.to_string()).or_default() += 1;
        }
    }
    row
}

/// The longest time between an abort of a machinetype and its next machine.
fn longest_backoff(
    name: &MachinetypeName,
    space: &SpaceSetup,
    records: &[MachineRecord],
) -> Option<Duration> {
    let policy = space.policy.machinetypes.get(name)?;
    let ours = || records.iter().filter(|record| record.machinetype() == name);
    let aborts = ours().filter_map(|record| {
        let (at, kind) = ended(record, policy)?;
        (kind.effect(&policy.outcomes) == Effect::Abort).then_some(at)
    });
    aborts
        .filter_map(|abort| {
            let next = ours().map(|record| record.intended).filter(|at| *at > abort).min()?;
            Some(next.since(abort))
        })
        .max()
}
