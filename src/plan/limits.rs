//! Limits on what may exist and on how fast it may grow. Every limit is checked before each
//! machine, with everything counted that this plan already makes.

use crate::model::{MachinetypePolicy, Offering, Pace, Processors};

use super::usage::{Count, Usage};
use super::words::{counted, processors};
use super::{Made, PlanInput, Reason};

/// Why one more machine is too many.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Full {
    /// A limit of the machinetype alone: others may go on.
    Own(Reason),
    /// A limit that all machinetypes share.
    Shared {
        /// Which.
        reason: Reason,
        /// Whether the machine could be made if others of ours ended: then its place is kept.
        can_wait: bool,
    },
}

/// Whether one more machine of a machinetype passes all limits.
pub(super) fn check_limits(
    input: &PlanInput<'_>,
    usage: &Usage<'_>,
    policy: &MachinetypePolicy,
    offering: &Offering,
) -> Result<(), Full> {
    own_limits(usage, policy, offering).map_err(Full::Own)?;
    space_limits(input, usage, offering)?;
    refused_quota(input, usage, offering)?;
    quota(input, usage, offering)
}

fn own_limits(
    usage: &Usage<'_>,
    policy: &MachinetypePolicy,
    offering: &Offering,
) -> Result<(), Reason> {
    let own = usage.types.get(&policy.name).copied().unwrap_or_default();
    let used = own.held.processors;
    if let Some(limit) = policy.processors_limit.filter(|l| used.plus(offering.processors) > *l) {
        return Err(Reason::MachinetypeLimit { limit, used });
    }
    let starting = own.starting;
    let limit = policy.max_starting_processors;
    if let Some(limit) = limit.filter(|l| starting.plus(offering.processors) > *l) {
        return Err(Reason::StartingLimit { limit, starting });
    }
    Ok(())
}

fn space_limits(input: &PlanInput<'_>, usage: &Usage<'_>, offering: &Offering) -> Result<(), Full> {
    // The cloud counts strangers of whom we know no size.
    let (used, ours) = (usage.in_cloud(input), usage.ours);
    let foreign = Count {
        machines: used.machines.saturating_sub(ours.machines),
        processors: used.processors.minus(ours.processors),
        megabytes: 0,
    };
    let limit = input.policy.processors_limit;
    if let Some(limit) = limit.filter(|l| used.processors.plus(offering.processors) > *l) {
        return Err(Full::Shared {
            reason: Reason::SpaceLimit { limit, used: used.processors },
            can_wait: foreign.processors.plus(offering.processors) <= limit,
        });
    }
    if let Some(limit) = input.policy.machines_limit.filter(|limit| used.machines >= *limit) {
        return Err(Full::Shared {
            reason: Reason::SpaceMachinesLimit { limit, used: used.machines },
            can_wait: foreign.machines < limit,
        });
    }
    Ok(())
}

/// After a refusal only as much as was in use then is known to be allowed.
fn refused_quota(
    input: &PlanInput<'_>,
    usage: &Usage<'_>,
    offering: &Offering,
) -> Result<(), Full> {
    let used = usage.in_cloud(input).processors.plus(offering.processors);
    match input.quota_stop.filter(|stop| used > stop.used) {
        Some(stop) => {
            Err(Full::Shared { reason: Reason::QuotaRefused { at: stop.at }, can_wait: false })
        }
        None => Ok(()),
    }
}

fn quota(input: &PlanInput<'_>, usage: &Usage<'_>, offering: &Offering) -> Result<(), Full> {
    let (quota, used, ours) = (&input.quota, usage.in_cloud(input), usage.ours);
    let checks = [
        (
            "machines",
            quota.machines.map(u64::from),
            u64::from(used.machines),
            1,
            u64::from(ours.machines),
        ),
        (
            "processors",
            quota.processors.map(|limit| u64::from(limit.0)),
            u64::from(used.processors.0),
            u64::from(offering.processors.0),
            u64::from(ours.processors.0),
        ),
        (
            "MB of memory",
            quota.memory.map(|limit| limit.0),
            used.megabytes,
            offering.memory.0,
            ours.megabytes,
        ),
    ];
    for (what, limit, used, more, ours) in checks {
        if let Some(limit) = limit.filter(|limit| used.saturating_add(more) > *limit) {
            let reason = Reason::CloudQuota { what: what.to_owned(), limit, used };
            let others = used.saturating_sub(ours);
            return Err(Full::Shared { reason, can_wait: others.saturating_add(more) <= limit });
        }
    }
    Ok(())
}

/// How much may be made in one cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Budget {
    /// Processors; the first machine may always be made, however large it is.
    Processors(Processors),
    /// Machines.
    Machines(u32),
}

impl Budget {
    /// A fraction of the limit in processors (of the space, else of the cloud's quota), rounded
    /// up; where only machines are limited, of that; where nothing is known, one machine.
    pub(super) fn of(input: &PlanInput<'_>) -> Self {
        let fraction = match input.policy.pace {
            Pace::Machines(machines) => return Self::Machines(machines),
            Pace::FractionOfLimit(fraction) => fraction,
        };
        if let Some(limit) = input.policy.processors_limit.or(input.quota.processors) {
            return Self::Processors(Processors(rounded_up(fraction, limit.0)));
        }
        match input.policy.machines_limit.or(input.quota.machines) {
            Some(limit) => Self::Machines(rounded_up(fraction, limit).max(1)),
            None => Self::Machines(1),
        }
    }

    /// Whether one more machine is too fast, after so many with so many processors.
    pub(super) fn is_exceeded_by(&self, made: Made, more: Processors) -> bool {
        let Made { machines, processors } = made;
        match self {
            Self::Processors(budget) => machines > 0 && processors.plus(more) > *budget,
            Self::Machines(budget) => machines >= *budget,
        }
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Processors(budget) => processors(*budget),
            Self::Machines(budget) => counted(*budget, "machine"),
        }
    }
}

/// A fraction of a whole, rounded up; what floating point adds below a billionth is not counted.
fn rounded_up(fraction: f64, whole: u32) -> u32 {
    let exact = (fraction * f64::from(whole) - 1e-9).ceil().clamp(0.0, f64::from(u32::MAX));
    // In range by the clamp, and whole by the rounding.
    exact as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_rounded_up_but_not_by_floating_point_noise() {
        for (limit, tenth) in [(400, 40), (70, 7), (30, 3), (1, 1), (11, 2), (0, 0)] {
            assert_eq!(rounded_up(0.1, limit), tenth, "{limit}");
        }
    }

    #[test]
    fn the_first_machine_is_never_too_large_for_the_pace() {
        let budget = Budget::Processors(Processors(4));
        let nothing = Made::default();
        let one = |processors| nothing.and(Processors(processors));
        assert!(!budget.is_exceeded_by(nothing, Processors(64)));
        assert!(budget.is_exceeded_by(one(64), Processors(1)));
        assert!(!budget.is_exceeded_by(one(2), Processors(2)));
        assert!(Budget::Machines(0).is_exceeded_by(nothing, Processors(1)));
    }
}
