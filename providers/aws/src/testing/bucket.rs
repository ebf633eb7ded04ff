//! Token buckets: how many requests and launches a region takes from an account.
//!
//! The rates are those of "Throttle requests to the Amazon EC2 API" (EC2 Developer Guide): a bucket holds at
//! most `burst` tokens and gets `rate` new ones each second; a call takes one, a launch one more for each
//! machine from a bucket of its own.

use vcycle_api::Timestamp;

/// Size and refill of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// New tokens in a second.
    pub rate: u32,
    /// The most tokens that it holds.
    pub burst: u32,
}

/// The buckets of an account in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Calls of `RunInstances`.
    pub launches: Rate,
    /// Machines launched.
    pub machines: Rate,
    /// Calls of `TerminateInstances`.
    pub terminations: Rate,
    /// Calls that only read.
    pub reads: Rate,
    /// Calls of `CreateTags`.
    pub tags: Rate,
    /// Other calls that change something.
    pub changes: Rate,
}

impl Rates {
    /// What a region takes by default.
    pub fn real() -> Self {
        Self {
            launches: Rate { rate: 2, burst: 5 },
            machines: Rate { rate: 2, burst: 1000 },
            terminations: Rate { rate: 5, burst: 100 },
            reads: Rate { rate: 20, burst: 100 },
            tags: Rate { rate: 10, burst: 100 },
            changes: Rate { rate: 5, burst: 50 },
        }
    }
}

/// A bucket with what is in it, in thousandths of a token: a rate of one a second fills one thousandth a
/// millisecond.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    level: u64,
    filled: Timestamp,
}

impl Bucket {
    fn new(rate: Rate, now: Timestamp) -> Self {
        Self { rate, level: u64::from(rate.burst) * 1000, filled: now }
    }

    fn holds(&mut self, tokens: u32, now: Timestamp) -> bool {
        let passed = u64::try_from(now.since(self.filled).as_millis()).unwrap_or(u64::MAX);
        let fresh = passed.saturating_mul(u64::from(self.rate.rate));
        self.level = self.level.saturating_add(fresh).min(u64::from(self.rate.burst) * 1000);
        self.filled = self.filled.max(now);
        self.level >= u64::from(tokens) * 1000
    }

    fn take(&mut self, tokens: u32) {
        self.level -= u64::from(tokens) * 1000;
    }
}

/// All buckets.
#[derive(Debug)]
pub(crate) struct Buckets {
    launches: Bucket,
    machines: Bucket,
    terminations: Bucket,
    reads: Bucket,
    tags: Bucket,
    changes: Bucket,
}

impl Buckets {
    pub(crate) fn new(rates: &Rates, now: Timestamp) -> Self {
        let Rates { launches, machines, terminations, reads, tags, changes } = *rates;
        Self {
            launches: Bucket::new(launches, now),
            machines: Bucket::new(machines, now),
            terminations: Bucket::new(terminations, now),
            reads: Bucket::new(reads, now),
            tags: Bucket::new(tags, now),
            changes: Bucket::new(changes, now),
        }
    }

    /// Takes the token of a call; `false`: there is none.
    pub(crate) fn admits(&mut self, action: &str, now: Timestamp) -> bool {
        let bucket = match action {
            "RunInstances" => &mut self.launches,
            "TerminateInstances" => &mut self.terminations,
            "CreateTags" => &mut self.tags,
            other if other.starts_with("Describe") || other.starts_with("Get") => &mut self.reads,
            _ => &mut self.changes,
        };
        let holds = bucket.holds(1, now);
        if holds {
            bucket.take(1);
        }
        holds
    }

    /// Whether so many machines may be launched now.
    pub(crate) fn may_launch(&mut self, machines: u32, now: Timestamp) -> bool {
        self.machines.holds(machines, now)
    }

    /// They are launched.
    pub(crate) fn launched(&mut self, machines: u32) {
        self.machines.take(machines);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_two_calls_a_second() {
        let begin = Timestamp::from_secs(1000);
        let mut buckets = Buckets::new(&Rates::real(), begin);
        let passed = (0..20).filter(|_| buckets.admits("RunInstances", begin)).count();
        assert_eq!(passed, 5);
        assert!(buckets.admits("DescribeInstances", begin), "each kind has its own bucket");
        let later = begin + Duration::from_millis(499);
        assert!(!buckets.admits("RunInstances", later));
        assert!(buckets.admits("RunInstances", begin + Duration::from_millis(500)));
        let much_later = begin + Duration::from_secs(3600);
        let passed = (0..20).filter(|_| buckets.admits("RunInstances", much_later)).count();
        assert_eq!(passed, 5, "it holds no more than its burst");
    }

    #[test]
    fn a_thousand_machines_at_once_and_then_two_a_second() {
        let begin = Timestamp::from_secs(1000);
        let mut buckets = Buckets::new(&Rates::real(), begin);
        assert!(!buckets.may_launch(1001, begin));
        assert!(buckets.may_launch(1000, begin));
        buckets.launched(1000);
        assert!(!buckets.may_launch(1, begin));
        assert!(buckets.may_launch(2, begin + Duration::from_secs(1)));
    }
}
