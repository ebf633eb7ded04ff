//! Volumes and ports of ours that nothing uses. One look proves nothing, as the cloud may show a volume before the
//! machine that it is made for: only what was unused in two looks, apart by more than the settle time on our own
//! monotonic clock, is told to the planner as such.

use std::collections::HashMap;
use std::time::Duration;

use tracing::warn;
use vcycle_api::{Observe, ProviderError, SideResource};

use crate::plan::LeftBehind;

/// Cycles between two looks: what is left behind costs little for some minutes, and listing it costs requests.
const EVERY_CYCLES: u32 = 10;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct SideWatch {
    /// In how many cycles the next look is due.
    cycles_left: u32,
    /// Since when each has been seen unused without a break.
    unused: HashMap<(String, String), Duration>,
}

/// The answer of a look; `None`: none was due.
pub(super) type Answer = Option<Result<Vec<SideResource>, ProviderError>>;

impl SideWatch {
    /// Asks the cloud if a look is due.
    pub(super) async fn ask(&self, provider: &dyn Observe) -> Answer {
        if self.cycles_left > 0 {
            return None;
        }
        Some(provider.side_resources().await)
    }

    /// What follows from the answer. A look that failed is repeated in the next cycle.
    pub(super) fn learn(&mut self, answer: Answer, now: Duration, settle: Duration) -> LeftBehind {
        let proven = match answer {
            None => {
                self.cycles_left = self.cycles_left.saturating_sub(1);
                Vec::new()
            }
            Some(Err(error)) => {
                warn!(%error, "volumes and ports that were left behind cannot be looked for");
                Vec::new()
            }
            Some(Ok(resources)) => {
                self.cycles_left = EVERY_CYCLES - 1;
                self.look(resources, now, settle)
            }
        };
        LeftBehind { known: u32::try_from(self.unused.len()).unwrap_or(u32::MAX), proven }
    }

    fn look(
        &mut self,
        resources: Vec<SideResource>,
        now: Duration,
        settle: Duration,
    ) -> Vec<SideResource> {
        let before = std::mem::take(&mut self.unused);
        let mut proven = Vec::new();
        for resource in resources.into_iter().filter(|resource| resource.attached_to.is_none()) {
            let key = (resource.kind.clone(), resource.id.clone());
            let since = before.get(&key).copied();
            self.unused.insert(key, since.unwrap_or(now));
            if since.is_some_and(|since| now.saturating_sub(since) > settle) {
                proven.push(resource);
            }
        }
        proven
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InstanceId;
    use crate::store::testing::example_record;

    const SETTLE: Duration = Duration::from_secs(120);

    fn volume(id: &str) -> SideResource {
        let tags = example_record(1).tags;
        SideResource { kind: "volume".to_owned(), id: id.to_owned(), tags, attached_to: None }
    }

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn used(id: &str) -> SideResource {
        let machine = InstanceId::parse("i-1").unwrap();
        SideResource { attached_to: Some(machine), ..volume(id) }
    }

    #[test]
    fn what_is_unused_in_two_looks_that_are_far_enough_apart_is_proven() {
        let mut watch = SideWatch::default();
        let first = watch.learn(Some(Ok(vec![volume("a"), used("b")])), at(0), SETTLE);
        assert_eq!(first, LeftBehind { known: 1, proven: Vec::new() });
        let soon = watch.learn(Some(Ok(vec![volume("a")])), at(120), SETTLE);
        assert_eq!(soon, LeftBehind { known: 1, proven: Vec::new() });
        let later = watch.learn(Some(Ok(vec![volume("a"), volume("c")])), at(121), SETTLE);
        assert_eq!(later, LeftBehind { known: 2, proven: vec![volume("a")] });
    }

    #[test]
    fn a_use_between_two_looks_begins_the_wait_anew() {
        let mut watch = SideWatch::default();
        for (secs, seen) in [(0, volume("a")), (200, used("a")), (400, volume("a"))] {
            let told = watch.learn(Some(Ok(vec![seen])), at(secs), SETTLE);
            assert!(told.proven.is_empty(), "at {secs} s");
        }
        let told = watch.learn(Some(Ok(vec![volume("a")])), at(600), SETTLE);
        assert_eq!(told.proven.len(), 1);
    }

    #[test]
    fn without_a_look_nothing_is_proven_and_what_is_known_stays() {
        let mut watch = SideWatch::default();
        watch.learn(Some(Ok(vec![volume("a")])), at(0), SETTLE);
        let failed = vcycle_api::ErrorKind::Unavailable;
        let failed = ProviderError::new(failed, "list volumes", "no answer");
        for answer in [None, Some(Err(failed))] {
            let told = watch.learn(answer, at(1_000), SETTLE);
            assert_eq!(told, LeftBehind { known: 1, proven: Vec::new() });
        }
    }
}
