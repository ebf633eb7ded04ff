//! Where the time comes from: the only door to the wall clock.

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
