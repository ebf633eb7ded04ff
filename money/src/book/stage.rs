//! How near each cap is: its stage, from its sums and the time.

use std::fmt;

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use super::admit::reaches;
use super::{Book, Span, Sum};
use crate::plan::{Forecast, Rate};
use crate::{Amount, Cap, CapName, Permille, Window};

/// What happens because of a cap, in the order in which it becomes worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing.
    Open,
    /// People are warned.
    Warned,
    /// Nothing more is made.
    NotGrowing,
    /// What runs is drained.
    Draining,
    /// The limit has been spent.
    Spent,
}

impl Stage {
    /// One word, for tables and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Warned => "warned",
            Self::NotGrowing => "not-growing",
            Self::Draining => "draining",
            Self::Spent => "spent",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The stage of a cap as it was last written into the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Which.
    pub stage: Stage,
    /// Since when.
    pub at: Timestamp,
}

/// Where a cap stands in its present window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The cap.
    pub cap: Cap,
    /// Its present window; `None`: the grant has not begun, or is over.
    pub window: Option<Span>,
    /// What is settled and reserved in it.
    pub sum: Sum,
    /// What open reservations have cost in it until now, if their machines live.
    pub run_up: Amount,
    /// What all that may run below it costs in an hour now.
    pub rate: Rate,
    /// What follows.
    pub stage: Stage,
    /// What was last recorded.
    pub recorded: Option<Recorded>,
}

impl Standing {
    /// What may still be reserved; less than nothing when the cap is passed.
    pub fn left(&self) -> Amount {
        self.cap.limit - self.sum.both()
    }

    /// Whether everything that the cap is on must end: it is spent to where its manager wants that. What was reserved in time
    /// may go on to the very limit, so a cap that is to be drained there ends nothing.
    pub fn ends_everything(&self) -> bool {
        let part = self.cap.stages.drain;
        part < Permille(1000) && reaches(i128::from(self.spent().nanos()), &self.cap, part)
    }

    /// The stage as people are told it. A cap on each hour steers the rate of spending: that it is used is its daily bread,
    /// and only that it is passed is news.
    pub fn told_stage(&self) -> Stage {
        match (self.cap.window, self.stage) {
            (Window::Hour, Stage::Warned | Stage::NotGrowing | Stage::Spent) => Stage::Open,
            (_, stage) => stage,
        }
    }

    /// What has been spent until now.
    pub fn spent(&self) -> Amount {
        self.sum.settled() + self.run_up
    }

    /// What will be spent in its window if what runs now goes on, and when the limit is reached; no cap is thought of.
    pub fn forecast(&self, now: Timestamp) -> Option<Forecast> {
        let money = (self.spent(), self.cap.limit);
        self.window.map(|window| Forecast::new(money, self.rate, (now, window.to)))
    }
}

impl Book {
    /// Where all caps stand, in their order.
    pub fn standings(&self, now: Timestamp) -> Vec<Standing> {
        let windows: Vec<Option<Span>> =
            self.caps.iter().map(|cap| cap.window.span_at(now)).collect();
        let mut run_up = vec![(0_i128, Rate::ZERO); self.caps.len()];
        for open in self.reservations() {
            let account = self.accounts.number(&open.reservation.account);
            let account = account.expect("its account was interned when it was opened");
            for place in self.accounts.covering(account) {
                let Some(window) = windows[*place] else { continue };
                let (sum, rate) = &mut run_up[*place];
                *sum += i128::from(open.run_up(window, now).nanos());
                if open.span().contains(now) {
                    *rate = *rate + Rate::hourly(open.tariff_at(now).charge());
                }
            }
        }
        let standing = |place: usize| self.standing(place, windows[place], run_up[place], now);
        (0..self.caps.len()).map(standing).collect()
    }

    /// Where one cap stands.
    pub fn standing_of(&self, name: &CapName, now: Timestamp) -> Option<Standing> {
        self.standings(now).into_iter().find(|standing| standing.cap.name == *name)
    }

    fn standing(
        &self,
        place: usize,
        window: Option<Span>,
        (run_up, rate): (i128, Rate),
        now: Timestamp,
    ) -> Standing {
        let cap = self.caps[place].clone();
        let sum = window.map_or_else(Sum::default, |window| self.sum(place, window));
        // Also in a window to come: what runs now was given time in it, before the cap was lowered or prices rose.
        let mut windows = self.sums[place].since(&cap, now);
        let is_passed = windows.any(|(_, sum)| sum.exceeds(cap.limit, 0));
        let taken = sum.settled + sum.reserved;
        let spent = sum.settled + run_up;
        let stage = match window {
            None if is_passed => Stage::Draining,
            None => Stage::Open,
            Some(_) if spent >= i128::from(cap.limit.nanos()) => Stage::Spent,
            Some(_) if is_passed || reaches(spent, &cap, cap.stages.drain) => Stage::Draining,
            Some(_) if reaches(taken, &cap, cap.stages.stop_growing) => Stage::NotGrowing,
            Some(_) if reaches(taken, &cap, cap.stages.warn) => Stage::Warned,
            Some(_) => Stage::Open,
        };
        let recorded = self.stages.get(&cap.name).copied();
        let run_up = Amount::fit(run_up);
        Standing { window, sum, run_up, rate, stage, recorded, cap }
    }
}
