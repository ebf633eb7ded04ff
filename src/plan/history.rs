//! What is remembered of ends: those of the past, joined with those of machines that still have
//! a record. Order of the lists does not matter, and an end that is in both counts once.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{
    Effect, EndFact, EndKind, Ended, ErrorKind, Gone, MachinetypeName, MachinetypePolicy,
    OfferingId, Timestamp,
};

use super::judge::Judged;
use super::{Fact, PlanInput};

/// All known ends, by machinetype and offering, each list ordered by time.
#[derive(Debug, Default)]
pub(super) struct History<'a> {
    by_type: BTreeMap<&'a MachinetypeName, BTreeMap<&'a OfferingId, Vec<&'a Ended>>>,
}

/// The end of a machine that still has a record, with what was learned of it in this cycle.
pub(super) fn end_of(judged: &Judged<'_>) -> Option<Ended> {
    let record = judged.record();
    let fizzle = judged.policy.map_or(Duration::ZERO, |policy| policy.fizzle);
    if judged.facts.is_empty() {
        return record.how_it_ended(fizzle);
    }
    let mut record = record.clone();
    for fact in judged.facts.iter().cloned() {
        match fact {
            Fact::Created { instance, at } => {
                record.instance = Some(instance);
                record.created = Some(at);
            }
            Fact::Started { at } => record.started = Some(at),
            Fact::RefusedLate(refused) => record.refused_late = Some(refused),
            Fact::Ended { at, state, message } => {
                record.ended = Some(EndFact { at, state, message });
            }
            Fact::Gone { at, evidence } => record.gone = Some(Gone { at, evidence }),
        }
    }
    record.how_it_ended(fizzle)
}

impl<'a> History<'a> {
    /// Joins the past with current ends.
    pub(super) fn join(input: &PlanInput<'a>, current: &'a [Ended]) -> Self {
        let mut by_type = group(input.past);
        for (machinetype, offerings) in group(current) {
            let known = by_type.entry(machinetype).or_default();
            for (offering, ends) in offerings {
                let past = known.remove(offering).unwrap_or_default();
                known.insert(offering, union(&past, &ends));
            }
        }
        Self { by_type }
    }

    /// The last abort of a machinetype, by its own rules.
    pub(super) fn last_abort(&self, policy: &MachinetypePolicy) -> Option<&'a Ended> {
        self.of(&policy.name)
            .filter(|end| end.kind.effect(&policy.outcomes) == Effect::Abort)
            .max_by(|a, b| in_time(a, b))
    }

    /// The last end of a machinetype.
    pub(super) fn last_end(&self, machinetype: &MachinetypeName) -> Option<&'a Ended> {
        self.of(machinetype).max_by(|a, b| in_time(a, b))
    }

    fn of(&self, machinetype: &MachinetypeName) -> impl Iterator<Item = &'a Ended> {
        self.by_type
            .get(machinetype)
            .into_iter()
            .flat_map(|offerings| offerings.values().flatten().copied())
    }

    /// The ends of a machinetype, by offering, each list in the order of time.
    pub(super) fn offerings_of(
        &self,
        machinetype: &MachinetypeName,
    ) -> impl Iterator<Item = (&'a OfferingId, &[&'a Ended])> {
        let offerings = self.by_type.get(machinetype).into_iter().flatten();
        offerings.map(|(offering, ends)| (*offering, ends.as_slice()))
    }

    /// Offerings of which machines were taken back after that time, of any machinetype.
    pub(super) fn taken_back_after(&self, since: Timestamp) -> BTreeSet<&'a OfferingId> {
        let ends = self.by_type.values().flatten().flat_map(|(_, ends)| ends);
        let taken_back = ends.filter(|end| end.at > since && end.kind == EndKind::Preempted);
        taken_back.map(|end| &end.offering).collect()
    }

    /// When creates were refused because the cloud had none of an offering, at once or after they had been accepted,
    /// of any machinetype, in the order of time.
    pub(super) fn stock_outs(&self) -> BTreeMap<&'a OfferingId, Vec<Timestamp>> {
        let mut refusals: BTreeMap<&OfferingId, Vec<Timestamp>> = BTreeMap::new();
        for (offering, ends) in self.by_type.values().flatten() {
            let times: Vec<_> =
                ends.iter().filter(|end| is_stock_out(end)).map(|end| end.at).collect();
            if !times.is_empty() {
                refusals.entry(offering).or_default().extend(times);
            }
        }
        for times in refusals.values_mut() {
            times.sort_unstable();
        }
        refusals
    }
}

fn is_stock_out(end: &Ended) -> bool {
    let offering = end.offering.clone();
    rejected_as(&end.kind, || ErrorKind::InsufficientCapacity { offering })
}

/// Whether a create was refused for this cause.
pub(super) fn rejected_as(kind: &EndKind, cause: impl FnOnce() -> ErrorKind) -> bool {
    match kind {
        EndKind::Rejected { kind } => kind == cause().word(),
        EndKind::Message { message: _ }
        | EndKind::Fizzled
        | EndKind::Silent
        | EndKind::NeverStarted
        | EndKind::CloudFault
        | EndKind::Preempted
        | EndKind::Killed { reason: _ }
        | EndKind::NeverMade => false,
    }
}

type Groups<'a> = BTreeMap<&'a MachinetypeName, BTreeMap<&'a OfferingId, Vec<&'a Ended>>>;

fn group(ends: &[Ended]) -> Groups<'_> {
    let mut groups = Groups::new();
    for end in ends {
        let offerings = groups.entry(&end.machinetype).or_default();
        offerings.entry(&end.offering).or_default().push(end);
    }
    for offerings in groups.values_mut() {
        for ends in offerings.values_mut() {
            ends.sort_by(|a, b| in_order(a, b));
        }
    }
    groups
}

/// Joins two ordered lists; what is in both is taken once.
fn union<'a>(past: &[&'a Ended], current: &[&'a Ended]) -> Vec<&'a Ended> {
    let mut joined = Vec::with_capacity(past.len() + current.len());
    let (mut past, mut current) = (past.iter().peekable(), current.iter().peekable());
    loop {
        let order = match (past.peek(), current.peek()) {
            (Some(a), Some(b)) => in_time(a, b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return joined,
        };
        let from_past = if order.is_le() { past.next() } else { None };
        let from_current = if order.is_ge() { current.next() } else { None };
        joined.extend(from_past.or(from_current));
    }
}

/// A total order. Ends that differ only in their start are one end for `union`: the start may have
/// been learned just now.
pub(super) fn in_order(a: &Ended, b: &Ended) -> Ordering {
    in_time(a, b).then_with(|| a.started.cmp(&b.started))
}

/// By time; at the same time good ends first, so that a failure at that instant still counts;
/// then by their text, so that the order is total.
fn in_time(a: &Ended, b: &Ended) -> Ordering {
    let severity = |end: &Ended| super::breaker::Verdict::by_default(&end.kind);
    a.at.cmp(&b.at)
        .then_with(|| severity(a).cmp(&severity(b)))
        .then_with(|| a.kind.to_string().cmp(&b.kind.to_string()))
}
