//! A clock that is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use vcycle_api::{Clock, Timestamp};

/// Another clock, shown with an offset. Its monotonic side is the other's.
#[derive(Debug)]
pub struct SkewedClock {
    inner: Arc<dyn Clock>,
    offset_millis: AtomicI64,
}

impl SkewedClock {
    /// Right at first.
    pub fn new(inner: Arc<dyn Clock>) -> Self {
        Self { inner, offset_millis: AtomicI64::new(0) }
    }

    /// From now on `millis` ahead of the truth; negative: behind.
    pub fn set_offset_millis(&self, millis: i64) {
        self.offset_millis.store(millis, Ordering::SeqCst);
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let offset = self.offset_millis.load(Ordering::SeqCst);
        Timestamp::from_millis(self.inner.now().as_millis().saturating_add(offset))
    }

    fn monotonic(&self) -> Duration {
        self.inner.monotonic()
    }
}
