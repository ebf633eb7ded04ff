//! A manager whose mount does not answer any more. Needs a shared filesystem that can be cut off:
//! `tests/shared-fs/run.sh` makes one and runs this.

use std::process::Command;
use std::time::Duration;

use vcycle_api::{Clock, SystemClock};

use crate::fleet::{Fleet, MANAGERS, Plan, SPACES, now, steady};

/// Runs the command of a variable.
fn do_as_told(variable: &str) {
    let command = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set"));
    let status = Command::new("sh").args(["-c", &command]).status().unwrap();
    assert!(status.success(), "{variable}: {command}: {status}");
}

/// Joins again, however the test ends: what is cut off cannot be removed.
struct Joined;

impl Drop for Joined {
    fn drop(&mut self) {
        do_as_told("VCYCLE_TEST_JOIN");
    }
}

/// The default TTL: a shared filesystem may be slow.
fn plan() -> Plan {
    Plan { ttl: "15s", cycle: "2s", ..steady() }
}

#[test]
#[ignore = "needs a shared filesystem that can be cut off: tests/shared-fs/run.sh"]
fn a_manager_that_is_cut_off_is_followed_says_so_and_comes_back_by_itself() {
    let clock = SystemClock::new();
    let mut fleet = Fleet::new(plan());
    // The first manager's mount is the one that is cut off; it is to own something.
    let cut = MANAGERS[0];
    for other in &MANAGERS[1..] {
        assert!(fleet.take(other).terminate().success());
    }
    fleet.until_settled("the first manager owns everything", now());
    let joined = Joined;
    // With what follows the others may be given spaces, at their leisure.
    for other in &MANAGERS[1..] {
        fleet.start(other);
    }
    fleet.until_settled("all managers are there", now());
    let owned = SPACES.iter().filter(|space| fleet.owners(space) == [cut]).count();

    let (begun, since) = (clock.monotonic(), now());
    do_as_told("VCYCLE_TEST_CUT");
    let daemon = fleet.take(cut);
    fleet.until_settled("the others own everything", since);
    let taken = clock.monotonic().saturating_sub(begun);
    let words = |daemon: &crate::support::site::Daemon| {
        let (code, health) = daemon.get("/healthz").unwrap_or_default();
        (code, health, daemon.status_line())
    };
    fleet.until("the one that is cut off says so and shows no space as its own", || {
        let (code, health, line) = words(&daemon);
        let status = daemon.get_json("/api/v1/status").unwrap_or_default();
        let shown = status["spaces"].as_array().map_or(99, Vec::len);
        let told = code == 503 && health.contains("the state directory cannot be used");
        if told && line.contains("state directory: ") && shown == 0 {
            return Ok(());
        }
        Err(format!("{code} {health:?}, STATUS {line:?}, {shown} spaces"))
    });
    let said = clock.monotonic().saturating_sub(begun);
    // Longer than its client waits for the server before its calls fail.
    let mut sentences = Vec::new();
    fleet.until("it stays so", || {
        let (code, health, _) = words(&daemon);
        assert_eq!(code, 503, "{health}\n{}", fleet.site.explain());
        if sentences.last() != Some(&health) {
            sentences.push(health);
        }
        let time = clock.monotonic().saturating_sub(begun);
        if time > Duration::from_secs(70) { Ok(()) } else { Err(format!("{time:?}")) }
    });
    sentences.dedup_by_key(|text| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>());
    drop(joined);
    let (rejoined, since) = (clock.monotonic(), now());
    fleet.daemons.insert(cut, daemon);
    fleet.until("it is well again", || {
        let (code, health, line) = words(&fleet.daemons[cut]);
        if code == 200 && !line.contains("state directory") { Ok(()) } else { Err(health) }
    });
    let well = clock.monotonic().saturating_sub(rejoined);
    fleet.until_settled("one owner a space, all machines managed", since);
    eprintln!(
        "cut off with {owned} spaces: others own all after {:.1} s, it says so after {:.1} s; joined: well after {:.1} s\n{}",
        taken.as_secs_f64(),
        said.as_secs_f64(),
        well.as_secs_f64(),
        sentences.join("")
    );
    fleet.end();
}
