//! The circuit breaker of a machinetype on an offering: a fold over its ends in the order of
//! time, so that it survives restarts without a state of its own.
//!
//! Failures in a row open it; each failed probe doubles the pause; when the pause is over exactly
//! one probe machine is made; the first success closes it. An empty queue ("300 no work") is not
//! a failure here: it backs off, but it proves that machines work.

use std::time::Duration;

use crate::model::{
    Breaker, Effect, EndKind, Ended, ErrorKind, MachineName, OutcomeRules, Timestamp,
};

use super::history::rejected_as;

/// What an end says about a machinetype on an offering. Ordered from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// It worked.
    Success,
    /// Says nothing: our own kill, the provider's fault or choice, a refusal for quota.
    Neither,
    /// It did not work.
    Failure,
    /// The request itself is wrong: trying again at once is useless.
    WrongSpec,
}

impl Verdict {
    /// Judges by an entry's rules.
    pub(super) fn of(kind: &EndKind, rules: &OutcomeRules) -> Self {
        match kind {
            EndKind::Message { message } => match (message.code, rules.effect(message.code)) {
                (500..=599, Effect::Abort) => Self::Failure,
                (300..=399, Effect::Abort) | (0..=699, Effect::Normal) => Self::Success,
                (_, Effect::Abort) | (_, Effect::Normal) => Self::Neither,
            },
            EndKind::Fizzled | EndKind::NeverStarted => Self::Failure,
            EndKind::Silent => Self::Success,
            EndKind::Rejected { kind: _ } if rejected_as(kind, || ErrorKind::InvalidSpec) => {
                Self::WrongSpec
            }
            EndKind::CloudFault
            | EndKind::Preempted
            | EndKind::Killed { reason: _ }
            | EndKind::Rejected { kind: _ }
            | EndKind::NeverMade => Self::Neither,
        }
    }

    /// Judges by the default rules: only for ordering ends of one instant.
    pub(super) fn by_default(kind: &EndKind) -> Self {
        Self::of(kind, &OutcomeRules::default())
    }
}

/// An open breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening<'a> {
    /// The failure that opened it, or the last failed probe.
    pub(super) since: Timestamp,
    /// Until then nothing is made; after it one probe at a time.
    pub(super) until: Timestamp,
    /// The pause after `since`.
    pause: Duration,
    /// The failure.
    pub(super) after: &'a EndKind,
}

/// Folds the ends (in the order of time) into the breaker's state. `None`: closed.
pub(super) fn fold<'a>(
    rule: &Breaker,
    rules: &OutcomeRules,
    ends: &[&'a Ended],
) -> Option<Opening<'a>> {
    let mut in_a_row: u32 = 0;
    let mut opening: Option<Opening<'a>> = None;
    for end in ends {
        let opens = match Verdict::of(&end.kind, rules) {
            Verdict::Success => {
                in_a_row = 0;
                opening = None;
                continue;
            }
            Verdict::Neither => continue,
            Verdict::Failure => {
                in_a_row = in_a_row.saturating_add(1);
                in_a_row >= rule.failures
            }
            Verdict::WrongSpec => true,
        };
        opening = match opening {
            None if !opens => None,
            None => Some(open(rule.pause.min(rule.pause_max), end)),
            // A machine made before it opened: no news.
            Some(opening) if end.at < opening.until => Some(opening),
            // A failed probe.
            Some(opening) => Some(open(opening.pause.saturating_mul(2).min(rule.pause_max), end)),
        };
    }
    opening
}

fn open(pause: Duration, end: &Ended) -> Opening<'_> {
    Opening { since: end.at, until: end.at + pause, pause, after: &end.kind }
}

/// What a machine that still works says about an open breaker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Witness<'a> {
    pub(super) machine: &'a MachineName,
    pub(super) intended: Timestamp,
    /// Since when it has been running, if it has passed `fizzle`.
    pub(super) proven_since: Option<Timestamp>,
}

/// What an open breaker allows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allows<'a> {
    /// Closed by a probe that has passed `fizzle`.
    Everything,
    /// Nothing until its time.
    Nothing,
    /// One probe, and there is none.
    OneProbe,
    /// Waiting for this probe.
    WaitFor(&'a MachineName),
}

