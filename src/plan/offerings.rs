//! What a machinetype can be made of now: what fits, in the order of preference, without what is
//! out of stock or behind an open breaker. A pure memory: it is folded from past ends.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{
    Availability, MachinetypePolicy, Market, Megabytes, Offering, OfferingId, Processors, Ranking,
    SpacePolicy, Timestamp,
};

use super::breaker::{Allows, Breakers, Witness};
use super::history::History;
use super::judge::Judged;
use super::ranking::{Appraisal, Appraiser, spread_by_budget};
use super::rng::fnv;
use super::spending::Costs;
use super::{PlanInput, Reason};

/// First pause after a stock-out: stock usually returns within minutes.
const PARK_FIRST: Duration = Duration::from_secs(3 * 60);
/// Longest pause: never is an offering given up for good.
const PARK_LONGEST: Duration = Duration::from_secs(60 * 60);
/// After this long without a stock-out the earlier ones are forgotten.
const PARK_MEMORY: Duration = Duration::from_secs(2 * 60 * 60);

/// An offering of which a machine was taken back comes after those of which none was, for so long: clouds take
/// machines back in waves, and what is made in one goes with the next.
const TAKEN_BACK_MEMORY: Duration = Duration::from_secs(10 * 60);

/// What is remembered of offerings that the cloud had too little of.
#[derive(Debug, Default)]
pub(super) struct Scarcity<'a> {
    /// Until when each is left alone.
    parked: BTreeMap<&'a OfferingId, Timestamp>,
    /// Those of which machines were taken back lately.
    taken_back: BTreeSet<&'a OfferingId>,
}

impl<'a> Scarcity<'a> {
    /// From past ends.
    pub(super) fn of(history: &History<'a>, now: Timestamp) -> Self {
        let taken_back = history.taken_back_after(now - TAKEN_BACK_MEMORY);
        Self { parked: parked(history), taken_back }
    }
}

/// Until when each offering is left alone after stock-outs. Refusals while it was already parked
/// belong to the same stock-out; each further one doubles the pause.
fn parked<'a>(history: &History<'a>) -> BTreeMap<&'a OfferingId, Timestamp> {
    history
        .stock_outs()
        .into_iter()
        .map(|(offering, times)| (offering, park_until(&times)))
        .collect()
}

fn park_until(refusals: &[Timestamp]) -> Timestamp {
    let (mut until, mut pause) = (Timestamp::from_millis(i64::MIN), PARK_FIRST);
    let mut last: Option<Timestamp> = None;
    for at in refusals {
        if *at < until {
            continue;
        }
        pause = match last {
            Some(last) if at.since(last) <= PARK_MEMORY => {
                pause.saturating_mul(2).min(PARK_LONGEST)
            }
            Some(_) | None => PARK_FIRST,
        };
        last = Some(*at);
        until = *at + pause;
    }
    until
}

/// Whether an offering can be used now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Usable {
    /// As often as limits allow.
    Yes,
    /// For one machine: the probe of a half-open breaker.
    OneProbe,
    /// Not now, with the reason and the time at which it may change.
    No(Reason),
}

impl Usable {
    fn is_now(&self) -> bool {
        match self {
            Self::Yes | Self::OneProbe => true,
            Self::No(_) => false,
        }
    }
}

/// An offering that fits a machinetype.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    pub(super) offering: &'a Offering,
    pub(super) usable: Usable,
    rank: Rank<'a>,
    /// Where the price decides: what it is worth now. `rank` is then the order of those that are equally good.
    appraisal: Option<Appraisal>,
}

impl Candidate<'_> {
    /// Whether it is used sooner than another that stands behind it in the list.
    fn before(&self, other: &Self) -> Ordering {
        cheaper((&self.rank, self.appraisal.as_ref()), (&other.rank, other.appraisal.as_ref()))
    }
}

