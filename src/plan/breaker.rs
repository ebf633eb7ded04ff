//! The circuit breaker of a machinetype on an offering: a fold over what its machines proved, in
//! the order of time, so that it survives restarts without a state of its own.
//!
//! Failures in a row open it; each failed probe doubles the pause; when the pause is over exactly
//! one probe machine is made; the first success closes it. A machine that has lived as long as
//! `fizzle` is a success at that moment, whatever becomes of it later. An empty queue ("300 no
//! work") is not a failure here: it backs off, but it proves that machines work.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{
    Breaker, Effect, EndKind, Ended, ErrorKind, MachineName, MachinetypeName, MachinetypePolicy,
    OfferingId, OutcomeRules, Phase, Timestamp,
};

use super::PlanInput;
use super::history::{History, rejected_as};
use super::judge::Judged;

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

/// By what a machinetype is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'p> {
    breaker: &'p Breaker,
    outcomes: &'p OutcomeRules,
    fizzle: Duration,
}

impl<'p> Terms<'p> {
    pub(super) fn of(policy: &'p MachinetypePolicy) -> Self {
        let MachinetypePolicy { breaker, outcomes, fizzle, .. } = policy;
        Self { breaker, outcomes, fizzle: *fizzle }
    }

    /// Whether the ends alone could have opened it: if not, it is closed, whatever lives.
    fn could_open(&self, ends: &[&Ended]) -> bool {
        let mut failures = 0_u32;
        ends.iter().any(|end| match Verdict::of(&end.kind, self.outcomes) {
            Verdict::Success | Verdict::Neither => false,
            Verdict::Failure => {
                failures = failures.saturating_add(1);
                failures >= self.breaker.failures
            }
            Verdict::WrongSpec => true,
        })
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

/// Folds ends (in the order of time) and the start times of machines that are alive (in any order, only
/// of those that have lived as long as `fizzle`) into the breaker's state. `None`: closed.
pub(super) fn fold<'a>(
    terms: &Terms<'_>,
    ends: &[&'a Ended],
    alive: &[Timestamp],
) -> Option<Opening<'a>> {
    let proven = |end: &&Ended| end.started.filter(|at| *at + terms.fizzle <= end.at);
    let mut lives: Vec<Timestamp> =
        ends.iter().filter_map(proven).chain(alive.iter().copied()).collect();
    lives.sort_unstable();
    let mut lives = lives.into_iter().peekable();
    let mut state = State::default();
    for end in ends {
        // At the same instant the good news first, so that a failure then still counts.
        while let Some(started) = lives.next_if(|started| *started + terms.fizzle <= end.at) {
            state.lived(started);
        }
        state.ended(terms, end);
    }
    lives.for_each(|started| state.lived(started));
    state.opening
}

/// A breaker while it is folded.
#[derive(Debug, Default)]
struct State<'a> {
    in_a_row: u32,
    /// Start of the machine whose life was the last success, and the failures in a row before that:
    /// if that machine itself fails in the end, its life does not stand between them.
    before_life: Option<(Timestamp, u32)>,
    opening: Option<Opening<'a>>,
}

impl<'a> State<'a> {
    /// A machine that started then has lived as long as `fizzle`.
    fn lived(&mut self, started: Timestamp) {
        match self.opening {
            // It started before what opened it: no news.
            Some(opening) if started < opening.since => {}
            Some(_) => *self = Self::default(),
            None => {
                self.before_life = Some((started, self.in_a_row));
                self.in_a_row = 0;
            }
        }
    }

    fn ended(&mut self, terms: &Terms<'_>, end: &'a Ended) {
        let opens = match Verdict::of(&end.kind, terms.outcomes) {
            Verdict::Success => {
                *self = Self::default();
                return;
            }
            Verdict::Neither => return,
            Verdict::Failure => {
                let own = self.before_life.take_if(|(started, _)| Some(*started) == end.started);
                let before = own.map_or(0, |(_, before)| before);
                self.in_a_row = self.in_a_row.saturating_add(before).saturating_add(1);
                self.in_a_row >= terms.breaker.failures
            }
            Verdict::WrongSpec => true,
        };
        let Breaker { failures: _, pause, pause_max } = *terms.breaker;
        self.opening = match self.opening {
            None if !opens => None,
            None => Some(open(pause.min(pause_max), end)),
            // A machine made before it opened: no news.
            Some(opening) if end.at < opening.until => Some(opening),
            // A failed probe.
            Some(opening) => Some(open(opening.pause.saturating_mul(2).min(pause_max), end)),
        };
    }
}

