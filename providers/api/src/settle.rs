//! When an unanswered create may be called dead, without trusting anybody's clock.
//!
//! `since` in [`crate::Act::resolve`] was stamped by a manager whose clock may be minutes off from
//! ours. So the wait is measured twice: by the stamp, and on our own monotonic clock from the first
//! time that we were asked about the intent. Only when both have passed has the intent settled.

use std::collections::HashMap;
use std::time::Duration;

use crate::{Clock, IntentToken, Timestamp};

/// The open intents of one provider, with the time at which we first heard of each.
#[derive(Debug, Default)]
pub struct Settling {
    first_asked: HashMap<IntentToken, Duration>,
}

impl Settling {
    /// Whether `settle` has certainly passed since the create call of this intent.
    /// With a `settle` of zero it always has.
    pub fn has_settled(
        &mut self,
        intent: &IntentToken,
        since: Timestamp,
        settle: Duration,
        clock: &dyn Clock,
    ) -> bool {
        if settle.is_zero() {
            return true;
        }
        let first = *self.first_asked.entry(*intent).or_insert_with(|| clock.monotonic());
        clock.monotonic().saturating_sub(first) >= settle && clock.now().since(since) >= settle
    }

    /// A create of this intent is being sent again: the wait begins anew.
    pub fn sent_again(&mut self, intent: &IntentToken, clock: &dyn Clock) {
        self.first_asked.insert(*intent, clock.monotonic());
    }

    /// The intent is resolved: nobody will ask again.
    pub fn forget(&mut self, intent: &IntentToken) {
        self.first_asked.remove(intent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    const SETTLE: Duration = Duration::from_secs(30);

    #[test]
    fn a_stamp_from_a_slow_clock_does_not_shorten_the_wait() {
        let clock = ManualClock::at(Timestamp::from_secs(10_000));
        let intent = IntentToken::compose(1);
        let long_ago = Timestamp::from_secs(1);
        let mut settling = Settling::default();
        assert!(!settling.has_settled(&intent, long_ago, SETTLE, &clock));
        clock.advance(SETTLE - Duration::from_millis(1));
        assert!(!settling.has_settled(&intent, long_ago, SETTLE, &clock));
        clock.advance(Duration::from_millis(1));
        assert!(settling.has_settled(&intent, long_ago, SETTLE, &clock));
    }

    #[test]
    fn a_stamp_from_the_future_keeps_it_waiting() {
        let clock = ManualClock::at(Timestamp::from_secs(10_000));
        let intent = IntentToken::compose(1);
        let mut settling = Settling::default();
        assert!(!settling.has_settled(&intent, Timestamp::from_secs(10_100), SETTLE, &clock));
        clock.advance(SETTLE * 2);
        assert!(!settling.has_settled(&intent, Timestamp::from_secs(10_100), SETTLE, &clock));
        clock.advance(SETTLE * 3);
        assert!(settling.has_settled(&intent, Timestamp::from_secs(10_100), SETTLE, &clock));
    }

    #[test]
    fn sending_again_starts_the_wait_again() {
        let clock = ManualClock::at(Timestamp::from_secs(10_000));
        let intent = IntentToken::compose(1);
        let mut settling = Settling::default();
        assert!(!settling.has_settled(&intent, clock.now(), SETTLE, &clock));
        let sent = clock.now();
        clock.advance(SETTLE);
        settling.sent_again(&intent, &clock);
        assert!(!settling.has_settled(&intent, sent, SETTLE, &clock));
    }
}
