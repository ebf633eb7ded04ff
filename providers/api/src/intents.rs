//! Which intents this process has heard of, and which of those that are asked about have settled.
//!
//! Where a cloud does not say whether a create made its machine now or before, this does: one that was sent or
//! asked about may have its machine already. One that we never heard of is new, for the core resolves an intent
//! of a manager that died before it sends it again, and that is asked here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Clock, IntentToken, Settling, Timestamp};

/// How long an intent is remembered after it was last heard of. None stays open for as long.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Whether the create of an intent may have been sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// We have not heard of it.
    Never,
    /// It was sent, or asked about.
    Perhaps,
}

/// The intents of one space.
pub struct Intents {
    clock: Arc<dyn Clock>,
    settle: Duration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    settling: Settling,
    /// With the time on our own clock.
    heard: HashMap<IntentToken, Duration>,
    pruned: Duration,
}

impl Intents {
    /// None is known. `settle` is how long a machine may stay unseen after its create.
    pub fn new(clock: Arc<dyn Clock>, settle: Duration) -> Self {
        Self { clock, settle, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        let now = self.clock.monotonic();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(known.pruned) >= REMEMBERED {
            known.pruned = now;
            known.heard.retain(|_, at| now.saturating_sub(*at) < REMEMBERED);
        }
        known
    }

    /// Whether it may have been sent before.
    pub fn before(&self, intent: &IntentToken) -> Before {
        if self.known().heard.contains_key(intent) { Before::Perhaps } else { Before::Never }
    }

    /// Its create is being sent, or has just been lost: the wait begins now.
    pub fn sent(&self, intent: &IntentToken) {
        let mut known = self.known();
        known.heard.insert(*intent, self.clock.monotonic());
        known.settling.sent_again(intent, &*self.clock);
    }

    /// Somebody asks what became of it. Whether a look that begins now can prove its absence.
    pub fn has_settled(&self, intent: &IntentToken, since: Timestamp) -> bool {
        let mut known = self.known();
        known.heard.insert(*intent, self.clock.monotonic());
        known.settling.has_settled(intent, since, self.settle, &*self.clock)
    }

    /// Its only create was refused: it has made nothing, and is new again.
    pub fn refused(&self, intent: &IntentToken) {
        let mut known = self.known();
        known.heard.remove(intent);
        known.settling.forget(intent);
    }

    /// It is known what became of it.
    pub fn resolved(&self, intent: &IntentToken) {
        self.known().settling.forget(intent);
    }
}

impl std::fmt::Debug for Intents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Intents")
    }
}

#[cfg(test)]
mod tests {
    use crate::ManualClock;

    use super::*;

    const SETTLE: Duration = Duration::from_secs(120);

    fn intents() -> (Arc<ManualClock>, Intents) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(10_000)));
        (Arc::clone(&clock), Intents::new(clock, SETTLE))
    }

    #[test]
    fn an_intent_that_was_sent_or_asked_about_has_been_heard_of_for_a_day() {
        let (clock, intents) = intents();
        let (sent, asked, new) =
            (IntentToken::compose(1), IntentToken::compose(2), IntentToken::compose(3));
        intents.sent(&sent);
        assert!(!intents.has_settled(&asked, clock.now()));
        intents.resolved(&asked);
        let before = |intents: &Intents| [&sent, &asked, &new].map(|intent| intents.before(intent));
        assert_eq!(before(&intents), [Before::Perhaps, Before::Perhaps, Before::Never]);
        clock.advance(REMEMBERED);
        assert_eq!(before(&intents), [Before::Never; 3]);
    }

    #[test]
    fn an_intent_that_was_refused_is_new_again() {
        let (_, intents) = intents();
        let intent = IntentToken::compose(1);
        intents.sent(&intent);
        intents.refused(&intent);
        assert_eq!(intents.before(&intent), Before::Never);
    }

    #[test]
    fn a_lost_reply_starts_the_wait_anew() {
        let (clock, intents) = intents();
        let intent = IntentToken::compose(1);
        let since = clock.now();
        intents.sent(&intent);
        clock.advance(SETTLE / 2);
        intents.sent(&intent);
        clock.advance(SETTLE / 2);
        assert!(!intents.has_settled(&intent, since));
        clock.advance(SETTLE / 2);
        assert!(intents.has_settled(&intent, since));
    }
}
