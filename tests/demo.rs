//! The demo as a person would run it: real processes, real jobs, nothing left.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Answer, processes_of, vcycle, wait_for};

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn the_demo_does_its_jobs_shows_backoff_and_leaves_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    let answer: Answer = vcycle()
        .args(["demo", "--json", "--jobs", "12"])
        .env("TMPDIR", tmp.path())
        .output()
        .unwrap()
        .into();
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(answer.stderr, "", "only the summary is printed");
    let summary = answer.json();
    assert_eq!(summary["ok"], true, "{summary:#}");
    assert_eq!(summary["jobs"]["right"], 12);
    let machinetypes = summary["machinetypes"].as_array().unwrap();
    let names: Vec<_> = machinetypes.iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["batch", "example", "idle"]);
    let idle = &machinetypes[2];
    assert!(idle["ends"]["300 No more work"].as_u64().unwrap() >= 2, "{idle:#}");
    assert!(summary["longest_backoff_seconds"].as_f64().unwrap() >= 5.0, "{summary:#}");
    assert!(machinetypes[0]["ends"]["200 Success"].as_u64().unwrap() >= 2, "{summary:#}");
    assert!(is_empty(tmp.path()), "the temporary folder is still there");
    assert!(processes_of(tmp.path()).is_empty(), "processes are left");
}

#[test]
fn an_interrupted_demo_stops_its_machines_and_cleans_up() {
    let tmp = tempfile::tempdir().unwrap();
    let demo = vcycle()
        .args(["demo", "--json"])
        .env("TMPDIR", tmp.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(demo.id().try_into().unwrap());
    let made = |folder: &Path| {
        // DEMO/machines/machines/local-...
        let demo = std::fs::read_dir(folder).ok()?.flatten().next()?.path();
        std::fs::read_dir(demo.join("machines/machines")).ok()?.flatten().nth(2)
    };
    wait_for("the first machines", Duration::from_secs(30), || made(tmp.path()));
    kill(pid, Signal::SIGINT).unwrap();
    let answer: Answer = demo.wait_with_output().unwrap().into();
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let summary = answer.json();
    assert!(summary["cut_short"].as_str().unwrap().contains("interrupted"), "{summary:#}");
    assert_eq!(summary["left"]["machines"], serde_json::json!([]), "{summary:#}");
    assert!(is_empty(tmp.path()), "the temporary folder is still there");
    assert!(processes_of(tmp.path()).is_empty(), "processes are left");
}
