//! What a controller says, and why.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use super::{Rate, Term};
use crate::{Amount, Community};

/// What to do in this cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Where in its time the budget is.
    pub term: Term,
    /// The rate that lands on the budget.
    pub target: Rate,
    /// The rate now.
    pub burn: Rate,
    /// The most that changes in this cycle.
    pub step: Rate,
    /// For each community, priorities first, in the order of the budget.
    pub communities: Vec<CommunityAdvice>,
    /// No machine that is made now may exist after this: its hard end is set no later.
    pub latest_end: Timestamp,
    /// Where it would land.
    pub landing: Landing,
    /// Whether it is on the line.
    pub pace: Pace,
}

/// What to do for one community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommunityAdvice {
    /// Which.
    pub community: Community,
    /// What it is in the budget.
    pub role: Role,
    /// Machines of this rate together may be made.
    pub grow: Rate,
    /// Machines of this rate together are to be told to end, with their grace, and none within its promised time.
    pub give_way: Rate,
    /// Why.
    pub why: Why,
}

/// What a community is in a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It comes first.
    Priority,
    /// It fills what the priorities leave.
    Backfill,
    /// It is not named: it spends from the budget, and gets no more.
    Unnamed,
}

/// Why a community may grow, may not, or must give way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Why {
    /// The budget is not open.
    NotOpen {
        /// Where it is.
        term: Term,
    },
    /// The budget does not name it.
    NotNamed,
    /// Its machines find no work.
    NoWork,
    /// One machine to see whether there is work.
    Tries,
    /// One was tried minutes ago, and could not be made.
    TriedInVain,
    /// It is its turn.
    ItsTurn,
    /// It fills what priorities leave.
    Fills,
    /// Others are owed more by their shares.
    OthersFirst,
    /// It is not known yet whether its youngest machines found work.
    NotProven {
        /// What they cost.
        unproven: Rate,
    },
    /// What is spent now is on the line, or above it.
    OnTheLine {
        /// The line.
        target: Rate,
    },
    /// The maximum rate of the budget.
    MaximumRate {
        /// The maximum.
        maximum: Rate,
    },
    /// What is not reserved yet would not pay a machine to its hard end.
    NothingLeft {
        /// What is not reserved yet.
        left: Amount,
    },
    /// Backfill waits while a priority has work.
    PrioritiesFirst {
        /// The first of them.
        community: Community,
    },
    /// Backfill makes room for a priority.
    GivesWay {
        /// For whom.
        to: Community,
    },
    /// Backfill ends because more is spent than the line and its band.
    AboveTheLine {
        /// By how much.
        by: Rate,
    },
}

/// Where the budget would land if nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landing {
    /// By what runs now.
    pub now: Forecast,
    /// By the mean of the last 6 hours.
    pub six_hours: Option<Forecast>,
    /// By the mean of the last 24 hours.
    pub day: Option<Forecast>,
}

/// A forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// At this rate to the end,
    pub rate: Rate,
    /// so much would be spent; no cap is thought of,
    pub lands: Amount,
    /// and the amount would be reached then, if that is before the end.
    pub exhausted: Option<Timestamp>,
}

impl Forecast {
    /// From what is spent, at a rate, to the end.
    pub fn new(
        (spent, amount): (Amount, Amount),
        rate: Rate,
        (now, stop): (Timestamp, Timestamp),
    ) -> Self {
        let lands = spent + rate.over(stop.since(now));
        Self {
            rate,
            lands,
            exhausted: (lands > amount).then(|| reached(amount - spent, rate, now)),
        }
    }
}

/// When an amount is spent.
fn reached(left: Amount, rate: Rate, now: Timestamp) -> Timestamp {
    let (left, rate) = (i128::from(left.nanos().max(0)), rate.in_an_hour().nanos());
    let millis = left * 3_600_000 / i128::from(rate.max(1));
    now + Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Whether spending keeps to the line, by the longest mean that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "pace")]
pub enum Pace {
    /// Within the band.
    OnLine,
    /// More is spent.
    Above {
        /// By so much.
        by: Rate,
    },
    /// Less is spent.
    Below {
        /// By so much.
        by: Rate,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen { term } => f.write_str(match term {
                Term::NotBegun => "the budget has not begun",
                Term::Open => "the budget is open",
                Term::Stopped => "the budget is within its stop margin",
                Term::Over => "the budget is over",
            }),
            Self::NotNamed => f.write_str("the budget does not name this community"),
            Self::NoWork => f.write_str("its machines found no work"),
            Self::Tries => f.write_str("one machine tries whether there is work"),
            Self::TriedInVain => f.write_str(
                "one machine was tried minutes ago and could not be made: others come first until the next try",
            ),
            Self::ItsTurn => f.write_str("it is owed most by its share"),
            Self::Fills => f.write_str("fills what priorities leave"),
            Self::NotProven { unproven } => {
                write!(f, "waits to see whether its youngest machines ({unproven:.2}) find work")
            }
            Self::OthersFirst => f.write_str("others are owed more by their shares"),
            Self::OnTheLine { target } => {
                write!(f, "what runs costs as much as the line allows ({target:.2})")
            }
            Self::MaximumRate { maximum } => {
                write!(f, "what runs costs as much as the budget's maximum rate ({maximum:.2})")
            }
            Self::NothingLeft { left } => {
                write!(f, "{left:.2} is not reserved yet: no machine can be paid to its hard end")
            }
            Self::PrioritiesFirst { community } => {
                write!(f, "{community} has work and comes first")
            }
            Self::GivesWay { to } => write!(f, "makes room for {to}"),
            Self::AboveTheLine { by } => write!(f, "what runs costs {by:.2} more than the line"),
        }
    }
}
