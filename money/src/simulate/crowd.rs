//! The machines of one community together, and what their ends tell about its work.

use std::collections::VecDeque;

use vcycle_api::Timestamp;

use super::random::Random;
use super::scenario::CommunityModel;
use crate::plan::{CommunityView, Habit, Rate, STUCK, Unit, Work};

const DAY: i64 = 86_400;

/// One community.
#[derive(Debug)]
pub(super) struct Crowd {
    /// How it behaves.
    pub(super) model: CommunityModel,
    /// What its machines cost in an hour.
    pub(super) running: Rate,
    /// Those within their promised time.
    pub(super) guaranteed: Rate,
    /// Those that were told to end.
    pub(super) leaving: Rate,
    /// Those of which nobody knows yet whether they found work.
    pub(super) unproven: Rate,
    /// Those that found work since the last that found none.
    pub(super) proven: Rate,
    /// Machines that have work.
    pub(super) working: u32,
    /// Machines.
    pub(super) machines: u32,
    /// How many were made in all.
    pub(super) made: u64,
    /// What it got done, in HS23 hours.
    pub(super) work_done: f64,
    /// What was made lately, and when.
    lately: VecDeque<(Timestamp, Rate)>,
    known: Known,
    last_none: Option<Timestamp>,
    /// Machines that try whether there is work again.
    trying: u32,
    seed: u64,
    number: u64,
}

/// What the ends of machines told.
#[derive(Debug, Clone, Copy)]
enum Known {
    /// There is work.
    Work,
    /// There was none, or nobody tried yet.
    NoWork,
}

impl Crowd {
    pub(super) fn new(model: CommunityModel, seed: u64, number: u64) -> Self {
        Self {
            model,
            running: Rate::ZERO,
            guaranteed: Rate::ZERO,
            leaving: Rate::ZERO,
            unproven: Rate::ZERO,
            proven: Rate::ZERO,
            working: 0,
            machines: 0,
            made: 0,
            work_done: 0.0,
            lately: VecDeque::new(),
            known: Known::NoWork,
            last_none: None,
            trying: 0,
            seed,
            number,
        }
    }

    /// How many machines would find work now.
    pub(super) fn demand(&self, now: Timestamp) -> u32 {
        let steps = &self.model.demand.steps;
        let begun = steps.partition_point(|(from, _)| *from <= now);
        let Some((_, machines)) = begun.checked_sub(1).map(|last| steps[last]) else { return 0 };
        let day = u64::try_from(now.as_secs().div_euclid(DAY)).unwrap_or(0);
        let chance = Random::new(self.seed ^ day, "demand", self.number).between(-1.0, 1.0);
        let jitter = chance * f64::from(self.model.demand.jitter.0) / 1000.0;
        (f64::from(machines) * (1.0 + jitter)).round() as u32
    }

    /// As the controller sees it.
    pub(super) fn view(&self, now: Timestamp, unit: Unit, recent: Rate) -> CommunityView {
        let Self { running, guaranteed, leaving, unproven, proven, .. } = *self;
        CommunityView {
            running,
            guaranteed,
            leaving,
            unproven,
            proven,
            lately: self.lately(now),
            unit,
            longest: self.model.max_wallclock,
            in_vain: false,
            work: self.work(now),
            recent,
        }
    }

    /// Whether it has work, as far as anybody can know.
    pub(super) fn work(&self, now: Timestamp) -> Work {
        match self.known {
            Known::Work if !self.was_made_since(now - STUCK) => Work::Stuck,
            Known::Work => Work::Yes,
            Known::NoWork if self.backs_off(now) => Work::No,
            Known::NoWork if self.trying > 0 => Work::Trying,
            Known::NoWork => Work::Perhaps,
        }
    }

    fn was_made_since(&self, since: Timestamp) -> bool {
        self.lately.back().is_some_and(|(made, _)| *made > since)
    }

    fn lately(&self, now: Timestamp) -> Rate {
        let since = now - self.habit().lately();
        self.lately.iter().filter(|(made, _)| *made > since).map(|(_, rate)| *rate).sum()
    }

    /// As managers have it of a machinetype.
    fn habit(&self) -> Habit {
        Habit::of((self.model.fizzle, self.model.backoff, Habit::default().starting))
    }

    /// A machine of such a rate is made.
    pub(super) fn begins(&mut self, now: Timestamp, rate: Rate) {
        let since = now - self.habit().lately();
        while self.lately.front().is_some_and(|(made, _)| *made <= since) {
            self.lately.pop_front();
        }
        self.lately.push_back((now, rate));
        self.made += 1;
        self.machines += 1;
        self.running = self.running + rate;
        self.guaranteed = self.guaranteed + rate;
        self.unproven = self.unproven + rate;
    }

    fn backs_off(&self, now: Timestamp) -> bool {
        self.last_none.is_some_and(|since| now < since + self.model.backoff)
    }

    /// Whether a machine that is made now is one that tries.
    pub(super) fn begins_a_try(&mut self) -> bool {
        let tries = matches!(self.known, Known::NoWork);
        self.trying += u32::from(tries);
        tries
    }

    pub(super) fn try_is_over(&mut self) {
        self.trying -= 1;
    }

    /// A machine of such a rate found work that was made then.
    pub(super) fn found_work(&mut self, made: Timestamp, rate: Rate) {
        if self.last_none.is_none_or(|since| made > since) {
            self.known = Known::Work;
            self.proven = self.proven + rate;
        }
    }

    /// A machine found none.
    pub(super) fn found_none(&mut self, now: Timestamp) {
        self.known = Known::NoWork;
        self.last_none = Some(now);
        self.proven = Rate::ZERO;
    }
}
