//! What seldom changes, remembered for a while: flavours, subnets, images. One reader at a time, so that many
//! creates at once ask the cloud once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Clock;
use tokio::sync::Mutex;

/// One remembered answer.
pub struct Cache<T> {
    clock: Arc<dyn Clock>,
    /// With the time, on our own clock, at which it was asked for.
    slot: Mutex<Option<(Duration, Arc<T>)>>,
}

impl<T> Cache<T> {
    /// Nothing remembered.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, slot: Mutex::new(None) }
    }

    /// The remembered answer if it is younger than `age`, else what `read` gives. A read that
    /// fails changes nothing.
    pub async fn younger_than<E>(
        &self,
        age: Duration,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let mut slot = self.slot.lock().await;
        let asked = self.clock.monotonic();
        if let Some((at, value)) = &*slot
            && asked.saturating_sub(*at) < age
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(read.await?);
        *slot = Some((asked, Arc::clone(&value)));
        Ok(value)
    }

    /// A newer answer came by another way.
    pub async fn put(&self, value: T) {
        *self.slot.lock().await = Some((self.clock.monotonic(), Arc::new(value)));
    }

    /// The cloud said that something of it is not true any more.
    pub async fn forget(&self) {
        *self.slot.lock().await = None;
    }
}

impl<T> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

#[cfg(test)]
mod tests {
    use crate::{ManualClock, Timestamp};

    use super::*;

    const AGE: Duration = Duration::from_secs(60);

    async fn read(cache: &Cache<u8>, answer: Result<u8, &'static str>) -> Result<u8, &'static str> {
        cache.younger_than(AGE, async { answer }).await.map(|value| *value)
    }

    #[tokio::test]
    async fn an_answer_is_asked_for_again_only_when_it_is_old_or_forgotten() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1)));
        let cache = Cache::new(Arc::<ManualClock>::clone(&clock) as Arc<dyn Clock>);
        assert_eq!(read(&cache, Ok(1)).await, Ok(1));
        assert_eq!(read(&cache, Ok(2)).await, Ok(1));
        clock.advance(AGE);
        assert_eq!(read(&cache, Err("away")).await, Err("away"));
        assert_eq!(read(&cache, Ok(3)).await, Ok(3));
        cache.forget().await;
        assert_eq!(read(&cache, Ok(4)).await, Ok(4));
        cache.put(5).await;
        assert_eq!(read(&cache, Ok(6)).await, Ok(5));
    }
}