/// A place in an order by price. Equal where the lists decide: then the places in the list count alone.
type Priced<'r, 'a> = (&'r Rank<'a>, Option<&'r Appraisal>);

fn cheaper((a, one): Priced<'_, '_>, (b, other): Priced<'_, '_>) -> Ordering {
    let (Some(one), Some(other)) = (one, other) else { return Ordering::Equal };
    a.first_taken_back.cmp(&b.first_taken_back).then_with(|| one.merit().total_cmp(&other.merit()))
}

/// How good an offering is for a machinetype: the least is the best. Those that differ only in a zone that
/// nobody prefers are equally good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    market: usize,
    /// Taken back lately, where somebody named the flavors or the price decides: each will do.
    first_taken_back: bool,
    flavor: usize,
    processors: Processors,
    memory: Megabytes,
    /// Taken back lately: where the smallest comes first, it still does.
    taken_back: bool,
    kind: Market,
    flavour: &'a str,
    zone: usize,
}

impl<'a> Rank<'a> {
    /// By the lists of the machinetype; what is in no list is smallest first. `None`: a list leaves it out.
    fn of(
        policy: &MachinetypePolicy,
        offering: &'a Offering,
        scarcity: &Scarcity<'_>,
    ) -> Option<Self> {
        let Offering { id, processors, memory, attached: _, price: _, availability: _ } = offering;
        let taken_back = scarcity.taken_back.contains(id);
        let is_listed = match policy.ranking {
            Ranking::Listed => true,
            Ranking::Price { spreading: _ } => false,
        };
        // Without an order of preference all that is allowed is equally good.
        let ranked = |place: usize| if is_listed { place } else { 0 };
        Some(Self {
            market: ranked(place(&policy.markets, &id.market)?),
            first_taken_back: taken_back && !(is_listed && policy.flavors.is_empty()),
            flavor: ranked(place(&policy.flavors, &id.flavour)?),
            processors: *processors,
            memory: *memory,
            taken_back,
            kind: id.market,
            flavour: &id.flavour,
            zone: ranked(place(&policy.zones, &id.zone)?),
        })
    }
}

/// Place in a list; without a list all are equal.
fn place<T: PartialEq>(list: &[T], wanted: &T) -> Option<usize> {
    if list.is_empty() { Some(0) } else { list.iter().position(|one| one == wanted) }
}

/// What choosing needs to know of the space, beside the machinetype.
#[derive(Debug)]
pub(super) struct Choosing<'h, 'a> {
    pub(super) breakers: &'h Breakers<'a>,
    pub(super) scarcity: &'h Scarcity<'a>,
    /// Machines of this machinetype that work or are about to.
    pub(super) machines: &'h [&'a Judged<'a>],
    /// Breaks ties between offerings that are equally good (zones), once a cycle.
    pub(super) tie: u64,
}

/// Everything that fits a machinetype, best first, with whether it can be used now.
pub(super) fn candidates<'a>(
    input: &PlanInput<'a>,
    policy: &'a MachinetypePolicy,
    choosing: &Choosing<'_, 'a>,
) -> Vec<Candidate<'a>> {
    let costs = input.spending.map(|spending| spending.costs);
    let machines = choosing.machines.iter().map(|machine| &machine.view.record.offering);
    let appraiser =
        Appraiser::of(input.policy, policy, (costs, spread_by_budget(input, policy)), machines);
    let mut fitting: Vec<(Rank<'_>, &Offering)> = input
        .offerings
        .iter()
        .filter(|offering| fits(input.policy, policy, offering))
        .filter_map(|offering| Some((Rank::of(policy, offering, choosing.scarcity)?, offering)))
        .collect();
    fitting.sort_by_cached_key(|(rank, offering)| {
        let zone = &offering.id.zone;
        (*rank, fnv(&[zone, &choosing.tie.to_string()]), zone)
    });
    fitting.dedup_by(|later, first| later.1.id == first.1.id);
    fitting
        .into_iter()
        .map(|(rank, offering)| Candidate {
            offering,
            usable: usable(input, policy, offering, choosing),
            rank,
            appraisal: appraiser.as_ref().map(|appraiser| appraiser.appraise(offering)),
        })
        .collect()
}

