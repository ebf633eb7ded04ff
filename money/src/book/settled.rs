//! What was spent for good: by hour of UTC, account and purpose.

use serde::{Deserialize, Serialize};
use vcycle_api::Timestamp;

use super::accounts::AccountNumber;
use super::shards::{Sharded, Shards};
use super::sums::AN_HOUR;
use super::windows::{HOUR, Span};
use crate::{Amount, SettleReason};

/// An hour of UTC, counted from the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hour(pub i64);

impl Hour {
    /// That of a moment.
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_millis().div_euclid(HOUR))
    }

    /// When it begins.
    pub fn begin(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(HOUR))
    }

    /// From its begin to its end.
    pub fn span(self) -> Span {
        Span { from: self.begin(), to: self.begin() + AN_HOUR }
    }

    /// Those that a time touches.
    pub fn touched_by(span: Span) -> impl Iterator<Item = Self> {
        let first = Self::of(span.from).0;
        // The end is outside.
        let last = Self::of(Timestamp::from_millis(span.to.as_millis().saturating_sub(1))).0;
        (first..=last).map(Self)
    }
}

/// What money was spent on: what worked, what was waste, and what only a bill knew of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Machines that worked.
    Worked,
    /// Machines that ended at once without having worked.
    Fizzled,
    /// Machines that never started.
    NeverStarted,
    /// Machines that were taken back by the provider.
    Preempted,
    /// Machines that were deleted while they ran.
    Killed,
    /// Differences to bills.
    Corrected,
}

impl Purpose {
    /// Whether it was of no use.
    pub fn is_waste(self) -> bool {
        match self {
            Self::Fizzled | Self::NeverStarted | Self::Preempted => true,
            Self::Worked | Self::Killed | Self::Corrected => false,
        }
    }

    /// One word, for tables and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Worked => "worked",
            Self::Fizzled => "fizzled",
            Self::NeverStarted => "never-started",
            Self::Preempted => "preempted",
            Self::Killed => "killed",
            Self::Corrected => "corrected",
        }
    }
}

impl From<SettleReason> for Purpose {
    fn from(reason: SettleReason) -> Self {
        match reason {
            SettleReason::Worked => Self::Worked,
            SettleReason::Fizzled => Self::Fizzled,
            SettleReason::NeverStarted => Self::NeverStarted,
            SettleReason::Preempted => Self::Preempted,
            SettleReason::Killed => Self::Killed,
        }
    }
}

/// Where an amount is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket {
    pub(super) hour: Hour,
    pub(super) account: AccountNumber,
    pub(super) purpose: Purpose,
}

impl Sharded for Bucket {
    fn shard(&self) -> i64 {
        self.hour.0.div_euclid(16)
    }
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settled(Shards<Bucket, Amount>);

impl Settled {
    pub(super) fn add(&mut self, bucket: Bucket, more: Amount) {
        if more == Amount::ZERO {
            return;
        }
        let sum = self.0.get(&bucket).copied().unwrap_or_default() + more;
        if sum == Amount::ZERO {
            self.0.remove(&bucket);
        } else {
            self.0.insert(bucket, sum);
        }
    }

    /// Of these hours, both inside, by hour.
    pub(super) fn between(
        &self,
        first: Hour,
        last: Hour,
    ) -> impl Iterator<Item = (Bucket, Amount)> + use<'_> {
        let lowest = Bucket { hour: first, account: AccountNumber(0), purpose: Purpose::Worked };
        let highest =
            Bucket { hour: last, account: AccountNumber(u32::MAX), purpose: Purpose::Corrected };
        self.0.range(lowest..=highest).map(|(bucket, amount)| (*bucket, *amount))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Bucket, Amount)> + use<'_> {
        self.0.iter().map(|(bucket, amount)| (*bucket, *amount))
    }
}
