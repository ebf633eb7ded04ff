//! What happened in a life, in order of time: a digest of all of it, and the last of it for people.
//!
//! Each stream (one process in one space) has its own chain of digests, for what two streams do within one
//! millisecond has no order: the runtime may wake them either way round.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Lines that are kept for people.
const KEPT: usize = 400;

/// Whose doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    /// Number of the process; 0: the world itself.
    pub process: u32,
    /// Its host.
    pub host: usize,
    /// Position of the space; `None`: none in particular.
    pub space: Option<usize>,
}

impl Who {
    /// Nobody's: people, clouds, the weather.
    pub const WORLD: Self = Self { process: 0, host: 0, space: None };
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let space = self.space.map_or('-', |space| char::from(b'a' + space as u8));
        match self.process {
            0 => write!(f, "world   {space}"),
            process => write!(f, "m{}#{process:<4} {space}", self.host),
        }
    }
}

/// The trace of a life.
#[derive(Debug)]
pub struct Trace {
    start: Instant,
    kept: usize,
    /// `VCYCLE_SIM_LOOKS=1`: with all reads and listings that reach the disk.
    pub shows_looks: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    chains: BTreeMap<Who, u64>,
    tail: VecDeque<String>,
    events: u64,
}

impl Trace {
    /// Begins now. `VCYCLE_SIM_TRACE=N` keeps more lines.
    pub fn new() -> Self {
        let asked = std::env::var("VCYCLE_SIM_TRACE").ok().and_then(|text| text.parse().ok());
        let shows_looks = std::env::var_os("VCYCLE_SIM_LOOKS").is_some();
        let kept = asked.unwrap_or(KEPT);
        Self { start: Instant::now(), kept, shows_looks, inner: Mutex::default() }
    }

    /// Milliseconds since the beginning.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).expect("lives are short")
    }

    /// One more event.
    pub fn note(&self, who: Who, text: impl FnOnce() -> String) {
        let (now, text) = (self.now(), text());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hasher = DefaultHasher::new();
        let chain = inner.chains.entry(who).or_default();
        (*chain, now, &text).hash(&mut hasher);
        *chain = hasher.finish();
        inner.events += 1;
        if inner.tail.len() >= self.kept {
            inner.tail.pop_front();
        }
        inner.tail.push_back(format!("{:>8}.{:03} {who} {text}", now / 1000, now % 1000));
    }

    /// The digest of everything, and how many events that is.
    pub fn digest(&self) -> (u64, u64) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hasher = DefaultHasher::new();
        inner.chains.hash(&mut hasher);
        (hasher.finish(), inner.events)
    }

    /// The last lines.
    pub fn tail(&self) -> Vec<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.tail.iter().cloned().collect()
    }
}
