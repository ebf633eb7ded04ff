//! Machines survive kill -9 of the daemon, and are managed again after its restart: none made
//! twice, none forgotten. Real processes, the real program, a real state directory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{call, free_port, processes_of, root, vcycle, wait_for};

const SPACE: &str = "restart.example";
const LONG: Duration = Duration::from_secs(60);

struct Site {
    dir: tempfile::TempDir,
    daemons: u32,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().display();
        std::fs::create_dir(dir.path().join("shared")).unwrap();
        let text = format!(
            r#"
[site]
name = "TEST"
state_dir = "{top}/shared"
manager = "one"
cycle = "500ms"
ownership_ttl = "3s"
[library]
paths = ["{library}"]
[server]
https_host = "127.0.0.1"
admin_listen = "127.0.0.1:{admin}"
[server.https]
listen = "127.0.0.1:{https}"
[space."{SPACE}"]
processors_limit = 3
creations_per_cycle = 3
delete_pause = "2s"
[space."{SPACE}".local]
dir = "{top}/machines"
processors = 3
memory = "3GiB"
[space."{SPACE}".machinetype.work]
entry = "example"
target_share = 1
backoff = "5s"
fizzle = "1s"
start_timeout = "60s"
max_wallclock = "30m"
min_wallclock = "1s"
heartbeat = "5m"
grace = "1s"
[space."{SPACE}".machinetype.work.options]
example_run_seconds = 1500
heartbeat_every = 1
"#,
            library = root().join("vm-library").display(),
            admin = free_port(),
            https = free_port(),
        );
        std::fs::write(dir.path().join("vcycle.toml"), text).unwrap();
        Self { dir, daemons: 0 }
    }

    fn config(&self) -> String {
        self.dir.path().join("vcycle.toml").display().to_string()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join(format!("daemon-{}.log", self.daemons))
    }

    fn start(&mut self) -> Daemon {
        self.daemons += 1;
        let log = std::fs::File::create(self.log()).unwrap();
        let child = vcycle()
            .args(["run", "--log", "plain", "--config", &self.config()])
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Daemon(child)
    }

    fn machines(&self) -> Vec<Value> {
        let answer = call(&["machines", "--json", "--config", &self.config()]);
        if answer.code != Some(0) {
            return Vec::new();
        }
        answer.json()["machines"].as_array().unwrap().clone()
    }

    fn running(&self) -> BTreeMap<String, Value> {
        let rows = self.machines().into_iter().filter(|row| row["phase"] == "running");
        rows.map(|row| (row["name"].as_str().unwrap().to_owned(), row)).collect()
    }

    /// Machines that the local provider was ever asked for: tombstones too.
    fn ever_made(&self) -> usize {
        let folder = self.dir.path().join("machines/machines");
        std::fs::read_dir(folder).map_or(0, |entries| entries.flatten().count())
    }

    fn generation(&self) -> u64 {
        let answer = call(&["status", "--json", "--config", &self.config()]);
        answer.json()["spaces"][0]["snapshot"]["generation"].as_u64().unwrap_or(0)
    }

    fn explain_failure(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }
}

/// A daemon that does not outlive its test.
struct Daemon(Child);

impl Daemon {
    fn kill_9(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn terminate(mut self) -> std::process::ExitStatus {
        let pid = nix::unistd::Pid::from_raw(self.0.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.0.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Local machines see that their folder is gone, and end.
impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.dir.path());
    }
}

fn instances(machines: &BTreeMap<String, Value>) -> Vec<&str> {
    machines.values().map(|row| row["instance"].as_str().unwrap()).collect()
}

fn supervised(dir: &Path) -> usize {
    processes_of(&dir.join("machines")).len()
}

#[test]
fn machines_survive_kill_9_of_the_daemon_and_are_managed_again() {
    let mut site = Site::new();
    let daemon = site.start();
    let before = wait_for("three running machines", LONG, || {
        Some(site.running()).filter(|machines| machines.len() == 3)
    });
    let generation = site.generation();

    daemon.kill_9();
    let processes = supervised(site.dir.path());
    assert!(processes >= 3, "machines ended with the daemon: {processes} processes");

    let restarted = vcycle_api::Clock::now(&vcycle_api::SystemClock::new());
    let daemon = site.start();
    wait_for("the space is owned again, under a higher generation", LONG, || {
        (site.generation() > generation).then_some(())
    });
    let after = wait_for("heartbeats of all machines reach the new daemon", LONG, || {
        let machines = site.running();
        let beats = |row: &Value| {
            let text = row["heartbeat"].as_str().unwrap_or("1970-01-01T00:00:00Z").to_owned();
            text.parse::<jiff::Timestamp>().unwrap().as_millisecond() > restarted.as_millis() + 1000
        };
        Some(machines).filter(|m| m.len() == 3 && m.values().all(beats))
    });
    assert_eq!(
        instances(&after),
        instances(&before),
        "not the same machines:\n{}",
        site.explain_failure()
    );
    assert_eq!(site.ever_made(), 3, "made twice:\n{}", site.explain_failure());

    let drained = call(&["drain", SPACE, "--by", "0s", "--yes", "--config", &site.config()]);
    assert_eq!(drained.code, Some(0), "{drained:?}");
    wait_for("all machines are gone", LONG, || site.machines().is_empty().then_some(()));
    assert_eq!(site.ever_made(), 3, "made again while draining:\n{}", site.explain_failure());
    wait_for("no process is left", LONG, || (supervised(site.dir.path()) == 0).then_some(()));
    assert!(daemon.terminate().success(), "{}", site.explain_failure());
}

#[test]
fn a_second_manager_of_the_same_name_is_refused() {
    let mut site = Site::new();
    let _first = site.start();
    wait_for("a running machine", LONG, || Some(site.running()).filter(|m| !m.is_empty()));
    let second = call(&["run", "--log", "plain", "--config", &site.config()]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("one"), "{second:?}");
    wait_for("three running machines", LONG, || {
        Some(site.running()).filter(|machines| machines.len() == 3)
    });
    assert_eq!(site.ever_made(), 3);
}
