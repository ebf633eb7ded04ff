//! Machines survive kill -9 of the daemon, and are managed again after its restart: none made
//! twice, none forgotten. Real processes, the real program, a real state directory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use support::site::{Plan, Site};
use support::{call, wait_for};

const SPACE: &str = "restart.example";
const LONG: Duration = Duration::from_secs(60);

fn site() -> Site {
    Site::new(Plan {
        managers: vec!["one"],
        spaces: vec![SPACE],
        machines: 3,
        run_seconds: 1500,
        ttl: "3s",
        cycle: "500ms",
        state_dirs: Vec::new(),
    })
}

fn instances(machines: &BTreeMap<String, Value>) -> Vec<&str> {
    machines.values().map(|row| row["instance"].as_str().unwrap()).collect()
}

#[test]
fn machines_survive_kill_9_of_the_daemon_and_are_managed_again() {
    let site = site();
    let daemon = site.start("one");
    let before = wait_for("three running machines", LONG, || {
        Some(site.running(SPACE)).filter(|machines| machines.len() == 3)
    });
    let generation = site.planned_by(SPACE);

    daemon.kill_9();
    let processes = site.processes(SPACE);
    assert!(processes >= 3, "machines ended with the daemon: {processes} processes");

    let restarted = vcycle_api::Clock::now(&vcycle_api::SystemClock::new());
    let daemon = site.start("one");
    wait_for("the space is owned again, under a higher generation", LONG, || {
        (site.planned_by(SPACE) > generation).then_some(())
    });
    let after = wait_for("heartbeats of all machines reach the new daemon", LONG, || {
        let machines = site.running(SPACE);
        let beats = |row: &Value| {
            let text = row["heartbeat"].as_str().unwrap_or("1970-01-01T00:00:00Z").to_owned();
            text.parse::<jiff::Timestamp>().unwrap().as_millisecond() > restarted.as_millis() + 1000
        };
        Some(machines).filter(|m| m.len() == 3 && m.values().all(beats))
    });
    assert_eq!(instances(&after), instances(&before), "not the same machines:\n{}", site.explain());
    assert_eq!(site.ever_made(SPACE).len(), 3, "made twice:\n{}", site.explain());

    let drained = call(&["drain", SPACE, "--by", "0s", "--yes", "--config", &site.config()]);
    assert_eq!(drained.code, Some(0), "{drained:?}");
    wait_for("all machines are gone", LONG, || site.machines(SPACE).is_empty().then_some(()));
    assert_eq!(site.ever_made(SPACE).len(), 3, "made again while draining:\n{}", site.explain());
    wait_for("no process is left", LONG, || (site.processes(SPACE) == 0).then_some(()));
    assert!(daemon.terminate().success(), "{}", site.explain());
}

#[test]
fn a_second_manager_of_the_same_name_is_refused() {
    let site = site();
    let _first = site.start("one");
    wait_for("a running machine", LONG, || Some(site.running(SPACE)).filter(|m| !m.is_empty()));
    let second = call(&["run", "--log", "plain", "--config", &site.config()]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("one"), "{second:?}");
    wait_for("three running machines", LONG, || {
        Some(site.running(SPACE)).filter(|machines| machines.len() == 3)
    });
    assert_eq!(site.ever_made(SPACE).len(), 3);
}
