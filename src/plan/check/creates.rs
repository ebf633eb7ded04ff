//! Machines are made only when everything allows them: the listing, people, the space's end, the pace,
//! what was learned of failures, and every limit.

use std::collections::BTreeMap;

use crate::model::{
    Effect, Ended, MachineName, MachinetypeName, MachinetypePolicy, OfferingId, Readiness,
    RequestWhat, Timestamp,
};
use crate::plan::breaker::Breakers;
use crate::plan::history::{History, end_of};
use crate::plan::judge::{Judged, Sighted, is_trusted, judge};
use crate::plan::limits::Budget;
use crate::plan::{NewMachine, Plan, PlanInput};

use super::{Machines, Set, Verdict, ensure, money, news, places, silence};

/// All laws of creates.
pub(super) fn all(input: &PlanInput<'_>, plan: &Plan, machines: &Machines<'_>) -> Verdict {
    let news: Vec<&NewMachine> = news(plan).collect();
    if news.is_empty() {
        return Ok(());
    }
    ensure(
        is_trusted(input.listing),
        "nothing is made on a listing that cannot be believed",
        || format!("{:?}", input.listing),
    )?;
    silence::is_not_suspicious(input)?;
    let offered: BTreeMap<_, _> = input.offerings.iter().map(|o| (&o.id, o)).collect();
    let mut names: Set<&MachineName> = Set::default();
    let budget = Budget::of(input);
    let mut made = input.made;
    for new in &news {
        let name = &new.tags.machine;
        one(input, new)?;
        let is_offered = offered.get(&new.offering.id) == Some(&&new.offering);
        ensure(is_offered, "only what is offered is made", || name.to_string())?;
        let is_new = names.insert(name) && !machines.contains_key(name);
        ensure(is_new, "a new machine has a new name", || name.to_string())?;
        let too_fast = budget.is_exceeded_by(made, new.offering.processors);
        ensure(!too_fast, "no faster than the pace", || format!("{made:?} and one more"))?;
        made = made.and(new.offering.processors);
    }
    let judge = |view| judge(input, Sighted::of(input, view));
    let judged: Vec<Judged<'_>> = input.machines.iter().map(judge).collect();
    places::limits(input, &news, &judged)?;
    money::all_is_paid(input, &news)?;
    after_failures(input, &news, &judged)
}

fn one(input: &PlanInput<'_>, new: &NewMachine) -> Verdict {
    let tags = &new.tags;
    let policy = input.policy.machinetypes.get(&tags.machinetype);
    let detail = || new.tags.machine.to_string();
    let is_wanted = policy.is_some_and(|policy| policy.target_share.weight() > 0.0);
    ensure(is_wanted, "only machinetypes with a share are made", detail)?;
    let is_drained = input.requests.iter().any(|request| match &request.what {
        RequestWhat::DrainSpace { by: _ } => true,
        RequestWhat::DrainMachinetype { machinetype, by: _ } => *machinetype == tags.machinetype,
        RequestWhat::DrainMachine { .. }
        | RequestWhat::DeleteMachine { .. }
        | RequestWhat::HandOver { .. } => false,
    });
    ensure(!is_drained, "what is drained is not made", detail)?;
    let in_time =
        tags.deadline > input.now && input.ends_at().is_none_or(|end| tags.deadline <= end);
    ensure(in_time, "a machine ends before its space does", detail)?;
    let is_allowed = policy.is_some_and(|policy| is_listed(policy, &new.offering.id));
    ensure(is_allowed, "only what the lists of its machinetype allow is made", detail)?;
    let needs = policy.map(|policy| input.now + policy.min_wallclock);
    let has_time = input.ends_at().is_none_or(|end| needs.is_none_or(|at| at <= end));
    ensure(has_time, "a machine has min_wallclock before its space ends", detail)?;
    let has_begun = input.terms.opens.is_none_or(|opens| input.now >= opens);
    ensure(has_begun, "nothing is made before the lease begins", detail)?;
    let is_ready = match input.readiness.get(&tags.machinetype) {
        Some(Readiness::Ready) | None => true,
        Some(Readiness::NotYet { why: _ } | Readiness::Cannot { why: _ }) => false,
    };
    ensure(is_ready, "only what has all that it needs is made", detail)?;
    let identity = tags.deployment == *input.deployment
        && tags.space == input.policy.space
        && tags.generation == input.generation;
    ensure(identity, "a new machine carries our identity", detail)
}

