//! How long a space is without an owner that works: printed, and held to what is promised. Minutes long, so
//! not part of a plain test run: `cargo test --test managers -- --ignored --nocapture measured`.

use std::time::Duration;

use vcycle_api::{Clock, SystemClock};

use crate::fleet::{Fleet, LONG, MANAGERS, Plan, SPACES, now, steady, views};
use crate::support::site::Daemon;
use crate::support::wait_until;

const TIMES: usize = 20;
const WORST_AFTER_A_KILL: Duration = Duration::from_secs(30);
const WORST_AFTER_A_STOP: Duration = Duration::from_secs(2);

/// One space, and what is the default: an ownership of 15 s, a cycle of 60 s.
fn by_default() -> Plan {
    let (spaces, ttl, cycle) = (vec![SPACES[0]], "15s", "60s");
    Plan { spaces, ttl, cycle, state_dirs: views(), ..steady() }
}

/// The owner ends in this way, again and again. Each time: until another manager has ended its first cycle.
fn take_overs(end: impl Fn(Daemon)) -> Vec<Duration> {
    let clock = SystemClock::new();
    let mut fleet = Fleet::new(by_default());
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let victim = fleet.owner();
        let daemon = fleet.take(victim);
        let (since, begun) = (now(), clock.monotonic());
        end(daemon);
        fleet.until_settled("another manager works on the space", since);
        times.push(clock.monotonic().saturating_sub(begun));
        fleet.start(victim);
        let back = &fleet.daemons[victim];
        wait_until("the ended manager is back", LONG, || {
            back.get_json("/api/v1/status").map(|_| ()).ok_or_else(|| fleet.site.explain())
        });
        // Nobody is followed by a manager that has not yet seen it alive.
        wait_until("it has seen who owns the space", LONG, || {
            let status = back.get_json("/api/v1/status").unwrap_or_default();
            let idle = &status["idle_spaces"][SPACES[0]];
            let owned = !fleet.owners(SPACES[0]).is_empty();
            if owned && (idle.is_string() || fleet.owners(SPACES[0]) == [victim]) {
                return Ok(());
            }
            Err(status.to_string())
        });
    }
    fleet.end();
    times
}

fn told(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let (median, worst) = (times[times.len() / 2], *times.last().unwrap());
    let managers = MANAGERS.len();
    eprintln!(
        "{what}, {managers} managers, {} times: median {:.1} s, best {:.1} s, worst {:.1} s",
        times.len(),
        median.as_secs_f64(),
        times[0].as_secs_f64(),
        worst.as_secs_f64()
    );
    worst
}

#[test]
#[ignore = "takes minutes: measures"]
fn measured_take_over_times_after_kill_9() {
    let worst = told("take-over after kill -9", take_overs(Daemon::kill_9));
    assert!(worst < WORST_AFTER_A_KILL, "{worst:?}");
}

#[test]
#[ignore = "takes minutes: measures"]
fn measured_take_over_times_after_a_clean_stop() {
    let worst = told(
        "take-over after a clean stop",
        take_overs(|daemon| {
            assert!(daemon.terminate().success());
        }),
    );
    assert!(worst < WORST_AFTER_A_STOP, "{worst:?}");
}
