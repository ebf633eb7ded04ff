//! The unit is valid and its box stays as tight as it is. Skipped, and said so, where systemd's own
//! tools are not installed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

/// `systemd-analyze security`: 0 is a perfect box, 10 none. Lower this when it gets better.
const EXPOSURE_MOST: f64 = 2.0;

fn systemd() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

fn analyze(args: &[&str]) -> Option<(bool, String)> {
    match Command::new("systemd-analyze").args(args).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) => {
            eprintln!("skipped: systemd-analyze cannot be run: {error}");
            None
        }
    }
}

/// A unit whose programs exist here, so that only the unit itself is judged.
fn unit_for_this_host(dir: &Path) -> PathBuf {
    let text = std::fs::read_to_string(systemd().join("vcycled.service")).unwrap();
    let here = text
        .replace("/usr/bin/vcycle", env!("CARGO_BIN_EXE_vcycle"))
        .lines()
        .filter(|line| !line.starts_with("Documentation="))
        .collect::<Vec<_>>()
        .join("\n");
    let path = dir.join("vcycled.service");
    std::fs::write(&path, here).unwrap();
    path
}

#[test]
fn the_unit_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    let unit = unit_for_this_host(dir.path());
    let Some((good, text)) = analyze(&["verify", unit.to_str().unwrap()]) else { return };
    let about_us: Vec<_> = text.lines().filter(|line| line.contains("vcycled")).collect();
    assert!(good && about_us.is_empty(), "{text}");
}

#[test]
fn the_box_stays_tight() {
    let dir = tempfile::tempdir().unwrap();
    let unit = unit_for_this_host(dir.path());
    let offline = ["security", "--offline=true", "--no-pager", unit.to_str().unwrap()];
    let Some((good, text)) = analyze(&offline) else { return };
    if !good && text.contains("unrecognized option") {
        eprintln!("skipped: this systemd-analyze knows no --offline");
        return;
    }
    let line = text.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    let score = line.split_whitespace().find_map(|word| word.parse::<f64>().ok()).unwrap();
    assert!(score <= EXPOSURE_MOST, "{line}: above {EXPOSURE_MOST}");
}

#[test]
fn local_machines_survive_a_restart_of_the_unit() {
    let unit = std::fs::read_to_string(systemd().join("vcycled.service")).unwrap();
    let has = |setting: &str| unit.lines().any(|line| line == setting);
    for setting in ["KillMode=process", "Type=notify", "NotifyAccess=main"] {
        assert!(has(setting), "{setting}");
    }
    assert!(unit.lines().any(|line| line.starts_with("WatchdogSec=")));
}

/// What the daemon tells the service manager, read from the socket that systemd would have.
struct Notified {
    socket: std::os::unix::net::UnixDatagram,
    seen: Vec<String>,
}

impl Notified {
    fn next(&mut self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("a message within the time limit");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        self.seen.push(text.clone());
        text
    }

    fn until(&mut self, wanted: &str) -> String {
        loop {
            let text = self.next();
            if text.lines().any(|line| line.starts_with(wanted)) {
                return text;
            }
            assert!(self.seen.len() < 200, "no {wanted} in {:?}", self.seen);
        }
    }
}

#[test]
fn systemd_is_told_of_start_life_reload_and_stop() {
    use nix::sys::signal::{Signal, kill};
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().display();
    std::fs::create_dir(dir.path().join("shared")).unwrap();
    let config = dir.path().join("vcycle.toml");
    let text = format!(
        "[site]\nname = \"TEST\"\nstate_dir = \"{top}/shared\"\nmanager = \"one\"\ncycle = \"500ms\"\n\
         [library]\npaths = [\"{library}\"]\n\
         [server]\nhttps_host = \"127.0.0.1\"\nadmin_listen = \"127.0.0.1:0\"\n\
         [server.https]\nlisten = \"127.0.0.1:0\"\n\
         [space.a]\n[space.a.local]\ndir = \"{top}/a\"\n\
         [space.a.machinetype.x]\nentry = \"example\"\n\
         [space.b]\n[space.b.local]\ndir = \"{top}/b\"\n\
         [space.b.machinetype.x]\nentry = \"example\"\n",
        library = support::root().join("vm-library").display(),
    );
    std::fs::write(&config, text).unwrap();
    let socket = std::os::unix::net::UnixDatagram::bind(dir.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    let mut told = Notified { socket, seen: Vec::new() };
    let mut daemon = support::vcycle()
        .args(["run", "--log", "plain", "--config", config.to_str().unwrap()])
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .env("WATCHDOG_USEC", "2000000")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = nix::unistd::Pid::from_raw(daemon.id().try_into().unwrap());
    let ready = told.until("READY=1");
    assert!(ready.contains("STATUS=2 spaces, 0 machines"), "{ready}");
    told.until("WATCHDOG=1");
    told.until("WATCHDOG=1");
    kill(pid, Signal::SIGHUP).unwrap();
    let reloading = told.until("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    told.until("READY=1");
    kill(pid, Signal::SIGTERM).unwrap();
    told.until("STOPPING=1");
    assert!(daemon.wait().unwrap().success());
}
