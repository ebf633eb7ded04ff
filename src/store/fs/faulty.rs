//! A filesystem that fails on purpose. Faults are data: rules that strike at a counted operation,
//! and rates drawn from a seed; nothing here reads a clock or unseeded randomness. Every operation
//! yields before it takes effect and before it answers, so that a simulation which polls its
//! managers in an order of its own finds all interleavings.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Mode, NewFile, PutOutcome, SharedFs};
use crate::model::Timestamp;
use crate::store::StatePath;

/// When a rule strikes. Counting begins at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At this mutating operation (write, put, make_dir, rename, remove).
    Mutation(u64),
    /// At this operation of any kind.
    Call(u64),
    /// At every mutating operation.
    EveryMutation,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The process dies before the operation: this and every later call fails.
    CrashBefore,
    /// The process dies after the operation took effect: this and every later call fails.
    CrashAfter,
    /// Fails with this `errno` and does nothing.
    Fail(i32),
    /// Takes effect and yet fails with this `errno`: a lost reply.
    FailAfter(i32),
    /// Never answers, and does nothing.
    Hang,
    /// Takes effect and never answers.
    HangAfter,
}

/// One fault. Rules strike independently; the first that fits is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// When.
    pub when: When,
    /// What.
    pub effect: Effect,
}

/// How often faults strike by chance, per 1,000 operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Mutating operations that fail with EIO and do nothing.
    pub lost_calls: u32,
    /// Mutating operations that take effect and fail with EIO.
    pub lost_replies: u32,
    /// Any operation: ESTALE, once.
    pub stale_handles: u32,
    /// Listings and negative look-ups that show what was last seen, as a cache would.
    pub stale_looks: u32,
}

/// The wrapper: one per simulated process, on a filesystem that several may share.
#[derive(Clone)]
pub struct FaultyFs {
    inner: Arc<dyn SharedFs>,
    state: Arc<Mutex<State>>,
}

struct State {
    rules: Vec<Rule>,
    rates: Rates,
    rng: ChaCha8Rng,
    calls: u64,
    mutations: u64,
    log: Vec<String>,
    crashed: bool,
    frozen: bool,
    listings: BTreeMap<StatePath, Vec<String>>,
    missing: Vec<StatePath>,
}

/// What is to be done with the operation at hand.
enum Verdict {
    Go,
    GoThen(Effect),
    Stop(Effect),
}

impl FaultyFs {
    /// Without faults: counts operations.
    pub fn new(inner: Arc<dyn SharedFs>) -> Self {
        Self::seeded(inner, 0, Rates::default())
    }

    /// With faults by chance, the same for the same seed and order of calls.
    pub fn seeded(inner: Arc<dyn SharedFs>, seed: u64, rates: Rates) -> Self {
        let state = State {
            rules: Vec::new(),
            rates,
            rng: ChaCha8Rng::seed_from_u64(seed),
            calls: 0,
            mutations: 0,
            log: Vec::new(),
            crashed: false,
            frozen: false,
            listings: BTreeMap::new(),
            missing: Vec::new(),
        };
        Self { inner, state: Arc::new(Mutex::new(state)) }
    }

    /// Adds a fault.
    pub fn add(&self, when: When, effect: Effect) {
        self.state().rules.push(Rule { when, effect });
    }

    /// Takes all rules away; a crash stays.
    pub fn heal(&self) {
        self.state().rules.clear();
    }

    /// From now on faults strike as often as this.
    pub fn set_rates(&self, rates: Rates) {
        self.state().rates = rates;
    }

    /// Forgets everything that was seen, as a cache does with what is old: what is frozen afterwards is
    /// only as old as the looks since then.
    pub fn forget(&self) {
        let mut state = self.state();
        state.listings.clear();
        state.missing.clear();
    }

    /// The process dies here: every later call fails.
    pub fn crash(&self) {
        self.state().crashed = true;
    }

    /// Whether it has crashed.
    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// From now on listings and negative look-ups show what this process saw last, except in
    /// directories that it changes itself, as the caches of NFS do.
    pub fn freeze(&self) {
        self.state().frozen = true;
    }

    /// Looks are true again.
    pub fn thaw(&self) {
        self.state().frozen = false;
    }

    /// Operations of any kind so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Mutating operations so far.
    pub fn mutations(&self) -> u64 {
        self.state().mutations
    }

    /// The mutating operations so far, for people: `write spaces/a/plan.json`.
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn stop<T>(&self, effect: Effect) -> io::Result<T> {
        match effect {
            Effect::CrashBefore | Effect::CrashAfter => {
                self.crash();
                Err(crashed())
            }
            Effect::Fail(errno) | Effect::FailAfter(errno) => {
                Err(io::Error::from_raw_os_error(errno))
            }
            Effect::Hang | Effect::HangAfter => std::future::pending().await,
        }
    }

    async fn mutate<T>(
        &self,
        what: &str,
        path: &StatePath,
        operation: impl Future<Output = io::Result<T>> + Send,
    ) -> io::Result<T> {
        // Others may act before the operation arrives, and before its reply is back.
        tokio::task::yield_now().await;
        let verdict = self.state().mutation(what, path)?;
        let result = match verdict {
            Verdict::Go => operation.await,
            Verdict::Stop(effect) => self.stop(effect).await,
            Verdict::GoThen(effect) => {
                // Whether it succeeded, the caller never learns.
                let _ = operation.await;
                self.stop(effect).await
            }
        };
        tokio::task::yield_now().await;
        result
    }

