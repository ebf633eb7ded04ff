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

/// The first of some rows whose field has a value.
fn with<'a>(rows: &'a Value, field: &str, value: &str) -> Option<&'a Value> {
    rows.as_array()?.iter().find(|row| row[field] == value)
}

#[test]
fn what_a_manager_refuses_and_does_not_work_on_is_in_status_explain_and_its_file() {
    let mut site = Site::new();
    let good = std::fs::read_to_string(site.config()).unwrap();
    // A folder below a file cannot be made.
    let broken = format!(
        "[space.broken.local]\ndir = \"{}/vcycle.toml/machines\"\n\
         [space.broken.machinetype.work]\nentry = \"example\"\ntarget_share = 1\n",
        site.dir.path().display()
    );
    std::fs::write(site.config(), format!("{good}{broken}")).unwrap();
    let daemon = site.start();
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
    let file = site.dir.path().join("shared/managers/one.json");
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

    assert!(daemon.terminate().success(), "{}", site.explain_failure());
    let own = own();
    assert!(own["stopped"].is_string() && own["idle"] == serde_json::json!({}), "{own}");
    assert_eq!(status()["managers"], serde_json::json!([]), "it ended in order");
}

#[test]
fn a_space_taken_out_of_the_configuration_with_machines_is_told_after_a_restart() {
    let mut site = Site::new();
    let daemon = site.start();
    wait_for("three running machines", LONG, || (site.running().len() == 3).then_some(()));
    assert!(daemon.terminate().success(), "{}", site.explain_failure());
    let good = std::fs::read_to_string(site.config()).unwrap();
    let (head, _) = good.split_once("[space.").unwrap();
    let other = "[space.other.sim]\n[space.other.machinetype.work]\nentry = \"example\"\n\
                 target_share = 1\n";
    std::fs::write(site.config(), format!("{head}{other}")).unwrap();
    let _daemon = site.start();
    let file = site.dir.path().join("shared/managers/one.json");
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
    let log = site.explain_failure();
    assert!(log.contains("no configuration names it"), "{log}");
    assert!(supervised(site.dir.path()) >= 3, "nothing is deleted for it");
}