/// Whatever their order means, nothing is made that is in a list of others only.
fn is_listed(policy: &MachinetypePolicy, id: &OfferingId) -> bool {
    let MachinetypePolicy { flavors, markets, zones, .. } = policy;
    (flavors.is_empty() || flavors.contains(&id.flavour))
        && (markets.is_empty() || markets.contains(&id.market))
        && (zones.is_empty() || zones.contains(&id.zone))
}

/// Backoff, the gate after it, and the breakers.
fn after_failures(input: &PlanInput<'_>, news: &[&NewMachine], judged: &[Judged<'_>]) -> Verdict {
    let ends: Vec<Ended> = judged.iter().filter_map(end_of).collect();
    let mut made: BTreeMap<&MachinetypeName, u32> = BTreeMap::new();
    let mut made_of: BTreeMap<(&MachinetypeName, &OfferingId), u32> = BTreeMap::new();
    for new in news {
        *made.entry(&new.tags.machinetype).or_default() += 1;
        *made_of.entry((&new.tags.machinetype, &new.offering.id)).or_default() += 1;
    }
    let aborts = last_aborts(input, &ends, &made);
    for (machinetype, abort) in aborts {
        let policy = &input.policy.machinetypes[machinetype];
        backoff(input, policy, abort, made[machinetype], judged)?;
    }
    let history = History::join(input, &ends);
    let breakers = Breakers::of(input, &history, judged);
    for ((machinetype, offering), count) in made_of {
        let Some(opening) = breakers.on(machinetype, offering) else { continue };
        let detail = || format!("{count} of {machinetype} on {offering}");
        ensure(input.now >= opening.until, "an open breaker stops what it guards", detail)?;
        let is_probe = |machine: &Judged<'_>| {
            let record = machine.record();
            machine.phase.counts_for_share()
                && record.machinetype() == machinetype
                && record.offering == *offering
                && record.intended >= opening.since
        };
        let is_one = count == 1 && !judged.iter().any(is_probe);
        ensure(is_one, "a half-open breaker lets one probe through", detail)?;
    }
    Ok(())
}

/// The last abort of each machinetype that is made and has one.
fn last_aborts<'m>(
    input: &PlanInput<'_>,
    current: &[Ended],
    made: &BTreeMap<&'m MachinetypeName, u32>,
) -> BTreeMap<&'m MachinetypeName, Timestamp> {
    let mut aborts = BTreeMap::new();
    for end in input.past.iter().chain(current) {
        let Some((machinetype, _)) = made.get_key_value(&end.machinetype) else { continue };
        let Some(policy) = input.policy.machinetypes.get(*machinetype) else { continue };
        if end.kind.effect(&policy.outcomes) == Effect::Abort {
            let last = aborts.entry(*machinetype).or_insert(end.at);
            *last = end.at.max(*last);
        }
    }
    aborts
}

fn backoff(
    input: &PlanInput<'_>,
    policy: &MachinetypePolicy,
    abort: Timestamp,
    made: u32,
    judged: &[Judged<'_>],
) -> Verdict {
    let MachinetypePolicy { name, backoff, fizzle, .. } = policy;
    let over = abort + *backoff;
    ensure(input.now >= over, "nothing is made during the backoff", || {
        format!("{name}: the last abort was at {abort}")
    })?;
    if input.now >= over + *fizzle {
        return Ok(());
    }
    let waits = |machine: &Judged<'_>| {
        machine.record().machinetype() == name && machine.proves_nothing_yet(*fizzle, input.now)
    };
    let is_one = made == 1 && !judged.iter().any(waits);
    ensure(is_one, "after a backoff one machine at a time is made", || {
        format!("{name}: {made}, the last abort was at {abort}")
    })
}
