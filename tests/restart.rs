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

/// The first of some rows whose field has a value.
fn with<'a>(rows: &'a Value, field: &str, value: &str) -> Option<&'a Value> {
    rows.as_array()?.iter().find(|row| row[field] == value)
}

#[test]
fn what_a_manager_refuses_and_does_not_work_on_is_in_status_explain_and_its_file() {
    let site = site();
    let good = std::fs::read_to_string(site.config()).unwrap();
    // A folder below a file cannot be made.
    let broken = format!(
        "[space.broken.local]\ndir = \"{}/machines\"\n\
         [space.broken.machinetype.work]\nentry = \"example\"\ntarget_share = 1\n",
        site.config()
    );
    std::fs::write(site.config(), format!("{good}{broken}")).unwrap();
    let daemon = site.start("one");
    let status = || call(&["status", "--json", "--config", &site.config()]).json();
    let why = wait_for("why the space is not worked on", LONG, || {
        let status = status();
        let space = with(&status["spaces"], "space", "broken")?;
        Some(space["idle"][0]["why"].as_str()?.to_owned())
    });
    assert!(why.contains("its provider cannot be used"), "{why}");
    let told = call(&["status", "--config", &site.config()]).stdout;
    assert!(told.contains("manager one has not worked on it for"), "{told}");
    let answer = call(&["explain", "broken", "--config", &site.config()]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.contains(&why), "{answer:?}");
    let file = site.path().join("shared/managers/one.json");
    let own =
        || -> Value { serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap() };
    assert_eq!(own()["idle"]["broken"]["why"], why.as_str());

    // Nothing is wrong with these files: only the running manager knows that it cannot take them up.
    let changed = good.replace("ownership_ttl = \"3s\"", "ownership_ttl = \"4s\"");
    std::fs::write(site.config(), changed + &broken).unwrap();
    let refused = |status: Value| {
        Some(with(&status["managers"], "manager", "one")?["config"]["refused"].as_str()?.to_owned())
    };
    let why = wait_for("why the newer files are refused", LONG, || refused(status()));
    assert!(why.contains("site.ownership_ttl"), "{why}");
    let told = call(&["status", "--config", &site.config()]).stdout;
    assert!(told.contains("manager one refuses the newer configuration"), "{told}");
    assert!(told.contains("site.ownership_ttl"), "{told}");
    std::fs::write(site.config(), good + &broken).unwrap();
    wait_for("nothing is refused", LONG, || refused(status()).is_none().then_some(()));

    assert!(daemon.terminate().success(), "{}", site.explain());
    let own = own();
    assert!(own["stopped"].is_string() && own["idle"] == serde_json::json!({}), "{own}");
    assert_eq!(status()["managers"], serde_json::json!([]), "it ended in order");
}

#[test]
fn a_space_taken_out_of_the_configuration_with_machines_is_told_after_a_restart() {
    let site = site();
    let daemon = site.start("one");
    wait_for("three running machines", LONG, || (site.running(SPACE).len() == 3).then_some(()));
    assert!(daemon.terminate().success(), "{}", site.explain());
    let good = std::fs::read_to_string(site.config()).unwrap();
    let (head, _) = good.split_once("[space.").unwrap();
    let other = "[space.other.sim]\n[space.other.machinetype.work]\nentry = \"example\"\n\
                 target_share = 1\n";
    std::fs::write(site.config(), format!("{head}{other}")).unwrap();
    let _daemon = site.start("one");
    let file = site.path().join("shared/managers/one.json");
    let why = wait_for("the manager tells of the abandoned space", LONG, || {
        let own: Value = serde_json::from_str(&std::fs::read_to_string(&file).ok()?).ok()?;
        Some(own["idle"][SPACE]["why"].as_str()?.to_owned())
    });
    assert!(why.contains("3 machines") && why.contains("put the space back"), "{why}");
    let answer = call(&["status", "--json", "--config", &site.config()]).json();
    let row = with(&answer["spaces"], "space", SPACE).unwrap();
    assert_eq!((&row["abandoned_machines"], &row["configured"]), (&3.into(), &false.into()));
    let told = call(&["status", "--config", &site.config()]).stdout;
    assert_eq!(told.matches(&why).count(), 1, "said once: {told}");
    assert!(call(&["explain", SPACE, "--config", &site.config()]).stdout.contains(&why));
    let log = site.explain();
    assert!(log.contains("no configuration names it"), "{log}");
    assert!(site.processes(SPACE) >= 3, "nothing is deleted for it");
}
