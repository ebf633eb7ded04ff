//! Several managers on one ledger, one step at a time in an order drawn from a seed: lost calls and replies, stale handles,
//! old looks, killed processes, days that pass. The log stays a chain, nothing that was told is lost, nothing is
//! booked twice, and the cap holds after every entry.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use async_trait::async_trait;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vcycle::store::testing::{FaultyFs, MemoryFs, Rates};
use vcycle::store::{Mode, PutOutcome, SharedFs, StatePath};
use vcycle_api::ManualClock;
use vcycle_money::Book;

use super::damage::{entry_line, files};
use super::*;
use crate::bench::{Place, clock};

const MANAGERS: usize = 4;
const SEEDS: u64 = 12;
const STEPS: u64 = 12_000;
/// What the cap is on: so many machines, or twice as many that ended after half of their time.
const LIMIT: i64 = 40;

/// What managers were told, for the judge.
#[derive(Default)]
struct Told {
    next: AtomicU64,
    reserved: Mutex<BTreeSet<IntentToken>>,
    settled: Mutex<BTreeSet<IntentToken>>,
    /// Entries that were told to be written.
    entries: Mutex<BTreeSet<u64>>,
    /// Damages that were none: old looks.
    frights: AtomicU64,
}

struct Manager {
    fs: FaultyFs,
    life: Pin<Box<dyn Future<Output = ()>>>,
}

/// A space of its own; reserves, settles, and releases what it was not told of, for ever.
async fn live(store: Store, space: String, told: Arc<Told>, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let name = SpaceName::parse(&space).unwrap();
    let owner = loop {
        let owned = acquire(&store, &name, &manager("m1"), TTL).await;
        if let Ok(Acquire::Owned(owner)) = owned {
            break owner;
        }
        // An attempt that failed half-way holds it; the clock stands still.
        if owned.is_ok() {
            return std::future::pending().await;
        }
    };
    let ledger = ledger(&store);
    let mut open: Vec<IntentToken> = Vec::new();
    loop {
        let result = match rng.random_range(0..10) {
            0..5 => try_to_reserve(&ledger, &owner, &told, &mut open, rng.random_range(1..4)).await,
            5..8 if !open.is_empty() => {
                let intent = open[rng.random_range(0..open.len())];
                let settle = |book: &Book| {
                    book.reservation(&intent).map(|_| settled(intent)).into_iter().collect()
                };
                let written = write(&ledger, &owner, &told, settle).await;
                if written.is_ok() {
                    told.settled.lock().unwrap().insert(intent);
                    open.retain(|other| *other != intent);
                }
                written
            }
            8 => {
                let forgotten = |book: &Book| {
                    let ours = book.reservations().filter(|ours| {
                        ours.reservation.account.space == name
                            && !open.contains(&ours.reservation.intent)
                    });
                    ours.map(|ours| released(ours.reservation.intent)).collect()
                };
                write(&ledger, &owner, &told, forgotten).await
            }
            _ => ledger.refresh().await.map(|_| ()),
        };
        match result {
            Ok(()) | Err(LedgerError::Store(_) | LedgerError::Busy) => {}
            Err(LedgerError::Damaged(_)) => _ = told.frights.fetch_add(1, Ordering::SeqCst),
            Err(error @ (LedgerError::Refused(_) | LedgerError::NotTheirs { .. })) => {
                panic!("{error}")
            }
        }
        // Even when nothing was waited for, others have their turn.
        tokio::task::yield_now().await;
    }
}

async fn try_to_reserve(
    ledger: &Ledger,
    owner: &Ownership,
    told: &Told,
    open: &mut Vec<IntentToken>,
    many: u64,
) -> Result<(), LedgerError> {
    let first = told.next.fetch_add(many, Ordering::SeqCst);
    let Ok(proof) = owner.proof() else { return std::future::pending().await };
    let answers = ledger.reserve(&proof, wave(owner, first..first + many)).await?;
    for reserved in answers.into_iter().flatten() {
        told.entries.lock().unwrap().insert(reserved.entry());
        told.reserved.lock().unwrap().insert(*reserved.intent());
        open.push(*reserved.intent());
    }
    Ok(())
}

