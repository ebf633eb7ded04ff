//! Several managers on one directory, one step at a time in an order drawn from a seed: clocks that
//! run at different speeds, lost calls and replies, old looks, paused and killed processes. After
//! every step at most one manager may believe that it owns the space.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vcycle::store::testing::{FaultyFs, MemoryFs, Rates};
use vcycle::store::{Acquire, Ownership, Store};
use vcycle_api::{Clock, ManualClock};

use crate::acquire::acquire;
use crate::bench::{TTL, clock, manager, space};

const MANAGERS: usize = 4;
const STEPS: u64 = 6_000;

/// What a manager believes, visible to the judge.
type Belief = Arc<Mutex<Option<Arc<Ownership>>>>;

struct Manager {
    clock: Arc<ManualClock>,
    /// Thousandths: 1000 runs as true time does.
    speed: u64,
    fs: FaultyFs,
    belief: Belief,
    life: Pin<Box<dyn Future<Output = ()>>>,
    paused: u64,
}

/// Acquires, renews, now and then gives back, for ever.
async fn live(store: Store, clock: Arc<ManualClock>, name: String, belief: Belief, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    loop {
        let owned = acquire(&store, &space(), &manager(&name), TTL).await;
        let Ok(Acquire::Owned(ownership)) = owned else {
            until(&clock, clock.monotonic() + Duration::from_secs(2)).await;
            continue;
        };
        let every = ownership.renew_every();
        *belief.lock().unwrap() = Some(Arc::new(ownership));
        let mut next = clock.monotonic();
        loop {
            next = next.max(clock.monotonic()) + every;
            until(&clock, next).await;
            let ownership = belief.lock().unwrap().clone().unwrap();
            let lost = ownership.renew().await.is_err();
            if lost {
                *belief.lock().unwrap() = None;
                break;
            }
            if rng.random_range(0..20) == 0 {
                drop(ownership);
                let mine = belief.lock().unwrap().take().unwrap();
                Arc::try_unwrap(mine).unwrap().release().await;
                break;
            }
        }
    }
}

async fn until(clock: &ManualClock, when: Duration) {
    while clock.monotonic() < when {
        tokio::task::yield_now().await;
    }
}

fn born(shared: &MemoryFs, number: usize, clock: Arc<ManualClock>, seed: u64) -> (Store, Manager) {
    let rates = Rates { lost_calls: 15, lost_replies: 15, stale_handles: 10, stale_looks: 0 };
    let fs = FaultyFs::seeded(Arc::new(shared.clone()), seed, rates);
    let store = Store::new(Arc::new(fs.clone()), clock.clone());
    let belief = Belief::default();
    let life = live(store.clone(), clock.clone(), format!("m{number}"), belief.clone(), seed);
    let speed = 970 + (seed % 61);
    (store, Manager { clock, speed, fs, belief, life: Box::pin(life), paused: 0 })
}

/// Runs one seed; gives how many generations there were.
fn simulate(seed: u64) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let server = clock();
    let shared = MemoryFs::new(server.clone());
    let mut managers: Vec<Manager> =
        (0..MANAGERS).map(|i| born(&shared, i, clock(), seed * 100 + i as u64).1).collect();
    let mut owners: BTreeMap<u64, String> = BTreeMap::new();
    let mut frozen_until = [0_u64; MANAGERS];
    let mut now = 0_u64;
    for step in 0..STEPS {
        let i = rng.random_range(0..MANAGERS);
        match rng.random_range(0..1000) {
            0..100 => {
                let millis = rng.random_range(0..1500);
                now += millis;
                server.advance(Duration::from_millis(millis));
                for manager in &managers {
                    manager.clock.advance(Duration::from_millis(millis * manager.speed / 1000));
                }
            }
            // SIGSTOP; its clock goes on.
            100..102 => managers[i].paused = now + rng.random_range(0..40_000),
            // kill -9 and a new start, with the same clock.
            102..104 => {
                let clock = managers[i].clock.clone();
                managers[i] = born(&shared, i, clock, seed * 100 + step).1;
                frozen_until[i] = 0;
            }
            // Its caches lie for up to a minute.
            104..108 => {
                managers[i].fs.freeze();
                frozen_until[i] = now + rng.random_range(0..55_000);
            }
            _ => {
                if frozen_until[i] <= now {
                    managers[i].fs.thaw();
                }
                if managers[i].paused <= now {
                    let mut context = Context::from_waker(Waker::noop());
                    assert!(managers[i].life.as_mut().poll(&mut context).is_pending());
                }
            }
        }
        judge(&managers, &mut owners, (seed, step));
    }
    owners.len()
}

fn judge(managers: &[Manager], owners: &mut BTreeMap<u64, String>, place: (u64, u64)) {
    let mut believing = Vec::new();
    for (i, manager) in managers.iter().enumerate() {
        let belief = manager.belief.lock().unwrap();
        let Some(ownership) = belief.as_deref() else { continue };
        let generation = ownership.generation().0;
        let by = owners.entry(generation).or_insert_with(|| format!("m{i}"));
        assert_eq!(*by, format!("m{i}"), "seed and step {place:?}: generation {generation} twice");
        if ownership.proof().is_ok() {
            believing.push((i, generation));
        }
    }
    assert!(believing.len() <= 1, "seed and step {place:?}: two owners {believing:?}");
}

#[test]
fn at_no_moment_do_two_managers_believe_that_they_own_a_space() {
    let mut generations = 0;
    for seed in 1..=60 {
        generations += simulate(seed);
    }
    println!("{generations} generations");
    assert!(generations > 300, "the simulation must be about changes of owner: {generations}");
}
