//! Where the time comes from: the only door to the wall clock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::Timestamp;

/// Tells the time. Real in production; a simulation gives each manager its own.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The wall clock: for records and for people; may step.
    fn now(&self) -> Timestamp;

    /// Time since some fixed start, never stepping back: for leases and pauses.
    fn monotonic(&self) -> std::time::Duration;
}

/// The host's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// Starts the monotonic clock at zero.
    #[expect(clippy::disallowed_methods, reason = "this is the door to the host's clock")]
    pub fn new() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door to the host's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_system(std::time::SystemTime::now())
    }

    fn monotonic(&self) -> std::time::Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is moved: for simulations and tests.
#[derive(Debug)]
pub struct ManualClock {
    wall_millis: AtomicI64,
    monotonic_millis: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `now`; its monotonic side begins at zero.
    pub fn at(now: Timestamp) -> Self {
        Self { wall_millis: AtomicI64::new(now.as_millis()), monotonic_millis: AtomicU64::new(0) }
    }

    /// Lets time pass, on both sides; parts of a millisecond are dropped.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.monotonic_millis.fetch_add(millis, Ordering::SeqCst);
        self.wall_millis.fetch_add(i64::try_from(millis).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the wall clock as an administrator would, also backwards; no time passes.
    pub fn step_wall(&self, to: Timestamp) {
        self.wall_millis.store(to.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall_millis.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_millis.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_is_not_the_passing_of_time() {
        let clock = ManualClock::at(Timestamp::from_secs(100));
        clock.advance(Duration::from_secs(5));
        clock.step_wall(Timestamp::from_secs(7));
        assert_eq!(clock.now(), Timestamp::from_secs(7));
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }
}