async fn write(
    ledger: &Ledger,
    owner: &Ownership,
    told: &Told,
    decide: impl FnMut(&Book) -> Vec<Event> + Send,
) -> Result<(), LedgerError> {
    let Ok(proof) = owner.proof() else { return std::future::pending().await };
    let number = ledger.write(&proof, decide).await?;
    told.entries.lock().unwrap().extend(number);
    Ok(())
}

fn born(
    shared: &Arc<dyn SharedFs>,
    clock: &Arc<ManualClock>,
    told: &Arc<Told>,
    seed: u64,
) -> Manager {
    let rates = Rates { lost_calls: 15, lost_replies: 15, stale_handles: 8, stale_looks: 15 };
    let fs = FaultyFs::seeded(Arc::clone(shared), seed, rates);
    let store = Store::new(Arc::new(fs.clone()), clock.clone());
    let life = live(store, format!("s{seed}.example"), Arc::clone(told), seed);
    Manager { fs, life: Box::pin(life) }
}

/// What one seed came to.
#[derive(Debug, Default)]
struct Outcome {
    entries: u64,
    reserved: usize,
    settled: usize,
    packs: usize,
    frights: u64,
}

/// Runs one seed on a filesystem that lies on one in memory.
fn simulate(seed: u64, on: fn(MemoryFs) -> Arc<dyn SharedFs>) -> Result<Outcome, String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let clock = clock();
    let memory = MemoryFs::new(clock.clone());
    let shared = on(memory.clone());
    let bench = Bench { place: Place::Memory(memory), clock: clock.clone() };
    futures::executor::block_on(set_cap(&ledger(&bench.store()), LIMIT));
    let told = Arc::new(Told::default());
    let born = |number: u64| born(&shared, &clock, &told, seed * 1_000_000 + number);
    let mut managers: Vec<Manager> = (0..MANAGERS as u64).map(born).collect();
    for step in 0..STEPS {
        let i = rng.random_range(0..MANAGERS);
        match rng.random_range(0..10_000) {
            // kill -9 and a new start.
            0..8 => managers[i] = born(step + 10),
            8..28 => managers[i].fs.freeze(),
            28..100 => managers[i].fs.thaw(),
            // Two days pass: all ownerships are over, and blocks are old.
            100..102 => {
                clock.advance(Duration::from_secs(2 * 86_400));
                managers = (0..MANAGERS as u64).map(|number| born(step * 10 + number)).collect();
            }
            _ => {
                let mut context = Context::from_waker(Waker::noop());
                assert!(managers[i].life.as_mut().poll(&mut context).is_pending());
            }
        }
    }
    drop(managers);
    judge(&bench, &told)
}

