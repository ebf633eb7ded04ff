//! Three managers that are killed, stopped, paused and started again, and what must hold meanwhile and after.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use vcycle_api::{Clock, SystemClock, Timestamp};

pub(crate) use crate::support::site::Plan;
use crate::support::site::{Daemon, Site};
use crate::support::{call, wait_until};

/// More than three cycles of a minute: a request is read in one, carried out in the next, and its end shown in the third.
pub(crate) const LONG: Duration = Duration::from_secs(240);
pub(crate) const MANAGERS: [&str; 3] = ["one", "two", "three"];
pub(crate) const SPACES: [&str; 3] = ["a.example", "b.example", "c.example"];

/// Managers on one site.
pub(crate) struct Fleet {
    pub(crate) site: Site,
    pub(crate) daemons: BTreeMap<&'static str, Daemon>,
}

/// Views of one new state directory, one for each manager: on the mounts of `VCYCLE_TEST_DIRS` (split by colons),
/// which must show the same directory; else none.
pub(crate) fn views() -> Vec<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let Some(mounts) = std::env::var_os("VCYCLE_TEST_DIRS") else { return Vec::new() };
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    let name = format!("vcycle-test-{}-{number}", std::process::id());
    let views: Vec<_> = std::env::split_paths(&mounts).map(|mount| mount.join(&name)).collect();
    std::fs::create_dir(&views[0]).unwrap();
    views
}

/// Three spaces of two machines that work for long.
pub(crate) fn steady() -> Plan {
    Plan {
        managers: MANAGERS.to_vec(),
        spaces: SPACES.to_vec(),
        machines: 2,
        run_seconds: 1500,
        ttl: "3s",
        cycle: "500ms",
        state_dirs: views(),
    }
}

/// The same with machines that end all the time.
pub(crate) fn busy() -> Plan {
    Plan { run_seconds: 3, ..steady() }
}

pub(crate) fn now() -> Timestamp {
    SystemClock::new().now()
}

fn time(value: &Value) -> i64 {
    value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

impl Fleet {
    /// All managers run, every space is owned, every machine runs.
    pub(crate) fn new(plan: Plan) -> Self {
        let site = Site::new(plan);
        let mut fleet = Self { site, daemons: BTreeMap::new() };
        for name in fleet.site.plan().managers.clone() {
            fleet.start(name);
        }
        fleet.until_settled("all managers run and the spaces are full", now());
        fleet
    }

    pub(crate) fn start(&mut self, name: &'static str) {
        self.daemons.insert(name, self.site.start(name));
    }

    pub(crate) fn take(&mut self, name: &str) -> Daemon {
        self.daemons.remove(name).unwrap()
    }

    fn spaces(&self) -> Vec<&'static str> {
        self.site.plan().spaces.clone()
    }

    /// Who says that it works on a space.
    pub(crate) fn owners(&self, space: &str) -> Vec<&'static str> {
        let works = |daemon: &Daemon| {
            let status = daemon.get_json("/api/v1/status");
            status.is_some_and(|status| {
                status["spaces"].as_array().unwrap().iter().any(|s| s["space"] == space)
            })
        };
        self.daemons.iter().filter(|(_, daemon)| works(daemon)).map(|(name, _)| *name).collect()
    }

    /// The one that works on the first space.
    pub(crate) fn owner(&self) -> &'static str {
        wait_until("the first space has one owner", LONG, || match self.owners(SPACES[0])[..] {
            [owner] => Ok(owner),
            ref others => Err(format!("{others:?}")),
        })
    }

    /// The generation of each space.
    pub(crate) fn generations(&self) -> Vec<u64> {
        self.spaces().iter().map(|space| self.site.generation(space)).collect()
    }

    /// What holds at every moment: a space has no more machines than it may.
    pub(crate) fn check(&self) {
        let plan = self.site.plan();
        for space in &plan.spaces {
            let alive = self.site.alive(space);
            let most = plan.machines as usize;
            assert!(alive.len() <= most, "{space}: {alive:?}\n{}", self.site.explain());
        }
    }

    /// Looks until it is there, and checks at every look.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
        let mut last = String::new();
        let look = || {
            self.check();
            look().inspect_err(|missing| last.clone_from(missing))
        };
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wait_until(what, LONG, look)));
        result.unwrap_or_else(|_| panic!("{what}: {last}\n{}", self.site.explain()))
    }

    /// Every space has exactly one owner that has had a whole cycle since then, every machine is managed by it,
    /// none was made twice, none is forgotten.
    pub(crate) fn until_settled(&self, what: &str, since: Timestamp) {
        self.until(what, || self.spaces().iter().try_for_each(|space| self.settled(space, since)));
    }

    fn settled(&self, space: &str, since: Timestamp) -> Result<(), String> {
        let owners = self.owners(space);
        let &[owner] = &owners[..] else {
            return Err(format!("{space} is worked on by {owners:?}"));
        };
        let seen = self.daemons[owner].get_json(&format!("/api/v1/spaces/{space}"));
        let seen = seen.ok_or_else(|| format!("{owner} does not show {space}"))?;
        if time(&seen["at"]) <= since.as_millis() {
            return Err(format!("{space} had no cycle since {since}"));
        }
        let highest = self.site.generation(space);
        if seen["generation"] != highest {
            return Err(format!("{space}: {} is not {highest}", seen["generation"]));
        }
        self.none_forgotten(space)?;
        let plan = self.site.plan();
        if plan.run_seconds > 100 {
            self.all_run(space, &seen)?;
        }
        Ok(())
    }

    /// Machines that work for long: all run, and the owner knows it.
    fn all_run(&self, space: &str, seen: &Value) -> Result<(), String> {
        let rows = seen["machines"].as_array().unwrap().iter();
        let running: BTreeSet<String> = rows
            .filter(|row| row["phase"] == "running")
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect();
        let (alive, made) = (self.site.alive(space), self.site.ever_made(space));
        let machines = self.site.plan().machines as usize;
        assert!(made.len() <= machines, "{space}: {made:?} made\n{}", self.site.explain());
        if running.len() == machines && running == alive && running == made {
            return Ok(());
        }
        Err(format!("{space}: {running:?} are seen running, {alive:?} run, {made:?} were made"))
    }

    /// Each machine that was ever made has its record.
    fn none_forgotten(&self, space: &str) -> Result<(), String> {
        let made = self.site.ever_made(space);
        let recorded = self.site.recorded(space);
        let forgotten: Vec<_> = made.difference(&recorded).collect();
        if forgotten.is_empty() { Ok(()) } else { Err(format!("{space}: {forgotten:?} forgotten")) }
    }

    /// Drains all spaces, sees every machine end, and stops all managers.
    pub(crate) fn end(mut self) {
        for space in self.spaces() {
            let config = self.site.config();
            let drained = call(&["drain", space, "--by", "0s", "--yes", "--config", &config]);
            assert_eq!(drained.code, Some(0), "{drained:?}\n{}", self.site.explain());
        }
        self.until("all machines are gone", || {
            self.spaces().iter().try_for_each(|space| {
                let (alive, left) = (self.site.alive(space), self.site.machines(space));
                self.none_forgotten(space)?;
                if alive.is_empty() && left.is_empty() && self.site.processes(space) == 0 {
                    return Ok(());
                }
                Err(format!("{space}: {alive:?} run, {left:?} are shown"))
            })
        });
        for (name, daemon) in std::mem::take(&mut self.daemons) {
            assert!(daemon.terminate().success(), "{name}\n{}", self.site.explain());
        }
    }
}
