//! What the instances of a region use of the account's quotas. Counted from a listing, as EC2 tells the limits and
//! nowhere the use. Foreign instances count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use vcycle_api::{Market, Processors};

use crate::instance::Seen;

/// How old a count may be when it is asked for, from its begin; how long it took does not matter. The cycle asks for the
/// listing and for the quota side by side, and the request budget may send the second later, by its patience of 2 s.
const LIFETIME: Duration = Duration::from_secs(5);

/// What instances use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    /// Instances that exist.
    pub(crate) machines: u32,
    /// Processors of the standard families on demand.
    pub(crate) on_demand: Processors,
    /// Processors of the standard families by spot requests.
    pub(crate) spot: Processors,
    /// Processors of all families and markets.
    pub(crate) all: Processors,
}

impl Usage {
    /// Adds an instance of this size.
    pub(crate) fn add(&mut self, seen: &Seen, processors: Processors) {
        if seen.is_terminated() {
            return;
        }
        self.machines = self.machines.saturating_add(1);
        if !seen.holds_processors() {
            return;
        }
        self.all = self.all.plus(processors);
        if seen.flavour.as_deref().is_some_and(is_standard) {
            let pool = match seen.market {
                Market::OnDemand => &mut self.on_demand,
                Market::Preemptible => &mut self.spot,
            };
            *pool = pool.plus(processors);
        }
    }
}

/// Whether a type is of the families A, C, D, H, I, M, R, T and Z, which share one quota (user guide, "On-Demand
/// Instance quotas"). `hpc`, `inf`, `trn`, `mac`, `dl` and the like have their own.
pub(crate) fn is_standard(flavour: &str) -> bool {
    let family: String = flavour.chars().take_while(char::is_ascii_alphabetic).collect();
    matches!(family.as_str(), "a" | "c" | "d" | "h" | "i" | "im" | "is" | "m" | "r" | "t" | "z")
}

/// The last count. Whoever counts holds it, so that others wait for the answer and do not count again.
#[derive(Debug, Default)]
pub(crate) struct UsageSlot {
    slot: Mutex<Option<Counted>>,
    changes: AtomicU64,
    failures: AtomicU64,
}

/// What is known of the use.
pub(crate) enum Known<'a> {
    /// So much, by a young count or one that was under way.
    Usage(Usage),
    /// The count that was under way has failed, and another one would now, too.
    Failed,
    /// Nothing, and nobody counts: the right to do it.
    Nothing(Counting<'a>),
}

/// A count, when it was begun on our monotonic clock, and how often we had changed the cloud by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) usage: Usage,
    at: Duration,
    changes: u64,
}

/// The right to count.
pub(crate) struct Counting<'a> {
    slot: MutexGuard<'a, Option<Counted>>,
    at: Duration,
    changes: u64,
    failures: &'a AtomicU64,
}

impl UsageSlot {
    /// We made or ended an instance: the last count is not true any more.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Begins a count; the last one is forgotten.
    pub(crate) async fn begin(&self, now: impl FnOnce() -> Duration) -> Counting<'_> {
        let mut slot = self.slot.lock().await;
        *slot = None;
        self.counting(slot, now())
    }

    /// The count that is under way, or the last one if it is young, or else the right to count.
    pub(crate) async fn young(&self, now: impl Fn() -> Duration) -> Known<'_> {
        let (asked, failures) = (now(), self.failures.load(Ordering::SeqCst));
        let mut slot = self.slot.lock().await;
        match slot.take() {
            Some(last) if self.is_true(last) && asked.saturating_sub(last.at) < LIFETIME => {
                *slot = Some(last);
                Known::Usage(last.usage)
            }
            None if self.failures.load(Ordering::SeqCst) != failures => Known::Failed,
            Some(_) | None => Known::Nothing(self.counting(slot, now())),
        }
    }

    fn is_true(&self, last: Counted) -> bool {
        last.changes == self.changes.load(Ordering::SeqCst)
    }

    fn counting<'a>(&'a self, slot: MutexGuard<'a, Option<Counted>>, at: Duration) -> Counting<'a> {
        let changes = self.changes.load(Ordering::SeqCst);
        Counting { slot, at, changes, failures: &self.failures }
    }
}