    async fn look<T>(
        &self,
        operation: impl Future<Output = io::Result<T>> + Send,
    ) -> io::Result<T> {
        tokio::task::yield_now().await;
        let verdict = self.state().call()?;
        let result = match verdict {
            Verdict::Go => operation.await,
            Verdict::Stop(effect) | Verdict::GoThen(effect) => self.stop(effect).await,
        };
        tokio::task::yield_now().await;
        result
    }
}

fn crashed() -> io::Error {
    io::Error::other("crashed")
}

impl State {
    fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.rng.random_range(0..1000) < per_mille
    }

    fn call(&mut self) -> io::Result<Verdict> {
        if self.crashed {
            return Err(crashed());
        }
        self.calls += 1;
        let calls = self.calls;
        let rule = self.rules.iter().find(|rule| rule.when == When::Call(calls));
        if let Some(rule) = rule {
            return Ok(rule.effect.verdict());
        }
        if self.chance(self.rates.stale_handles) {
            return Err(io::ErrorKind::StaleNetworkFileHandle.into());
        }
        Ok(Verdict::Go)
    }

    fn mutation(&mut self, what: &str, path: &StatePath) -> io::Result<Verdict> {
        let verdict = self.call()?;
        self.mutations += 1;
        self.log.push(format!("{what} {path}"));
        let mutations = self.mutations;
        let dir = path.parent();
        self.listings.retain(|listed, _| Some(listed) != dir.as_ref());
        self.missing.retain(|missing| missing != path);
        if !matches!(verdict, Verdict::Go) {
            return Ok(verdict);
        }
        let rule = self.rules.iter().find(|rule| match rule.when {
            When::Mutation(number) => number == mutations,
            When::EveryMutation => true,
            When::Call(_) => false,
        });
        if let Some(rule) = rule {
            return Ok(rule.effect.verdict());
        }
        if self.chance(self.rates.lost_calls) {
            return Ok(Verdict::Stop(Effect::Fail(EIO)));
        }
        if self.chance(self.rates.lost_replies) {
            return Ok(Verdict::GoThen(Effect::FailAfter(EIO)));
        }
        Ok(Verdict::Go)
    }

    fn looks_are_stale(&mut self) -> bool {
        self.frozen || self.chance(self.rates.stale_looks)
    }
}

/// The `errno` of a failing device, on every Linux.
const EIO: i32 = 5;

impl Effect {
    fn verdict(self) -> Verdict {
        match self {
            Self::CrashBefore | Self::Fail(_) | Self::Hang => Verdict::Stop(self),
            Self::CrashAfter | Self::FailAfter(_) | Self::HangAfter => Verdict::GoThen(self),
        }
    }
}

#[async_trait]
impl SharedFs for FaultyFs {
    async fn must_be_mounted(&self) -> io::Result<()> {
        self.look(self.inner.must_be_mounted()).await
    }

    async fn read(&self, path: &StatePath) -> io::Result<Vec<u8>> {
        let stale = {
            let mut state = self.state();
            state.looks_are_stale() && state.missing.contains(path)
        };
        let result = self
            .look(async {
                if stale {
                    Err(io::ErrorKind::NotFound.into())
                } else {
                    self.inner.read(path).await
                }
            })
            .await;
        let mut state = self.state();
        state.missing.retain(|missing| missing != path);
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            state.missing.push(path.clone());
        }
        result
    }

    async fn write(&self, path: &StatePath, content: &[u8], mode: Mode) -> io::Result<()> {
        self.mutate("write", path, self.inner.write(path, content, mode)).await
    }

    /// One by one, so that a crash can come between any two.
    async fn write_many(&self, files: &[NewFile]) -> io::Result<()> {
        for file in files {
            self.write(&file.path, &file.content, file.mode).await?;
        }
        Ok(())
    }

    async fn put_if_absent(
        &self,
        path: &StatePath,
        content: &[u8],
        mode: Mode,
    ) -> io::Result<PutOutcome> {
        self.mutate("put", path, self.inner.put_if_absent(path, content, mode)).await
    }

    async fn list(&self, dir: &StatePath) -> io::Result<Vec<String>> {
        let cached = {
            let mut state = self.state();
            if state.looks_are_stale() { state.listings.get(dir).cloned() } else { None }
        };
        let names = self
            .look(async {
                match cached {
                    Some(names) => Ok(names),
                    None => self.inner.list(dir).await,
                }
            })
            .await?;
        self.state().listings.insert(dir.clone(), names.clone());
        Ok(names)
    }

    async fn modified(&self, paths: &[StatePath]) -> io::Result<Vec<Option<Timestamp>>> {
        self.look(self.inner.modified(paths)).await
    }

    async fn sizes(&self, paths: &[StatePath]) -> io::Result<Vec<Option<u64>>> {
        self.look(self.inner.sizes(paths)).await
    }

    async fn make_dir(&self, dir: &StatePath) -> io::Result<()> {
        {
            // It may make any of its parents, too.
            let mut state = self.state();
            state.listings.retain(|listed, _| !dir.relative().starts_with(listed.relative()));
        }
        self.mutate("make_dir", dir, self.inner.make_dir(dir)).await
    }

    async fn rename(&self, from: &StatePath, to: &StatePath) -> io::Result<()> {
        {
            let mut state = self.state();
            state.listings.clear();
            state.missing.clear();
        }
        self.mutate("rename", from, self.inner.rename(from, to)).await
    }

    async fn remove(&self, path: &StatePath) -> io::Result<()> {
        self.mutate("remove", path, self.inner.remove(path)).await
    }

    async fn sweep(&self, dir: &StatePath) -> io::Result<usize> {
        self.look(self.inner.sweep(dir)).await
    }
}