/// A machine is made of this offering: it is fuller now, and the next one goes to another zone, if there is one that is as
/// good.
pub(super) fn spread(candidates: &mut [Candidate<'_>], used: &OfferingId) {
    let Some(from) = candidates.iter().position(|c| c.offering.id == *used) else { return };
    if let Some(appraisal) = &mut candidates[from].appraisal {
        appraisal.fill();
    }
    let rank = candidates[from].rank;
    let alike = candidates[from..].iter().take_while(|c| c.rank == rank).count();
    candidates[from..from + alike].rotate_left(1);
}

/// What a machinetype would be made of first, were everything in stock and nothing made yet; or why nothing of all this
/// will do. `costs`: what is known of prices.
pub fn first_choice<'o>(
    space: &SpacePolicy,
    policy: &MachinetypePolicy,
    (offerings, costs): (&'o [Offering], Option<&Costs>),
) -> Result<&'o Offering, Reason> {
    let appraiser = Appraiser::of(space, policy, (costs, None), std::iter::empty());
    let nothing = Scarcity::default();
    let ranked = offerings.iter().filter(|o| fits(space, policy, o)).filter_map(|offering| {
        let appraisal = appraiser.as_ref().map(|appraiser| appraiser.appraise(offering));
        Some((Rank::of(policy, offering, &nothing)?, appraisal, offering))
    });
    let first = ranked.min_by(|(a, one, first), (b, other, second)| {
        let by_rank = || (a, &first.id).cmp(&(b, &second.id));
        cheaper((a, one.as_ref()), (b, other.as_ref())).then_with(by_rank)
    });
    first.map(|(.., offering)| offering).ok_or_else(|| Reason::NothingFits { needs: needs(policy) })
}

/// Whether a machine of this offering suits the machinetype, and can exist within the limits at
/// all.
pub fn fits(space: &SpacePolicy, policy: &MachinetypePolicy, offering: &Offering) -> bool {
    let processors = offering.processors;
    let most = [policy.processors_limit, policy.max_starting_processors, space.processors_limit];
    suits(policy, offering) && most.into_iter().flatten().all(|most| processors <= most)
}

/// Whether a machine of this offering suits the machinetype, whatever the limits are now.
pub(super) fn suits(policy: &MachinetypePolicy, offering: &Offering) -> bool {
    let processors = offering.processors;
    let needed = policy.mb_per_processor.0.saturating_mul(u64::from(processors.0));
    processors.0 > 0
        && processors >= policy.min_processors
        && policy.max_processors.is_none_or(|most| processors <= most)
        && offering.memory.0 >= needed
        && Rank::of(policy, offering, &Scarcity::default()).is_some()
}

fn usable(
    input: &PlanInput<'_>,
    policy: &MachinetypePolicy,
    offering: &Offering,
    choosing: &Choosing<'_, '_>,
) -> Usable {
    let told = match offering.availability {
        Availability::Available => None,
        Availability::NotUntil(until) => Some(until),
    };
    let remembered = choosing.scarcity.parked.get(&offering.id).copied();
    let until = told.into_iter().chain(remembered).max().filter(|until| input.now < *until);
    if let Some(until) = until {
        return Usable::No(Reason::OfferingsParked { until });
    }
    let Some(opening) = choosing.breakers.on(&policy.name, &offering.id) else {
        return Usable::Yes;
    };
    let witnesses = choosing
        .machines
        .iter()
        .map(|machine| machine.record())
        .filter(|record| record.offering == offering.id)
        .map(|record| Witness { machine: record.machine(), intended: record.intended });
    match opening.allows(input.now, witnesses) {
        Allows::OneProbe => Usable::OneProbe,
        Allows::WaitFor(machine) => Usable::No(Reason::BreakerProbing { machine: machine.clone() }),
        Allows::Nothing => Usable::No(Reason::BreakerOpen {
            until: opening.until,
            after: opening.after.to_string(),
        }),
    }
}

/// The best candidate that can be used now, or why there is none: of several reasons the one
/// that ends first.
pub(super) fn best<'c, 'a>(
    policy: &MachinetypePolicy,
    candidates: &'c [Candidate<'a>],
) -> Result<&'c Candidate<'a>, Reason> {
    let mut usable = candidates.iter().filter(|candidate| candidate.usable.is_now());
    let best = match policy.ranking {
        Ranking::Listed => usable.next(),
        // Of those that are equally good the first in the list.
        Ranking::Price { spreading: _ } => usable.min_by(|one, other| one.before(other)),
    };
    if let Some(best) = best {
        return Ok(best);
    }
    let mut why_not: Option<(&Reason, Option<Timestamp>)> = None;
    for candidate in candidates {
        if let Usable::No(reason) = &candidate.usable {
            let until = ends_at(reason);
            if why_not.is_none_or(|(_, first)| until < first) {
                why_not = Some((reason, until));
            }
        }
    }
    Err(why_not
        .map_or_else(|| Reason::NothingFits { needs: needs(policy) }, |(reason, _)| reason.clone()))
}

