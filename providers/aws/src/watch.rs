//! Which instances of ours this process has seen alive, and which of them it has asked to end.
//!
//! EC2 shows ended instances for about an hour. How one ended is worth telling once, while its record is open;
//! afterwards it is a tombstone like any other. So what a terminated instance died of is told only of one that
//! was seen alive here, until the core asks for its end. A manager that takes over tells of the older ones
//! that they are gone, and adopts none of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vcycle_api::{Clock, DeploymentId, Identity, InstanceId, IntentToken, Interruption, Timestamp};

use crate::instance::Seen;

/// What is known of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Known {
    /// When we made it, on our monotonic clock; `None`: it has been seen since.
    pub(crate) made: Option<Duration>,
    /// When it was first seen to be ending or ended.
    pub(crate) ended: Option<Timestamp>,
    /// We asked for its end, and EC2 has taken note.
    pub(crate) asked: bool,
}

/// The instances.
pub(crate) struct Watch {
    clock: Arc<dyn Clock>,
    settle: Duration,
    deployment: Option<DeploymentId>,
    ours: Mutex<HashMap<InstanceId, Known>>,
    /// Tombstones of the last listing that Amazon took back, and that were never seen alive here.
    taken_back: Mutex<Vec<Interruption>>,
}

impl Watch {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        settle: Duration,
        deployment: Option<DeploymentId>,
    ) -> Self {
        Self { clock, settle, deployment, ours: Mutex::default(), taken_back: Mutex::default() }
    }

    fn ours(&self) -> MutexGuard<'_, HashMap<InstanceId, Known>> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance was made for an intent of ours, or found to have been.
    pub(crate) fn made(&self, id: &InstanceId) {
        let made = Some(self.clock.monotonic());
        self.ours().entry(id.clone()).or_insert(Known { made, ..Known::default() });
    }

    /// It is shown.
    pub(crate) fn met(&self, seen: &Seen) {
        let mut ours = self.ours();
        if !seen.is_terminated() && self.is_ours(&seen.identity) {
            ours.entry(seen.id.clone()).or_default();
        }
        if let Some(known) = ours.get_mut(&seen.id) {
            known.made = None;
            if seen.is_ending() {
                known.ended.get_or_insert_with(|| self.clock.now());
            }
        }
    }

    fn is_ours(&self, identity: &Identity) -> bool {
        match identity {
            Identity::Vcycle(tags) => {
                self.deployment.as_ref().is_none_or(|ours| tags.deployment == *ours)
            }
            Identity::Foreign => false,
        }
    }

    /// We asked for its end, and EC2 has taken note.
    pub(crate) fn asked(&self, id: &InstanceId) {
        if let Some(known) = self.ours().get_mut(id) {
            known.asked = true;
        }
    }

    /// What is known of it; `None`: it was never seen alive here.
    pub(crate) fn known(&self, id: &InstanceId) -> Option<Known> {
        self.ours().get(id).copied()
    }

    /// Whether it was made so lately that EC2 may not show it yet: then `NotFound` proves nothing.
    pub(crate) fn is_fresh(&self, id: &InstanceId) -> bool {
        let made = self.known(id).and_then(|known| known.made);
        made.is_some_and(|made| self.clock.monotonic().saturating_sub(made) < self.settle)
    }

    /// What of a listing is gone without a word of how, and was taken back: a manager that takes over tells it as an
    /// interruption, as the record of the machine may still be open.
    pub(crate) fn saw(&self, listed: &[Seen]) {
        let is_news = |seen: &&Seen| {
            let may_be_ours = match &seen.identity {
                Identity::Vcycle(_) => self.is_ours(&seen.identity),
                // The tags of a tombstone go before it does.
                Identity::Foreign => seen.client_token.as_deref().is_some_and(is_intent),
            };
            may_be_ours && seen.was_taken_back() && self.known(&seen.id).is_none()
        };
        let news = listed.iter().filter(is_news);
        let news = news.map(|seen| Interruption { instance: seen.id.clone(), at: seen.changed() });
        *self.taken_back.lock().unwrap_or_else(PoisonError::into_inner) = news.collect();
    }

    /// What the last listing showed to have been taken back, unseen by us.
    pub(crate) fn taken_back(&self) -> Vec<Interruption> {
        self.taken_back.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A complete listing: what it lacks is forgotten, unless it may not show it yet.
    pub(crate) fn saw_all(&self, listed: &HashSet<&InstanceId>) {
        let now = self.clock.monotonic();
        let may_come =
            |known: &Known| known.made.is_some_and(|at| now.saturating_sub(at) < self.settle);
        self.ours().retain(|id, known| listed.contains(id) || may_come(known));
    }
}

