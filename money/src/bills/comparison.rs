//! What comes of comparing a bill with the ledger.

use std::collections::BTreeMap;
use std::fmt;

use vcycle_api::SpaceName;

use super::{Day, What};
use crate::{Account, Amount, Event};

/// A bill against the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Day by day.
    pub days: Vec<DayCompared>,
    /// All days.
    pub all: DaySums,
    /// What is not ours, the dearest first.
    pub others: Vec<(What, Amount)>,
    /// What vouchers of the provider pay; less than nothing.
    pub credits: Amount,
    /// Taxes, which the ledger does not have.
    pub taxes: Amount,
    /// Spaces of the same providers that the bill never names, with what the ledger has in the same days: they are on
    /// another bill, or their machines are not tagged.
    pub not_named: BTreeMap<SpaceName, Amount>,
    /// What would be booked.
    pub corrections: Vec<Correction>,
    /// Differences that are not booked.
    pub held_back: Vec<HeldBack>,
}

/// Sums of a day, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DaySums {
    /// What the bill says for our spaces.
    pub billed: Amount,
    /// What the ledger has for the spaces that the bill names.
    pub ledger: Amount,
    /// What the bill says for others.
    pub others: Amount,
}

impl DaySums {
    /// What the bill says more.
    pub fn difference(self) -> Amount {
        self.billed - self.ledger
    }

    /// Billed for each unit in the ledger; `None`: there is nothing.
    pub fn factor(self) -> Option<Factor> {
        let whole = i128::from(self.ledger.nanos());
        let exact = i128::from(self.billed.nanos()) * 1000;
        (whole > 0).then(|| {
            Factor(i64::try_from((exact + whole / 2).div_euclid(whole)).unwrap_or(i64::MAX))
        })
    }
}

/// A day on the bill and in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCompared {
    /// The day.
    pub day: Day,
    /// Its sums.
    pub sums: DaySums,
    /// Whether its bill is complete.
    pub finality: Finality,
}

/// Whether a bill may still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// It is old enough, and the bill has it whole.
    Complete,
    /// It is old enough, and the bill may have it only in part: nothing of it is booked.
    Partial,
    /// More may come: nothing of it is booked.
    Estimated,
}

/// Billed for each unit in the ledger, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor(pub i64);

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        f.pad(&format!("{sign}{}.{:03}", all / 1000, all % 1000))
    }
}

/// What the ledger must be changed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The day.
    pub day: Day,
    /// Where.
    pub account: Account,
    /// By how much.
    pub amount: Amount,
}

/// A difference that is not booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// The day.
    pub day: Day,
    /// The space.
    pub space: SpaceName,
    /// What the bill says more.
    pub amount: Amount,
    /// Why not.
    pub why: Why,
}

/// Why a difference is not booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The bill of the day may not be complete.
    Estimated,
    /// The bill may have the day only in part: nothing stands on one side of it.
    Partial,
    /// The bill has the space beside a day on which it does not name it, and the ledger has it there as well.
    SpacePartial,
    /// The bill has nothing at all for the space on the day, or refunds alone, while the ledger has: late, or without tags.
    NotOnBill,
    /// The ledger knows no account of the space, and the bill does not tell the machinetype.
    NoAccount,
    /// The bill says less, and not of which of several accounts: one of them is under a cap that another is not, and would get room
    /// that is not there.
    CapsApart,
    /// The bill says less than nothing: what was paid back is more than the ledger has on the day.
    LessThanNothing,
}

impl Why {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Estimated => "the bill of the day may not be complete",
            Self::Partial => {
                "the bill begins or ends there, or has a gap beside it, and may have the day only in part: give it together \
                 with those of the days beside it, or say --whole-days if it is whole"
            }
            Self::SpacePartial => {
                "the bill does not name the space on the day before or after, where the ledger has something: its tags may \
                 begin or end within the day; say --whole-days if it is whole"
            }
            Self::NotOnBill => {
                "the bill has nothing for the space on this day, or refunds alone: late, or without tags"
            }
            Self::CapsApart => {
                "the bill says less of machines that are not under the same caps (of both markets, or of several machinetypes), and \
                 does not divide it: no cap gets room for it"
            }
            Self::LessThanNothing => {
                "the bill says less than nothing: a refund makes no room on a day on which that much was not spent"
            }
            Self::NoAccount => {
                "the ledger knows no machine of the space, and the bill does not tell the machinetype"
            }
        }
    }
}

impl Comparison {
    /// What is to be appended to the ledger.
    pub fn events(&self, source: &str) -> Vec<Event> {
        self.corrections.iter().map(|correction| correction.event(source)).collect()
    }
}

impl Correction {
    /// As it is appended to the ledger: at noon of UTC, which is within the day by the clocks from 12 hours west to 11 hours east of
    /// Greenwich, and within a grant that begins or ends at midnight by one of them. Further east noon is the next day's midnight or
    /// later, and a grant that ends in the morning, or begins in the afternoon, has the correction of a day or not as it has its noon.
    pub fn event(&self, source: &str) -> Event {
        Event::Corrected {
            account: self.account.clone(),
            at: self.day.noon(),
            amount: self.amount,
            source: source.to_owned(),
        }
    }
}