/// Reads the log entry by entry, and counts for itself.
fn judge(bench: &Bench, told: &Told) -> Result<Outcome, String> {
    let files = files(bench);
    let whole = futures::executor::block_on(ledger(&bench.store()).replay());
    let whole = whole.map_err(|damaged| damaged.to_string())?;
    let quick = futures::executor::block_on(ledger(&bench.store()).refresh());
    if quick.map_err(|damaged| damaged.to_string())? != whole {
        return Err("the checkpoints tell another story".to_owned());
    }
    let mut book = Book::default();
    let (mut open, mut all, mut halves) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut written = BTreeMap::new();
    for number in 1..=whole.head().number {
        let line = entry_line(&files, number);
        let sealed = book.head().open(&line).map_err(|damage| format!("{number}: {damage}"))?;
        for event in &sealed.entry().events {
            let is_new = match event {
                Event::Reserved(reservation) => {
                    open.insert(reservation.intent) && all.insert(reservation.intent)
                }
                Event::Settled { intent, .. } => open.remove(intent) && halves.insert(*intent),
                Event::Released { intent, .. } => open.remove(intent),
                Event::CapsSet { .. } => number == 1,
                other => panic!("{other:?}"),
            };
            if !is_new {
                return Err(format!("entry {number} says {event:?} once more"));
            }
        }
        let sum = 2 * open.len() + halves.len();
        if sum > 2 * LIMIT as usize {
            return Err(format!("at entry {number} the cap is passed: {sum} halves"));
        }
        book.apply(&sealed).map_err(|violation| format!("{number}: {violation}"))?;
        written.insert(number, sealed);
    }
    let lost = |what: &str, told: &Mutex<BTreeSet<IntentToken>>, there: &BTreeSet<IntentToken>| {
        let told = told.lock().unwrap();
        match told.difference(there).next() {
            Some(intent) => Err(format!("{what} of {intent} was told and is lost")),
            None => Ok(told.len()),
        }
    };
    let reserved = lost("the reservation", &told.reserved, &all)?;
    let settled = lost("the settlement", &told.settled, &halves)?;
    if let Some(number) = told.entries.lock().unwrap().iter().find(|n| !written.contains_key(n)) {
        return Err(format!("entry {number} was told and is lost"));
    }
    let packs = files.keys().filter(|path| path.starts_with("ledger/packed")).count();
    let frights = told.frights.load(Ordering::SeqCst);
    Ok(Outcome { entries: whole.head().number, reserved, settled, packs, frights })
}

#[test]
fn managers_that_spend_from_one_cap_at_once_neither_pass_it_nor_lose_anything() {
    let mut sum = Outcome::default();
    for seed in 1..=SEEDS {
        let outcome = simulate(seed, |memory| Arc::new(memory));
        let outcome = outcome.unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        sum.entries += outcome.entries;
        sum.reserved += outcome.reserved;
        sum.settled += outcome.settled;
        sum.packs += outcome.packs;
        sum.frights += outcome.frights;
    }
    println!("{sum:?}");
    assert!(
        sum.entries > 400 && sum.reserved > 300 && sum.settled > 150 && sum.packs > 10,
        "{sum:?}"
    );
    assert!(sum.frights * 20 < sum.entries, "old looks frighten seldom: {sum:?}");
}

/// A file server on which whoever puts last wins: two owners read one balance.
struct Careless(MemoryFs);

#[async_trait]
impl SharedFs for Careless {
    async fn put_if_absent(
        &self,
        path: &StatePath,
        content: &[u8],
        mode: Mode,
    ) -> io::Result<PutOutcome> {
        self.0.write(path, content, mode).await.map(|()| PutOutcome::Ours)
    }
    async fn read(&self, path: &StatePath) -> io::Result<Vec<u8>> {
        self.0.read(path).await
    }
    async fn write(&self, path: &StatePath, content: &[u8], mode: Mode) -> io::Result<()> {
        self.0.write(path, content, mode).await
    }
    async fn list(&self, dir: &StatePath) -> io::Result<Vec<String>> {
        self.0.list(dir).await
    }
    async fn modified(&self, paths: &[StatePath]) -> io::Result<Vec<Option<Timestamp>>> {
        self.0.modified(paths).await
    }
    async fn sizes(&self, paths: &[StatePath]) -> io::Result<Vec<Option<u64>>> {
        self.0.sizes(paths).await
    }
    async fn make_dir(&self, dir: &StatePath) -> io::Result<()> {
        self.0.make_dir(dir).await
    }
    async fn rename(&self, from: &StatePath, to: &StatePath) -> io::Result<()> {
        self.0.rename(from, to).await
    }
    async fn remove(&self, path: &StatePath) -> io::Result<()> {
        self.0.remove(path).await
    }
}

#[test]
fn two_owners_who_read_one_balance_are_found() {
    let found =
        (1..=5).filter_map(|seed| simulate(seed, |memory| Arc::new(Careless(memory))).err());
    let found: Vec<String> = found.collect();
    println!("{found:#?}");
    assert!(found.len() >= 4, "{found:?}");
}