fn is_intent(token: &str) -> bool {
    IntentToken::parse(token).is_ok()
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watch({})", self.ours().len())
    }
}

#[cfg(test)]
mod tests {
    use vcycle_api::ManualClock;

    use super::*;
    use crate::instance::Reason;
    use crate::instance::tests::{seen, seen_of};

    const SETTLE: Duration = Duration::from_secs(600);

    fn watch(deployment: Option<DeploymentId>) -> (Arc<ManualClock>, Watch) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(10_000)));
        (Arc::clone(&clock), Watch::new(clock, SETTLE, deployment))
    }

    #[test]
    fn only_what_was_seen_alive_and_is_ours_is_known() {
        let ours = DeploymentId::compose(1);
        let (_, watch) = watch(Some(ours.clone()));
        watch.met(&seen_of("i-1", "running", Some(&ours)));
        watch.met(&seen_of("i-2", "terminated", Some(&ours)));
        watch.met(&seen_of("i-3", "running", Some(&DeploymentId::compose(2))));
        watch.met(&seen_of("i-4", "running", None));
        let known = |id: &str| watch.known(&InstanceId::parse(id).unwrap()).is_some();
        let known: Vec<bool> = ["i-1", "i-2", "i-3", "i-4"].into_iter().map(known).collect();
        assert_eq!(known, [true, false, false, false]);
    }

    #[test]
    fn an_end_is_dated_when_it_is_first_seen() {
        let (clock, watch) = watch(None);
        let id = InstanceId::parse("i-1").unwrap();
        watch.met(&seen("i-1", "running"));
        assert_eq!(watch.known(&id).unwrap().ended, None);
        let first = clock.now();
        watch.met(&seen("i-1", "shutting-down"));
        clock.advance(SETTLE);
        watch.met(&seen("i-1", "terminated"));
        assert_eq!(watch.known(&id).unwrap().ended, Some(first));
    }

    #[test]
    fn what_was_taken_back_unseen_is_told_as_long_as_it_is_listed() {
        let ours = DeploymentId::compose(1);
        let (_, watch) = watch(Some(ours.clone()));
        let taken = |id: &str, deployment: Option<&DeploymentId>| {
            let reason = Reason {
                code: "Server.SpotInstanceTermination".to_owned(),
                message: String::new(),
            };
            Seen { reason: Some(reason), ..seen_of(id, "terminated", deployment) }
        };
        let mut bare = taken("i-bare", None);
        bare.client_token = Some(IntentToken::compose(1).to_string());
        watch.met(&seen_of("i-watched", "running", Some(&ours)));
        let listed = [
            taken("i-1", Some(&ours)),
            taken("i-watched", Some(&ours)),
            taken("i-theirs", Some(&DeploymentId::compose(2))),
            taken("i-strange", None),
            bare,
            seen_of("i-2", "terminated", Some(&ours)),
        ];
        watch.saw(&listed);
        let told: Vec<String> =
            watch.taken_back().iter().map(|notice| notice.instance.to_string()).collect();
        assert_eq!(told, ["i-1", "i-bare"]);
        watch.saw(&[]);
        assert_eq!(watch.taken_back(), []);
    }

    #[test]
    fn what_was_just_made_may_be_missing_until_it_has_settled_or_was_seen() {
        let (clock, watch) = watch(None);
        let [made, met] = ["i-1", "i-2"].map(|id| InstanceId::parse(id).unwrap());
        watch.made(&made);
        watch.made(&met);
        watch.met(&seen("i-2", "pending"));
        assert!(watch.is_fresh(&made) && !watch.is_fresh(&met));
        watch.saw_all(&HashSet::new());
        assert!(watch.is_fresh(&made) && watch.known(&met).is_none());
        clock.advance(SETTLE);
        assert!(!watch.is_fresh(&made));
        watch.saw_all(&HashSet::new());
        assert_eq!(watch.known(&made), None);
    }
}