fn open(pause: Duration, end: &Ended) -> Opening<'_> {
    Opening { since: end.at, until: end.at + pause, pause, after: &end.kind }
}

/// The breakers that are open or half-open.
#[derive(Debug, Default)]
pub(super) struct Breakers<'a> {
    open: BTreeMap<&'a MachinetypeName, BTreeMap<&'a OfferingId, Opening<'a>>>,
}

impl<'a> Breakers<'a> {
    /// From all known ends and all machines that are alive.
    pub(super) fn of(input: &PlanInput<'a>, history: &History<'a>, judged: &[Judged<'_>]) -> Self {
        let mut suspects = Vec::new();
        for policy in input.policy.machinetypes.values() {
            let terms = Terms::of(policy);
            let offerings = history.offerings_of(&policy.name);
            let could_open = offerings.filter(|(_, ends)| terms.could_open(ends));
            suspects.extend(could_open.map(|(offering, ends)| Suspect {
                policy,
                offering,
                ends,
                alive: Vec::new(),
            }));
        }
        let mut breakers = Self::default();
        if suspects.is_empty() {
            return breakers;
        }
        for machine in judged {
            let Some((policy, started)) = alive_since(machine, input.now) else { continue };
            let own = |suspect: &&mut Suspect<'_, '_>| {
                suspect.policy.name == policy.name && *suspect.offering == machine.record().offering
            };
            if let Some(suspect) = suspects.iter_mut().find(own) {
                suspect.alive.push(started);
            }
        }
        for Suspect { policy, offering, ends, alive } in suspects {
            if let Some(opening) = fold(&Terms::of(policy), ends, &alive) {
                breakers.open.entry(&policy.name).or_default().insert(offering, opening);
            }
        }
        breakers
    }

    /// The breaker of a machinetype on an offering, unless it is closed.
    pub(super) fn on(
        &self,
        machinetype: &MachinetypeName,
        offering: &OfferingId,
    ) -> Option<Opening<'a>> {
        self.open.get(machinetype)?.get(offering).copied()
    }

    /// All that are not closed, in the order of names.
    pub(super) fn all(
        &self,
    ) -> impl Iterator<Item = (&'a MachinetypeName, &'a OfferingId, Opening<'a>)> {
        self.open.iter().flat_map(|(machinetype, offerings)| {
            offerings.iter().map(|(offering, opening)| (*machinetype, *offering, *opening))
        })
    }
}

/// A breaker that may not be closed.
struct Suspect<'h, 'a> {
    policy: &'a MachinetypePolicy,
    offering: &'a OfferingId,
    ends: &'h [&'a Ended],
    alive: Vec<Timestamp>,
}

/// When a machine started that is alive, or of whose end nothing is known yet, if that is as long ago as
/// `fizzle`. Those whose end is known are among the ends.
fn alive_since<'a>(
    machine: &Judged<'a>,
    now: Timestamp,
) -> Option<(&'a MachinetypePolicy, Timestamp)> {
    let is_alive = match machine.phase {
        Phase::Running { since: _ } => true,
        // By the cloud's own word: we did not decide it.
        Phase::Deleting { since: _ } => machine.record().deletion.is_none(),
        Phase::Intended { since: _ }
        | Phase::Starting { since: _ }
        | Phase::Ended { since: _ }
        | Phase::Gone { since: _ } => false,
    };
    let (policy, started) = machine.policy.zip(machine.started)?;
    (is_alive && started + policy.fizzle <= now).then_some((policy, started))
}

/// A machine that works or is about to, and has proven nothing since the breaker opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Witness<'a> {
    pub(super) machine: &'a MachineName,
    pub(super) intended: Timestamp,
}

/// What an open breaker allows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allows<'a> {
    /// Nothing until its time.
    Nothing,
    /// One probe, and there is none.
    OneProbe,
    /// Waiting for this probe.
    WaitFor(&'a MachineName),
}

impl Opening<'_> {
    /// What it allows now, given the machines of its machinetype and offering that work.
    pub(super) fn allows<'m>(
        &self,
        now: Timestamp,
        machines: impl Iterator<Item = Witness<'m>>,
    ) -> Allows<'m> {
        if now < self.until {
            return Allows::Nothing;
        }
        let probe = machines
            .filter(|machine| machine.intended >= self.since)
            .min_by_key(|machine| (machine.intended, machine.machine));
        probe.map_or(Allows::OneProbe, |probe| Allows::WaitFor(probe.machine))
    }
}

#[cfg(test)]
mod tests;