/// Where the price decides: why a machine is made of this offering and of no other.
pub(super) fn why_this(candidates: &[Candidate<'_>], chosen: &OfferingId) -> Option<String> {
    let appraisal = candidates.iter().find(|c| c.offering.id == *chosen)?.appraisal?;
    let usable = candidates.iter().filter(|candidate| candidate.usable.is_now()).count();
    Some(appraisal.words(chosen, usable))
}

/// When a reason ends by itself, if that is known. A running probe (`None`) may end at any time.
pub(super) fn ends_at(reason: &Reason) -> Option<Timestamp> {
    match reason {
        Reason::OfferingsParked { until }
        | Reason::BreakerOpen { until, after: _ }
        | Reason::Backoff { until, last_abort: _, after: _ } => Some(*until),
        Reason::Created { .. }
        | Reason::ZeroShare
        | Reason::Draining { .. }
        | Reason::ClockNotTrusted { .. }
        | Reason::ListingNotTrusted { .. }
        | Reason::BlastRadius { .. }
        | Reason::NoOfferings { .. }
        | Reason::NothingFits { .. }
        | Reason::SpaceLimit { .. }
        | Reason::SpaceMachinesLimit { .. }
        | Reason::CloudQuota { .. }
        | Reason::QuotaRefused { .. }
        | Reason::MachinetypeLimit { .. }
        | Reason::StartingLimit { .. }
        | Reason::FizzleGate { .. }
        | Reason::BreakerProbing { .. }
        | Reason::ShutdownTooNear { .. }
        | Reason::SpaceShutDown { .. }
        | Reason::LeaseNotBegun { .. }
        | Reason::LeaseTooNear { .. }
        | Reason::LeaseEnded { .. }
        | Reason::Preparing { .. }
        | Reason::CannotPrepare { .. }
        | Reason::PriceUnknown { .. }
        | Reason::SpendingCap { .. }
        | Reason::SpendingPlan { .. }
        | Reason::SpendingStopped { .. }
        | Reason::PaceLimit { .. }
        | Reason::OthersFirst { .. } => None,
    }
}

fn needs(policy: &MachinetypePolicy) -> String {
    let MachinetypePolicy { min_processors, max_processors, mb_per_processor, .. } = policy;
    let processors = match max_processors {
        Some(most) => format!("{min_processors} to {most} processors"),
        None => format!("at least {min_processors} processors"),
    };
    let markets: Vec<String> = policy.markets.iter().map(ToString::to_string).collect();
    let lists = [("flavours", &policy.flavors), ("markets", &markets), ("zones", &policy.zones)];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let lists: String =
        lists.map(|(what, list)| format!(", one of the {what} {}", list.join(", "))).collect();
    format!("{processors} with {mb_per_processor} MB each{lists}, within the limits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(refusals: &[i64]) -> i64 {
        let times: Vec<_> = refusals.iter().map(|at| Timestamp::from_secs(*at)).collect();
        park_until(&times).as_secs()
    }

    #[test]
    fn a_stock_out_is_remembered_longer_each_time_and_forgotten_in_the_end() {
        assert_eq!(until(&[0]), 180);
        assert_eq!(until(&[0, 1, 2]), 180, "refusals of one wave are one stock-out");
        assert_eq!(until(&[0, 200]), 200 + 360);
        assert_eq!(until(&[0, 200, 600]), 600 + 720);
        let often: Vec<_> = (0..20).map(|n| n * 3600).collect();
        assert_eq!(until(&often), 19 * 3600 + 3600, "never longer than an hour");
        assert_eq!(until(&[0, 200, 600, 10_000]), 10_000 + 180, "forgotten after two hours");
    }
}