impl Opening<'_> {
    /// What it allows now, given the machines of its machinetype and offering that work.
    pub(super) fn allows<'m>(&self, now: Timestamp, machines: &[Witness<'m>]) -> Allows<'m> {
        let made_since = || machines.iter().filter(|machine| machine.intended >= self.since);
        if made_since().any(|machine| machine.proven_since.is_some()) {
            return Allows::Everything;
        }
        if now < self.until {
            return Allows::Nothing;
        }
        let probe = made_since().min_by_key(|machine| (machine.intended, machine.machine));
        probe.map_or(Allows::OneProbe, |probe| Allows::WaitFor(probe.machine))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeleteReason, MachinetypeName, Market, OfferingId, ShutdownMessage};

    const RULE: Breaker = Breaker {
        failures: 3,
        pause: Duration::from_secs(600),
        pause_max: Duration::from_secs(3600),
    };

    fn end(at: i64, kind: EndKind) -> Ended {
        Ended {
            machinetype: MachinetypeName::parse("dune").unwrap(),
            offering: OfferingId {
                flavour: "m1".into(),
                zone: String::new(),
                market: Market::OnDemand,
            },
            at: Timestamp::from_secs(at),
            kind,
        }
    }

    fn said(code: u16) -> EndKind {
        EndKind::Message { message: ShutdownMessage { code, text: "x".into() } }
    }

    fn open_until(ends: &[Ended]) -> Option<i64> {
        let ends: Vec<_> = ends.iter().collect();
        fold(&RULE, &OutcomeRules::default(), &ends).map(|opening| opening.until.as_secs())
    }

    #[test]
    fn failures_in_a_row_open_it_and_each_failed_probe_doubles_the_pause() {
        let mut ends = vec![end(1, EndKind::Fizzled), end(2, EndKind::NeverStarted)];
        assert_eq!(open_until(&ends), None);
        ends.push(end(3, said(500)));
        assert_eq!(open_until(&ends), Some(603));
        ends.push(end(10, EndKind::Fizzled));
        assert_eq!(open_until(&ends), Some(603), "a machine made before it opened is no probe");
        ends.push(end(700, EndKind::Fizzled));
        assert_eq!(open_until(&ends), Some(700 + 1200));
        ends.push(end(2000, EndKind::Fizzled));
        ends.push(end(5000, EndKind::Fizzled));
        assert_eq!(open_until(&ends), Some(5000 + 3600), "never longer than pause_max");
        ends.push(end(9000, said(200)));
        assert_eq!(open_until(&ends), None, "the first success closes it");
        ends.push(end(9001, EndKind::Fizzled));
        assert_eq!(open_until(&ends), None, "and the count begins anew");
    }

    #[test]
    fn a_wrong_specification_opens_it_at_once() {
        let kind = EndKind::Rejected { kind: "invalid-spec".into() };
        assert_eq!(open_until(&[end(5, kind)]), Some(605));
    }

    #[test]
    fn no_work_and_what_is_not_its_fault_do_not_open_it() {
        for kind in [
            said(300),
            said(400),
            said(600),
            said(700),
            EndKind::Preempted,
            EndKind::CloudFault,
            EndKind::Killed { reason: DeleteReason::MaxWallclock },
            EndKind::Rejected { kind: "quota-exceeded".into() },
            EndKind::Rejected { kind: "insufficient-capacity".into() },
            EndKind::NeverMade,
        ] {
            let ends: Vec<_> = (0..10).map(|at| end(at, kind.clone())).collect();
            assert_eq!(open_until(&ends), None, "{kind}");
        }
    }

    #[test]
    fn an_entry_can_say_that_a_500_is_a_good_end() {
        let rules = OutcomeRules::with_overrides(vec![(510..=519, Effect::Normal)]);
        assert_eq!(Verdict::of(&said(515), &rules), Verdict::Success);
        assert_eq!(Verdict::of(&said(500), &rules), Verdict::Failure);
    }

    #[test]
    fn half_open_allows_exactly_one_probe_and_a_proven_one_closes_it() {
        let ends = [end(1, EndKind::Fizzled), end(2, EndKind::Fizzled), end(3, EndKind::Fizzled)];
        let ends: Vec<_> = ends.iter().collect();
        let opening = fold(&RULE, &OutcomeRules::default(), &ends).unwrap();
        let name = MachineName::parse("vcycle-dune-aaaaaaaaaa").unwrap();
        let machine = |intended, proven: Option<i64>| Witness {
            machine: &name,
            intended: Timestamp::from_secs(intended),
            proven_since: proven.map(Timestamp::from_secs),
        };
        let at = Timestamp::from_secs;
        assert_eq!(opening.allows(at(602), &[]), Allows::Nothing);
        assert_eq!(opening.allows(at(603), &[]), Allows::OneProbe);
        assert_eq!(opening.allows(at(603), &[machine(2, Some(2))]), Allows::OneProbe);
        assert_eq!(opening.allows(at(700), &[machine(603, None)]), Allows::WaitFor(&name));
        assert_eq!(opening.allows(at(900), &[machine(603, Some(610))]), Allows::Everything);
    }
}
