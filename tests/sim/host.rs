//! Hosts with clocks of their own, and the processes on them.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use vcycle::model::Timestamp;
use vcycle_api::Clock;

use super::trace::Who;
use super::weather::Sleep;
use super::world::World;

/// True time, as clouds and the file server have it.
#[derive(Debug)]
pub struct TrueClock {
    pub start: Instant,
    /// When the life begins.
    pub begin: Timestamp,
}

impl Clock for TrueClock {
    fn now(&self) -> Timestamp {
        self.begin + self.start.elapsed()
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The clock of a host: it runs a little fast or slow, may be wrong and step, and its monotonic side stands
/// still while the host is suspended.
#[derive(Debug)]
pub struct HostClock {
    start: Instant,
    begin: Timestamp,
    offset: AtomicI64,
    /// Parts of a thousand.
    speed: u64,
    suspensions: Mutex<Suspensions>,
}

/// All in milliseconds.
#[derive(Debug, Default)]
struct Suspensions {
    over: u64,
    /// When the last one ended or will end.
    last: Option<u64>,
    /// From and until.
    now: Option<(u64, u64)>,
}

impl HostClock {
    pub fn new(TrueClock { start, begin }: &TrueClock, offset: i64, speed: u64) -> Self {
        let (start, begin) = (*start, *begin);
        Self { start, begin, offset: AtomicI64::new(offset), speed, suspensions: Mutex::default() }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).expect("lives are short")
    }

    pub fn step(&self, millis: i64) {
        self.offset.fetch_add(millis, Ordering::SeqCst);
    }

    /// By how much it is wrong.
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::SeqCst)
    }

    pub fn set_offset(&self, millis: i64) {
        self.offset.store(millis, Ordering::SeqCst);
    }

    /// Its monotonic side stands still until then.
    fn suspend(&self, until: u64) {
        self.resume();
        let mut suspensions = self.suspensions.lock().unwrap();
        suspensions.now = Some((self.elapsed(), until));
        suspensions.last = Some(until);
    }

    /// A step of the clock soon after a suspension could hide it: two faults at once, which the protocol does not
    /// claim to survive.
    pub fn may_step(&self) -> bool {
        let last = self.suspensions.lock().unwrap().last;
        last.is_none_or(|until| self.elapsed() > until + 30_000)
    }

    /// Whatever it stood still until now.
    fn resume(&self) {
        let mut suspensions = self.suspensions.lock().unwrap();
        if let Some((from, until)) = suspensions.now.take() {
            suspensions.over += self.elapsed().min(until) - from;
        }
    }
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        let millis = i64::try_from(self.elapsed()).expect("lives are short");
        Timestamp::from_millis(self.begin.as_millis() + millis + self.offset())
    }
    fn monotonic(&self) -> Duration {
        let suspensions = self.suspensions.lock().unwrap();
        let now = suspensions.now.map_or(0, |(from, until)| self.elapsed().min(until) - from);
        Duration::from_millis((self.elapsed() - suspensions.over - now) * self.speed / 1000)
    }
}

/// A host. Its mount and its lines are the same for every process on it.
#[derive(Debug)]
pub struct Host {
    pub number: usize,
    pub clock: Arc<HostClock>,
    /// Until when, in milliseconds.
    pub store_hangs: AtomicU64,
    pub store_fails: AtomicU64,
    pub cloud_cut: AtomicU64,
    /// As of when it sees the file of the spend manager; 0: as it is.
    pub caps_as_of: AtomicU64,
}

/// A running copy of the daemon, as far as the world can get at it.
pub struct Process {
    pub number: u32,
    pub host: Arc<Host>,
    pub world: Arc<World>,
    dead: AtomicBool,
    paused: AtomicU64,
}

impl Process {
    pub fn new(number: u32, host: Arc<Host>, world: Arc<World>) -> Self {
        let (dead, paused) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { number, host, world, dead, paused }
    }

    pub fn who(&self, space: Option<usize>) -> Who {
        Who { process: self.number, host: self.host.number, space }
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Nothing later of it takes effect. `false`: it was dead already.
    pub fn kill(&self) -> bool {
        self.host.clock.resume();
        !self.dead.swap(true, Ordering::SeqCst)
    }

    /// It does nothing for that long.
    pub fn pause(&self, millis: u64, sleep: Sleep) {
        let until = self.world.trace.now() + millis;
        self.paused.fetch_max(until, Ordering::SeqCst);
        if sleep == Sleep::Suspended {
            self.host.clock.suspend(until);
        }
    }

    /// A pause ends now.
    pub fn wake(&self) {
        self.paused.store(0, Ordering::SeqCst);
        self.host.clock.resume();
    }

    /// Comes back when it runs; never, when it is dead.
    pub async fn running(&self) {
        self.wait_for(&self.paused).await;
    }

    /// Waits while something is away; for ever, when it is dead.
    pub async fn wait_for(&self, away: &AtomicU64) {
        loop {
            if self.is_dead() {
                std::future::pending::<()>().await;
            }
            let now = self.world.trace.now();
            let until = away.load(Ordering::SeqCst).max(self.paused.load(Ordering::SeqCst));
            if until <= now {
                return;
            }
            // The trouble may be over sooner than it was meant to be.
            sleep_until(self.world.at(until.min(now + 1_000))).await;
        }
    }

    /// Dies here.
    pub async fn die<T>(&self) -> T {
        if self.kill() {
            self.world.died(self.number);
        }
        std::future::pending().await
    }
}