impl Counting<'_> {
    /// The count of a complete listing.
    pub(crate) fn end(mut self, usage: Usage) {
        *self.slot = Some(Counted { usage, at: self.at, changes: self.changes });
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        if self.slot.is_none() {
            self.failures.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use futures::poll;

    use super::*;
    use crate::instance::tests::seen;

    #[test]
    fn only_the_families_of_the_standard_quota_count_in_it() {
        let standard =
            ["m5.large", "c7g.4xlarge", "t3a.nano", "im4gn.large", "is4gen.large", "z1d.large"];
        let others = [
            "p4d.24xlarge",
            "g5.xlarge",
            "hpc7a.96xlarge",
            "inf2.xlarge",
            "mac2.metal",
            "x2gd.large",
        ];
        assert!(standard.into_iter().all(is_standard));
        assert!(!others.into_iter().any(is_standard));
    }

    #[test]
    fn instances_count_as_long_as_they_hold_what_is_counted() {
        let mut usage = Usage::default();
        for state in ["pending", "running", "shutting-down", "terminated", "stopped"] {
            usage.add(&seen("i-1", state), Processors(2));
        }
        let mut spot = seen("i-2", "running");
        spot.market = Market::Preemptible;
        usage.add(&spot, Processors(8));
        let mut gpu = seen("i-3", "running");
        gpu.flavour = Some("p3.2xlarge".to_owned());
        usage.add(&gpu, Processors(16));
        let wanted = Usage {
            machines: 6,
            on_demand: Processors(4),
            spot: Processors(8),
            all: Processors(28),
        };
        assert_eq!(usage, wanted);
    }

    async fn known(slot: &UsageSlot, at: Duration) -> Option<Usage> {
        match slot.young(|| at).await {
            Known::Usage(usage) => Some(usage),
            Known::Failed => panic!("nothing was under way"),
            Known::Nothing(_) => None,
        }
    }

    const USAGE: Usage =
        Usage { machines: 3, on_demand: Processors(0), spot: Processors(0), all: Processors(0) };

    #[tokio::test]
    async fn a_count_is_used_again_only_while_it_is_young_and_nothing_was_changed() {
        let slot = UsageSlot::default();
        let at = Duration::from_secs(10);
        slot.begin(|| at).await.end(USAGE);
        assert_eq!(known(&slot, at).await, Some(USAGE));
        assert_eq!(known(&slot, at + LIFETIME).await, None, "it is too old");
        slot.begin(|| at).await.end(USAGE);
        slot.changed();
        assert_eq!(known(&slot, at).await, None, "something was changed");
        slot.begin(|| at).await.end(USAGE);
        drop(slot.begin(|| at).await);
        assert_eq!(known(&slot, at).await, None, "the listing after it failed");
    }

    #[tokio::test]
    async fn a_count_under_way_is_waited_for_however_long_it_takes() {
        let slot = UsageSlot::default();
        let time = Cell::new(Duration::from_secs(10));
        let counting = slot.begin(|| time.get()).await;
        let mut asked = pin!(slot.young(|| time.get()));
        assert!(poll!(&mut asked).is_pending());
        time.set(time.get() + LIFETIME * 10);
        counting.end(USAGE);
        assert!(matches!(asked.await, Known::Usage(USAGE)));
    }

    #[tokio::test]
    async fn whoever_waited_for_a_count_that_failed_does_not_count_again() {
        let (slot, at) = (UsageSlot::default(), Duration::from_secs(10));
        let counting = slot.begin(|| at).await;
        let mut asked = pin!(slot.young(|| at));
        assert!(poll!(&mut asked).is_pending());
        drop(counting);
        assert!(matches!(asked.await, Known::Failed));
        assert_eq!(known(&slot, at).await, None, "later it may go well");
    }
}
