//! Three managers on one state directory: killed, paused, stopped, restarted under load, and with a state directory
//! that takes no writes. Real processes, the real program, real local machines. After each: every space has exactly one owner,
//! no machine was made twice, none is forgotten, all are managed again; and a limit is never crossed, whenever it is
//! looked at.
//!
//! With `VCYCLE_TEST_DIRS=/mnt/1:/mnt/2:/mnt/3` each manager works on a mount of its own, which must show the
//! same directory: `tests/shared-fs/` does so with a real shared filesystem.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

#[path = "managers/cut_off.rs"]
mod cut_off;
#[path = "managers/fleet.rs"]
mod fleet;
#[path = "managers/measured.rs"]
mod measured;
#[path = "managers/mounts.rs"]
mod mounts;
mod support;

use std::collections::BTreeSet;

use fleet::{Fleet, MANAGERS, SPACES, busy, now, steady};
use mounts::{Mount, with_mounts_of_our_own};
use nix::sys::signal::Signal;

#[test]
fn a_killed_owner_is_followed_and_comes_back() {
    let mut fleet = Fleet::new(steady());
    let (victim, before) = (fleet.owner(), fleet.site.generation(SPACES[0]));
    fleet.take(victim).kill_9();
    fleet.until_settled("the others own what the killed one had", now());
    assert!(fleet.site.generation(SPACES[0]) > before);
    fleet.start(victim);
    fleet.until_settled("the killed one is back", now());
    fleet.end();
}

#[test]
fn an_owner_that_slept_longer_than_its_ownership_acts_no_more_and_joins_again() {
    let mut fleet = Fleet::new(steady());
    let victim = fleet.owner();
    let asleep = fleet.take(victim);
    asleep.signal(Signal::SIGSTOP);
    fleet.until_settled("the others own what the sleeping one had", now());
    let generations = fleet.generations();
    asleep.signal(Signal::SIGCONT);
    fleet.daemons.insert(victim, asleep);
    fleet.until_settled("the sleeper has found itself replaced", now());
    assert!(fleet.generations() >= generations);
    assert!(fleet.site.explain().contains("lost the space"), "{}", fleet.site.explain());
    fleet.end();
}

#[test]
fn a_stopped_owner_gives_its_spaces_back_and_is_followed_sooner_than_a_dead_one() {
    let mut fleet = Fleet::new(steady());
    let victim = fleet.owner();
    assert!(fleet.take(victim).terminate().success(), "{}", fleet.site.explain());
    fleet.until_settled("the others own what the stopped one had", now());
    assert!(fleet.site.explain().contains("gave the space back"), "{}", fleet.site.explain());
    fleet.end();
}

#[test]
fn all_managers_are_restarted_in_turn_under_load() {
    let mut fleet = Fleet::new(busy());
    for name in MANAGERS {
        assert!(fleet.take(name).terminate().success(), "{}", fleet.site.explain());
        fleet.start(name);
        fleet.until_settled(&format!("after the restart of {name}"), now());
    }
    let made: usize = SPACES.iter().map(|space| fleet.site.ever_made(space).len()).sum();
    fleet.until("machines are made and end as before", || {
        let more: usize = SPACES.iter().map(|space| fleet.site.ever_made(space).len()).sum();
        if more >= made + 6 { Ok(()) } else { Err(format!("{made}, then {more}")) }
    });
    fleet.end();
}

/// All managers say what is wrong, on their health page and to systemd.
fn until_all_complain(fleet: &Fleet, words: &str) {
    fleet.until(&format!("all managers say {words:?}"), || {
        fleet.daemons.iter().try_for_each(|(name, daemon)| {
            let (code, health) = daemon.get("/healthz").unwrap_or_default();
            let line = daemon.status_line();
            if code == 503 && health.contains(words) && line.contains(words) {
                return Ok(());
            }
            Err(format!("{name}: {code} {health:?}, STATUS {line:?}"))
        })
    });
}

fn alive(fleet: &Fleet) -> BTreeSet<String> {
    SPACES.iter().flat_map(|space| fleet.site.alive(space)).collect()
}

#[test]
fn a_state_directory_that_becomes_read_only_stops_all_work_and_ends_no_machine() {
    with_mounts_of_our_own(|| {
        let mount = Mount::tmpfs("64m");
        let fleet = Fleet::new(fleet::Plan { state_dirs: vec![mount.dir()], ..steady() });
        let (machines, generations) = (alive(&fleet), fleet.generations());
        let read_only = mount.read_only();
        until_all_complain(&fleet, "Read-only file system");
        assert_eq!(alive(&fleet), machines);
        assert_eq!(fleet.generations(), generations);
        drop(read_only);
        fleet.until_settled("the state directory takes writes again", now());
        assert_eq!(alive(&fleet), machines);
        fleet.end();
    });
}

#[test]
fn a_full_disk_stops_all_work_and_ends_no_machine() {
    with_mounts_of_our_own(|| {
        let mount = Mount::tmpfs("8m");
        let fleet = Fleet::new(fleet::Plan { state_dirs: vec![mount.dir()], ..steady() });
        let machines = alive(&fleet);
        mount.fill();
        until_all_complain(&fleet, "No space left on device");
        assert_eq!(alive(&fleet), machines);
        mount.make_room();
        fleet.until_settled("there is room again", now());
        assert_eq!(alive(&fleet), machines);
        fleet.end();
    });
}
