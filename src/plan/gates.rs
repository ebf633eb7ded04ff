//! Why a machinetype may not be made at all in this cycle, whatever the limits leave: the one
//! constraint that binds first.

use crate::model::{ClockTrust, MachinetypePolicy, Readiness, Timestamp};

use super::blast::Blast;
use super::breaker::Breakers;
use super::drains::Drains;
use super::history::History;
use super::judge::{Judged, is_trusted};
use super::offerings::ends_at;
use super::words::listing_words;
use super::{EndOfSpace, PlanInput, Reason, SpaceEnd};

/// What the gates look at.
pub(super) struct Gatekeeper<'g, 'a> {
    pub(super) input: &'g PlanInput<'a>,
    pub(super) blast: &'g Blast,
    pub(super) drains: &'g Drains<'a>,
    pub(super) history: &'g History<'a>,
    pub(super) breakers: &'g Breakers<'a>,
}

fn ended(SpaceEnd { at, why }: SpaceEnd) -> Reason {
    match why {
        EndOfSpace::ShutdownTime => Reason::SpaceShutDown { at },
        EndOfSpace::Lease => Reason::LeaseEnded { at },
    }
}

fn too_near(SpaceEnd { at, why }: SpaceEnd, needs_secs: u64) -> Reason {
    match why {
        EndOfSpace::ShutdownTime => Reason::ShutdownTooNear { shutdown: at, needs_secs },
        EndOfSpace::Lease => Reason::LeaseTooNear { ends: at, needs_secs },
    }
}

impl<'a> Gatekeeper<'_, 'a> {
    /// A reason that has nothing to do with offerings, outcomes or limits.
    pub(super) fn closed(&self, policy: &MachinetypePolicy) -> Option<Reason> {
        let input = self.input;
        if policy.target_share.weight() <= 0.0 {
            return Some(Reason::ZeroShare);
        }
        if let Some(ask) = self.drains.of_machinetype(&policy.name) {
            return Some(Reason::Draining { until: ask.by, who: ask.who.to_owned() });
        }
        if let ClockTrust::Doubted { why } = input.clock {
            return Some(Reason::ClockNotTrusted { why: why.clone() });
        }
        if let Some(opens) = input.terms.opens.filter(|opens| input.now < *opens) {
            return Some(Reason::LeaseNotBegun { opens });
        }
        let end = input.end();
        if let Some(end) = end.filter(|end| input.now >= end.at) {
            return Some(ended(end));
        }
        if !is_trusted(input.listing) {
            return Some(Reason::ListingNotTrusted { why: listing_words(input.listing) });
        }
        if self.blast.holds_back() {
            let Blast { dead, running, .. } = *self.blast;
            return Some(Reason::BlastRadius { dead, running });
        }
        match input.readiness.get(&policy.name) {
            Some(Readiness::NotYet { why }) => return Some(Reason::Preparing { why: why.clone() }),
            Some(Readiness::Cannot { why }) => {
                return Some(Reason::CannotPrepare { why: why.clone() });
            }
            Some(Readiness::Ready) | None => {}
        }
        if input.offerings.is_empty() {
            let why = "the provider told of no offerings".to_owned();
            return Some(Reason::NoOfferings { why });
        }
        let end = end.filter(|end| input.now + policy.min_wallclock > end.at)?;
        Some(too_near(end, policy.min_wallclock.as_secs()))
    }

    /// Of the reason that offerings give and the backoff the one that binds longer.
    pub(super) fn longer(
        &self,
        policy: &MachinetypePolicy,
        offering: Option<Reason>,
    ) -> Option<Reason> {
        match (self.backoff(policy), offering) {
            (Some(backoff), Some(offering)) => {
                let waits_longer =
                    ends_at(&offering).is_none_or(|end| Some(end) > ends_at(&backoff));
                Some(if waits_longer { offering } else { backoff })
            }
            (backoff, offering) => backoff.or(offering),
        }
    }

    /// Nothing is made for `backoff` after the last abort.
    fn backoff(&self, policy: &MachinetypePolicy) -> Option<Reason> {
        let abort = self.history.last_abort(policy)?;
        let until = abort.at + policy.backoff;
        (self.input.now < until).then(|| Reason::Backoff {
            last_abort: abort.at,
            until,
            after: abort.kind.to_string(),
        })
    }

    /// After the backoff, for as long as `fizzle`, one machine at a time: until it has lived as
    /// long as `fizzle` it proves nothing. The end of that time, while it lasts.
    pub(super) fn gated_until(&self, policy: &MachinetypePolicy) -> Option<Timestamp> {
        let abort = self.history.last_abort(policy)?;
        let until = abort.at + policy.backoff + policy.fizzle;
        (self.input.now < until).then_some(until)
    }

    /// The machine that the gate waits for: the one that will prove itself last.
    pub(super) fn fizzle_gate(
        &self,
        policy: &MachinetypePolicy,
        machines: &[&Judged<'a>],
    ) -> Option<Reason> {
        let until = self.gated_until(policy)?;
        let now = self.input.now;
        let waiting = machines.iter().filter(|m| m.proves_nothing_yet(policy.fizzle, now));
        // Without a start time it is not known when: then the whole gate.
        let passes = |machine: &Judged<'_>| {
            machine.started.map_or(Timestamp::from_millis(i64::MAX), |at| at + policy.fizzle)
        };
        let last = waiting.max_by(|a, b| {
            (passes(a), b.record().machine()).cmp(&(passes(b), a.record().machine()))
        })?;
        let waiting_for = last.record().machine().clone();
        Some(Reason::FizzleGate { waiting_for, until: until.min(passes(last)) })
    }
}
