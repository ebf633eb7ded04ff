//! The pace of launches: EC2 lets an account launch 2 times a second in a region, and 5 times at once after a rest,
//! whoever asks (`docs/decisions/0012`). So all spaces of this process that share an account share one bucket.
//!
//! Until it is known which account it is, spaces with the same credentials share one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use vcycle_api::{Clock, ErrorKind, ProviderError};

use crate::Settings;
use crate::launch::CREATE;

/// Time between two launches in the long run ("Request throttling for the Amazon EC2 API").
const INTERVAL: Duration = Duration::from_millis(500);

/// Launches at once after a rest.
const BURST: u32 = 5;

/// A token bucket, kept as the time at which it will be full again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bucket {
    full_at: Duration,
}

impl Bucket {
    /// Takes a turn, and says how long to wait for it. `Err`: longer than patience allows; nothing was taken.
    fn take(&mut self, now: Duration, patience: Duration) -> Result<Duration, Duration> {
        let room = INTERVAL * (BURST - 1);
        let wait = self.full_at.saturating_sub(room).saturating_sub(now);
        if wait > patience {
            return Err(wait);
        }
        self.full_at = self.full_at.max(now) + INTERVAL;
        Ok(wait)
    }

    /// What was taken from another one of the same account was taken from this one.
    fn has_paid(&mut self, other: Self) {
        self.full_at = self.full_at.max(other.full_at);
    }
}

/// The bucket of an account, and the clock by which it is filled.
#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    bucket: Mutex<Bucket>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All buckets of this process: one or two for each account and region.
fn shared(key: String, clock: &Arc<dyn Clock>) -> Arc<Shared> {
    static ALL: OnceLock<Mutex<HashMap<String, Arc<Shared>>>> = OnceLock::new();
    let fresh = || Shared { clock: Arc::clone(clock), bucket: Mutex::default() };
    let mut all = lock(ALL.get_or_init(Mutex::default));
    Arc::clone(all.entry(key).or_insert_with(|| Arc::new(fresh())))
}

/// The pace of one provider.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The region, and where it is asked.
    place: String,
    account: OnceLock<String>,
    shared: Mutex<Arc<Shared>>,
    clock: Arc<dyn Clock>,
}

impl Pace {
    pub(crate) fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Self {
        let place = format!("{} at {:?}", settings.region, settings.endpoint);
        let bucket = shared(format!("{place} by {:?}", settings.credentials), &clock);
        Self { place, account: OnceLock::new(), shared: Mutex::new(bucket), clock }
    }

    /// An answer told whose account it is. What was launched before that counts for the account.
    pub(crate) fn is_of(&self, account: &str) {
        self.account.get_or_init(|| {
            let known = shared(format!("{} of {account}", self.place), &self.clock);
            let before = std::mem::replace(&mut *lock(&self.shared), Arc::clone(&known));
            let paid = *lock(&before.bucket);
            lock(&known.bucket).has_paid(paid);
            account.to_owned()
        });
    }

    /// Takes a turn for one launch.
    pub(crate) fn take(&self, patience: Duration) -> Result<Duration, ProviderError> {
        let shared = Arc::clone(&*lock(&self.shared));
        let taken = lock(&shared.bucket).take(shared.clock.monotonic(), patience);
        taken.map_err(|wait| {
            let kind = ErrorKind::Throttled { after: Some(wait) };
            let message = "all that this account may launch now is taken, nothing was sent";
            ProviderError::new(kind, CREATE, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vcycle_api::{ManualClock, Timestamp};

    use super::*;

    const PATIENT: Duration = Duration::from_secs(3600);

    #[test]
    fn after_a_burst_launches_come_at_the_pace_of_the_account() {
        let (mut bucket, now) = (Bucket::default(), Duration::from_secs(100));
        let waits: Vec<u128> =
            (0..8).map(|_| bucket.take(now, PATIENT).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 500, 1000, 1500]);
        assert_eq!(bucket.take(now, Duration::from_secs(1)), Err(Duration::from_millis(2000)));
        assert_eq!(bucket.take(now + PATIENT, PATIENT), Ok(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn in_no_stretch_of_time_are_there_more_launches_than_the_account_may_make(
            pauses in prop::collection::vec(0_u64..2_000, 1..200), patience in 0_u64..20_000,
        ) {
            let (mut bucket, mut now, mut sent) = (Bucket::default(), Duration::ZERO, Vec::new());
            for pause in pauses {
                now += Duration::from_millis(pause);
                if let Ok(wait) = bucket.take(now, Duration::from_millis(patience)) {
                    prop_assert!(wait <= Duration::from_millis(patience));
                    sent.push(now + wait);
                }
            }
            for (first, from) in sent.iter().enumerate() {
                for (last, until) in sent.iter().enumerate().skip(first) {
                    let most = u128::from(BURST) + (*until - *from).as_nanos() / INTERVAL.as_nanos();
                    prop_assert!((last - first + 1) as u128 <= most);
                }
            }
        }
    }

    fn pace(region: &str, profile: &str, clock: &Arc<ManualClock>) -> Pace {
        let mut settings = Settings::new(region, vec!["m5.large".to_owned()]);
        settings.credentials.profile = Some(profile.to_owned());
        Pace::new(&settings, Arc::clone(clock) as _)
    }

    #[test]
    fn spaces_of_one_account_and_region_share_the_pace() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1)));
        let [a, b, elsewhere] =
            [("pace-1", "x"), ("pace-1", "y"), ("pace-2", "x")].map(|(r, p)| pace(r, p, &clock));
        for pace in [&a, &b, &elsewhere] {
            pace.is_of("123456789012");
        }
        let taken = |pace: &Pace| pace.take(Duration::ZERO).is_ok();
        assert!((0..3).all(|_| taken(&a)) && (0..2).all(|_| taken(&b)));
        assert!(!taken(&a) && !taken(&b) && taken(&elsewhere));
        clock.advance(INTERVAL);
        assert!(taken(&b) && !taken(&a));
    }

    #[test]
    fn what_was_launched_before_the_account_was_known_counts_for_it() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1)));
        let pace = pace("pace-4", "x", &clock);
        let taken = |pace: &Pace| pace.take(Duration::ZERO).is_ok();
        assert!((0..5).all(|_| taken(&pace)));
        pace.is_of("123456789012");
        assert!(!taken(&pace));
        clock.advance(INTERVAL);
        assert!(taken(&pace) && !taken(&pace));
    }

    #[test]
    fn before_the_account_is_known_the_same_credentials_share_the_pace() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1)));
        let [a, b, other] = ["x", "x", "y"].map(|profile| pace("pace-3", profile, &clock));
        let taken = |pace: &Pace| pace.take(Duration::ZERO).is_ok();
        assert!((0..5).all(|_| taken(&a)));
        assert!(!taken(&b) && taken(&other));
        let error = b.take(Duration::ZERO).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Throttled { after: Some(_) }), "{error}");
    }
}
