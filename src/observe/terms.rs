//! What the cloud has promised, remembered for a while: it changes seldom, and never unannounced near its ends.

use std::time::Duration;

use tracing::warn;
use vcycle_api::{Observe, ProviderError};

use crate::model::{Terms, Timestamp};

/// For how long an answer is believed.
const BELIEVED: Duration = Duration::from_secs(10 * 60);

/// So near to the begin or the end of a lease it is asked for in every cycle: somebody may just be moving it.
const NEAR: Duration = Duration::from_secs(30 * 60);

/// The last answer, and when it came on our own monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct TermsMemory(Option<(Duration, Terms)>);

impl TermsMemory {
    /// Asks the cloud, if what is remembered is old.
    pub(super) async fn ask(
        &self,
        provider: &dyn Observe,
        (now, monotonic): (Timestamp, Duration),
    ) -> Option<Result<Terms, ProviderError>> {
        let is_fresh = self.0.as_ref().is_some_and(|(came, terms)| {
            monotonic.saturating_sub(*came) < BELIEVED && !is_near(terms, now)
        });
        if is_fresh { None } else { Some(provider.terms().await) }
    }

    /// The terms after an answer; those of before stand if there was none. `Err`: none were ever told.
    pub(super) fn learn(
        &mut self,
        answer: Option<Result<Terms, ProviderError>>,
        monotonic: Duration,
    ) -> Result<Terms, ProviderError> {
        match answer {
            Some(Ok(terms)) => self.0 = Some((monotonic, terms)),
            Some(Err(error)) if self.0.is_none() => return Err(error),
            Some(Err(error)) => warn!(%error, "the cloud did not tell its terms; the last stand"),
            None => {}
        }
        Ok(self.0.as_ref().map(|(_, terms)| terms.clone()).unwrap_or_default())
    }
}

fn is_near(terms: &Terms, now: Timestamp) -> bool {
    let ends = [terms.opens, terms.closes];
    ends.into_iter().flatten().any(|at| now.since(at) < NEAR && at.since(now) < NEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_lease_are_near_on_both_sides() {
        let at = |secs| Timestamp::from_secs(secs);
        let terms = Terms { closes: Some(at(10_000)), ..Terms::default() };
        for (now, near) in
            [(8_000, false), (8_201, true), (10_000, true), (11_799, true), (11_800, false)]
        {
            assert_eq!(is_near(&terms, at(now)), near, "at {now}");
        }
        assert!(!is_near(&Terms::default(), at(0)));
    }

    #[test]
    fn an_answer_stands_until_there_is_another() {
        let lost = || {
            let kind = vcycle_api::ErrorKind::Unavailable;
            Some(Err(ProviderError::new(kind, "get lease", "no answer")))
        };
        let mut memory = TermsMemory::default();
        assert!(memory.learn(lost(), Duration::ZERO).is_err());
        let terms = Terms { notices: vec!["degraded".to_owned()], ..Terms::default() };
        memory.learn(Some(Ok(terms.clone())), Duration::ZERO).unwrap();
        assert_eq!(memory.learn(lost(), Duration::from_secs(900)).unwrap(), terms);
        assert_eq!(memory.learn(None, Duration::from_secs(901)).unwrap(), terms);
    }
}
